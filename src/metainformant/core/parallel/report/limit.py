"""The verdict on a run: what limited it, with a number, and a change that helps. Pure.

Each sentence rests on numbers that are in the report. What was not measured is not claimed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..public import public
from .facts import Facts
from .quantities import duration
from .service import rate_reached, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Less than this says little about a run.
MIN_SECONDS = 0.5
MIN_ITEMS = 50

# Shares of the time from which on something is called the limit. Picked by what the constructed
# workloads of the tests show, with a wide margin.
_MANY = 0.5
_SOME = 0.25
# Calls in threads that compute for this share of the elapsed time leave no room for each other.
_ONE_AT_A_TIME = 0.7
# Threads that want to compute, per processor, from which on they stand in each other's way.
_CROWDED = 1.5
# Threads that compute in each worker, on the average, from which on calls use several.
_INNER_THREADS = 1.3
# Seconds per item below which handing items to another process takes longer than running them.
_SMALL_SECONDS = 5e-5


@public
class Limit(NamedTuple):
    """The limit of a run.

    Attributes:
        kind: a word for it, such as "gil", "calls", "input" or "unknown".
        sentence: what it was, by how much, and a change that helps.
    """

    kind: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def judge(run: Mapping[str, Any]) -> Limit:
    """Return what limited a run, of which everything else is known; see `Record.data`."""
    facts = Facts(run)
    if facts.elapsed < MIN_SECONDS or facts.attempts < MIN_ITEMS:
        return Limit(
            "unknown",
            f"Can't tell what limited this run: {_items(facts.attempts)} in "
            f"{duration(facts.elapsed)} are too little ({MIN_ITEMS} items and {MIN_SECONDS} s "
            "are needed).",
        )
    for rule in _RULES:
        verdict = rule(facts)
        if verdict is not None:
            return verdict
    return _BY_PART[facts.largest](facts)


# Rules that look at more than the largest part


def _failing(facts: Facts) -> Limit | None:
    share = facts.failed / max(1, facts.finished)
    groups = facts.run["failures"]["groups"]
    if share < _MANY or not groups:
        return None
    first = groups[0]
    return Limit(
        "failures",
        f"{share:.0%} of the items failed (half of all calls took less than "
        f"{duration(facts.median)}), most with {first['type']}; see to that before the speed.",
    )


def _quota(facts: Facts) -> Limit | None:
    share = facts.throttled / facts.elapsed
    if share < _SOME / 2:
        return None
    return Limit(
        "quota",
        f"The quota of the control group (container) stopped the process for {share:.0%} of the "
        f"time; a larger quota, or no more workers than it allows ({facts.cpus}), would help.",
    )


def _service(facts: Facts) -> Limit | None:
    sentence = refused(facts)
    return None if sentence is None else Limit("throttled", sentence)


def _rate_reached(facts: Facts) -> Limit | None:
    sentence = rate_reached(facts)
    return None if sentence is None else Limit("rate", sentence)


def _oversubscribed(facts: Facts) -> Limit | None:
    rows = facts.run["workers"]
    main = sum(row["main_cpu"] for row in rows)
    threads = sum(row["cpu"] for row in rows) / main if main > 0 else 1.0
    delayed = facts.share("not_scheduled")
    if not facts.is_apart or facts.workers * max(1.0, threads) < _CROWDED * facts.cpus:
        return None
    if facts.share("computing") + delayed < _SOME:
        return None
    if threads > _INNER_THREADS:
        return Limit(
            "oversubscribed",
            f"{facts.workers} workers x {threads:.2g} threads that compute (BLAS, OpenMP), on "
            f"{facts.cpus} processors: they were ready but not scheduled for {delayed:.0%} of the "
            "time; inner_threads=1 would help.",
        )
    if delayed < _SOME:
        return None
    return Limit(
        "oversubscribed",
        f"{facts.workers} workers on {facts.cpus} processors were ready but not scheduled for "
        f"{delayed:.0%} of the time; more workers than processors change nothing.",
    )


def _small(facts: Facts) -> Limit | None:
    if not facts.is_apart or facts.mean >= _SMALL_SECONDS or facts.share("computing") >= _MANY:
        return None
    if facts.share("input", "consumer", "rate") >= _MANY:
        return None
    return Limit(
        "small_items",
        f"Items of {duration(facts.mean)} are too small for processes: the calls took "
        f"{duration(facts.calls_total)} in all, which is what a plain loop or thread_map would "
        f"take instead of {duration(facts.elapsed)}; or hand over lists with parallel_batch.",
    )


def _gil(facts: Facts) -> Limit | None:
    share = facts.share("gil", "waiting")
    if not facts.share_gil or facts.workers < 2 or facts.cpu < _ONE_AT_A_TIME * facts.elapsed:
        return None
    if share < _SOME:
        return None
    seconds = facts.cpu / facts.cpus
    helps = (
        f"process_map on {facts.cpus} processors would take about {duration(seconds)} instead of "
        f"{duration(facts.elapsed)}"
        if facts.cpus > 1
        else "on one processor nothing but faster code helps"
    )
    return Limit(
        "gil", f"Threads took turns for the GIL, and waited {share:.0%} of the time; {helps}."
    )


def _blocked_loop(facts: Facts) -> Limit | None:
    """Judge by how long coroutines took to begin, for which a loop that is free takes no time."""
    share = facts.share("startup")
    if facts.backend != "asyncio" or facts.is_prepared or share < _SOME:
        return None
    return Limit(
        "event_loop",
        f"The event loop took {share:.0%} of the time to begin the first calls: the others "
        "kept it busy, by computing or by what blocks, such as time.sleep; thread_map, or "
        "asyncio.to_thread around what blocks, would help.",
    )


def _tail(facts: Facts) -> Limit | None:
    share = facts.share("tail")
    if share < _SOME or share < facts.share("input", "consumer", "rate", "retries"):
        return None
    if facts.workers < 2:
        return None
    longest = facts.run["slowest"][0]
    return Limit(
        "tail",
        f"Workers had nothing left to do for {share:.0%} of the time while the last items ended; "
        f"the longest item ({longest['item']}) ran {duration(longest['seconds'])} of "
        f"{duration(facts.elapsed)}. Put long items first.",
    )


_RULES: tuple[Callable[[Facts], Limit | None], ...] = (
    _failing,
    _quota,
    _service,
    _rate_reached,
    _oversubscribed,
    _small,
    _gil,
    _blocked_loop,
    _tail,
)


# What the largest part says


def _computing(facts: Facts) -> Limit:
    share = facts.share("computing")
    if facts.workers < facts.cpus and not facts.share_gil and not facts.refused:
        return Limit(
            "workers",
            f"{facts.workers} workers computed for {share:.0%} of the time on {facts.cpus} "
            "processors; more workers would help.",
        )
    if facts.workers < 2 and facts.share_gil and facts.cpus > 1:
        seconds = facts.cpu / facts.cpus
        return Limit(
            "gil",
            f"One thread computed for {share:.0%} of the time; more would take turns for the GIL, "
            f"process_map on {facts.cpus} processors would take about {duration(seconds)}.",
        )
    return Limit(
        "computing",
        f"The calls computed for {share:.0%} of the time on {facts.workers} workers and "
        f"{facts.cpus} processors; only faster code or more processors help.",
    )


def _calls(facts: Facts) -> Limit:
    share = facts.share("calls", "waiting", "unknown")
    if facts.is_auto:
        return Limit(
            "calls",
            f"The calls waited (input and output, locks, sleep) for {share:.0%} of the time; "
            f'max_workers="auto" came up to {facts.workers} workers, and '
            f"Auto(start={facts.workers}) would have them from the start.",
        )
    return Limit(
        "calls",
        f"The calls waited (input and output, locks, sleep) for {share:.0%} of the time; more than "
        f"{facts.workers} workers would help, as far as what they wait for allows it.",
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
        f"measured); more than {facts.workers} workers would help, if there are processors.",
    )


def _waiting_for_gil(facts: Facts) -> Limit:
    share = facts.share("gil")
    return Limit(
        "gil",
        f"Threads waited for the GIL {share:.0%} of the time; in process_map they would not.",
    )


def _not_scheduled(facts: Facts) -> Limit:
    share = facts.share("not_scheduled")
    return Limit(
        "not_scheduled",
        f"Workers were ready but not scheduled for {share:.0%} of the time: workers and other "
        f"processes want more than the {facts.cpus} processors; fewer workers would lose nothing.",
    )


def _input(facts: Facts) -> Limit:
    share = facts.share("input")
    return Limit(
        "input",
        f"Workers waited for the input {share:.0%} of the time; more of them change nothing, "
        "reading faster would help.",
    )


def _consumer(facts: Facts) -> Limit:
    share = facts.share("consumer")
    return Limit(
        "consumer",
        f"Results were not taken for {share:.0%} of the time, so nothing more was read; more "
        "workers change nothing, a faster consumer (or a larger buffer_size) would help.",
    )


def _rate(facts: Facts) -> Limit:
    share = facts.share("rate")
    return Limit(
        "rate",
        f"The rate limit held workers back for {share:.0%} of the time "
        f"({facts.attempts / facts.elapsed:,.3g} starts per second); a higher rate would help.",
    )


def _retries(facts: Facts) -> Limit:
    share = facts.share("retries")
    return Limit(
        "retries",
        f"Workers waited for items to be tried again for {share:.0%} of the time "
        f"({facts.failed_attempts:,} attempts failed); a shorter backoff would help, or fewer "
        "failures.",
    )


def _startup(facts: Facts) -> Limit:
    share = facts.share("startup")
    return Limit(
        "startup",
        f"Starting the workers took {share:.0%} of the time; a Pool keeps them for the next map.",
    )


def _callbacks(facts: Facts) -> Limit:
    share = facts.share("callbacks")
    return Limit(
        "callbacks",
        f"Workers had nothing to do for {share:.0%} of the time while on_complete was called, "
        "which is done one at a time; do less there, or only note the result for another thread.",
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


def _last_items(facts: Facts) -> Limit:
    share = facts.share("tail")
    return Limit(
        "tail", f"Workers had nothing left to do for {share:.0%} of the time: there was no more."
    )


def _tiny(facts: Facts) -> Limit:
    return Limit(
        "small_items",
        f"Items of {duration(facts.mean)} are run by one worker as fast as by several "
        f"({facts.attempts / facts.elapsed:,.0f} per second).",
    )


_BY_PART: dict[str, Callable[[Facts], Limit]] = {
    "computing": _computing,
    "calls": _calls,
    "waiting": _calls,
    "gil": _waiting_for_gil,
    "not_scheduled": _not_scheduled,
    "unknown": _unknown,
    "input": _input,
    "consumer": _consumer,
    "callbacks": _callbacks,
    "rate": _rate,
    "retries": _retries,
    "startup": _startup,
    "transport": _transport,
    "tail": _last_items,
    "tiny": _tiny,
}


def _items(count: int) -> str:
    return f"{count:,} item{'' if count == 1 else 's'}"
