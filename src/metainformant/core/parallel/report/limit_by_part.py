"""The limits that the largest part of the time tells alone: a table of sentences. Pure."""

from __future__ import annotations

from . import prediction
from .limit import Limit
from .quantities import counted, duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .facts import Facts

# Kind and sentence by part. {share} is that of the part.
_SENTENCES = {
    "input": (
        "input",
        "Workers waited for the input {share:.0%} of the time; more of them change nothing, "
        "reading faster would help.",
    ),
    "consumer": (
        "consumer",
        "Results were not taken for {share:.0%} of the time, so nothing more was read; more "
        "workers change nothing, a faster consumer (or a larger buffer_size) would help.",
    ),
    "callbacks": (
        "callbacks",
        "Workers had nothing to do for {share:.0%} of the time while on_complete was called, "
        "which is done one at a time; do less there, or only note the result for another thread.",
    ),
    "rate": (
        "rate",
        "The rate limit held workers back for {share:.0%} of the time ({speed:,.3g} starts per "
        "second); a higher rate would help.",
    ),
    "retries": (
        "retries",
        "Workers waited for items to be tried again for {share:.0%} of the time "
        "({facts.failed_attempts:,} attempts failed); a shorter backoff would help, or fewer "
        "failures.",
    ),
    "startup": (
        "startup",
        "Starting the workers took {share:.0%} of the time; a Pool keeps them for the next map.",
    ),
    "gil": (
        "gil",
        "Threads waited for the GIL {share:.0%} of the time; in process_map they would not.",
    ),
    "tail": ("tail", "Workers had nothing left to do for {share:.0%} of the time."),
    "tiny": (
        "small_items",
        "Items of {mean} are run by one worker as fast as by several ({speed:,.0f} per second).",
    ),
}


def limit_by_part(facts: Facts) -> Limit:
    """Return the limit of a run of which nothing else is known than its largest part."""
    if facts.largest in _SPECIAL:
        return _SPECIAL[facts.largest](facts)
    kind, sentence = _SENTENCES[facts.largest]
    words = sentence.format(
        facts=facts,
        mean=duration(facts.mean),
        share=facts.share(facts.largest),
        speed=facts.attempts / facts.elapsed,
    )
    return Limit(kind, words)


def _computing(facts: Facts) -> Limit:
    share = facts.share("computing")
    if facts.workers < facts.cpus and not facts.share_gil and not facts.refused:
        seconds = prediction.with_a_worker_per_processor(facts)
        return Limit(
            "workers",
            f"{counted(facts.workers, 'worker')} computed for {share:.0%} of the time on "
            f"{facts.cpus} processors; more workers would help, {facts.cpus} would take about "
            f"{duration(seconds)}.",
            seconds,
        )
    if facts.workers < 2 and facts.share_gil and facts.cpus > 1:
        seconds = prediction.on_all_processors(facts)
        return Limit(
            "gil",
            f"One thread computed for {share:.0%} of the time; more would take turns for the GIL, "
            f"process_map on {facts.cpus} processors would take about {duration(seconds)}.",
            seconds,
        )
    return Limit(
        "computing",
        f"The calls computed for {share:.0%} of the time on "
        f"{counted(facts.workers, 'worker')} and {counted(facts.cpus, 'processor')}; "
        "only faster code or more processors help.",
    )


def _calls(facts: Facts) -> Limit:
    share = facts.share("calls", "waiting", "unknown")
    waited = f"The calls waited (input and output, locks, sleep) for {share:.0%} of the time"
    if facts.is_auto:
        return Limit(
            "calls",
            f'{waited}; max_workers="auto" came up to {facts.workers} workers, and '
            f"Auto(start={facts.workers}) would have them from the start.",
        )
    seconds = prediction.with_twice_the_workers(facts)
    return Limit(
        "calls",
        f"{waited}; more than {counted(facts.workers, 'worker')} would help, {2 * facts.workers} "
        f"would take about {duration(seconds)}, as far as what they wait for allows it.",
        seconds,
    )


def _unknown(facts: Facts) -> Limit:
    share = facts.share("unknown")
    if facts.is_auto:
        return _calls(facts)
    if facts.backend == "asyncio":
        return Limit(
            "calls",
            f"Calls were under way in {facts.workers} places for {share:.0%} of the time; if they "
            "await others, and do not keep the event loop busy themselves, more at once "
            "(max_workers) would help.",
        )
    return Limit(
        "workers",
        f"Workers were in calls for {share:.0%} of the time (their processor time was not "
        f"measured); more than {counted(facts.workers, 'worker')} would help, if there "
        "are processors.",
    )


def _not_scheduled(facts: Facts) -> Limit:
    share = facts.share("not_scheduled")
    pressure = ""
    if facts.pressure is not None:
        pressure = f" (on this machine something waited for one {facts.pressure:.0%} of the time)"
    return Limit(
        "not_scheduled",
        f"Workers were ready but not scheduled for {share:.0%} of the time: workers and other "
        f"processes want more than the {facts.cpus} processors{pressure}; fewer workers would "
        "lose nothing.",
    )


def _transport(facts: Facts) -> Limit:
    share = facts.share("transport")
    if facts.backend in ("thread", "asyncio"):
        return Limit(
            "transport",
            f"Workers waited for {share:.0%} of the time to be handed something; longer items, or "
            "several of them in one, would help.",
        )
    return Limit(
        "transport",
        f"Handing over items and results (pickling, copying) took {share:.0%} of the time; smaller "
        "items and results, or paths in their place, would help.",
    )


# Parts whose sentence depends on more than their share.
_SPECIAL: dict[str, Callable[[Facts], Limit]] = {
    "computing": _computing,
    "calls": _calls,
    "waiting": _calls,
    "not_scheduled": _not_scheduled,
    "unknown": _unknown,
    "transport": _transport,
}
