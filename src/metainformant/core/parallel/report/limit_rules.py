"""The limits that are known by more than the largest part of the time, in order. Pure."""

from __future__ import annotations

from . import prediction
from .limit import Limit
from .quantities import duration
from .service import rate_reached, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .facts import Facts

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
    seconds = prediction.in_one_thread(facts)
    return Limit(
        "small_items",
        f"Items of {duration(facts.mean)} are too small for processes: the calls took "
        f"{duration(seconds)} in all, which is what a plain loop or thread_map would "
        f"take instead of {duration(facts.elapsed)}; or hand over lists with parallel_batch.",
        seconds,
    )


def _gil(facts: Facts) -> Limit | None:
    share = facts.share("gil", "waiting")
    if facts.is_auto:  # the few that it leaves wait for the engine, which waits for the GIL
        share += facts.share("transport", "callbacks", "startup")
    if not facts.share_gil or facts.workers < 2 or facts.cpu < _ONE_AT_A_TIME * facts.elapsed:
        return None
    if share < _SOME:
        return None
    waited = f"Threads took turns for the GIL, and waited {share:.0%} of the time"
    if facts.ended_at is not None:
        waited += f'; max_workers="auto" ended at {facts.ended_at} of them'
    if facts.cpus < 2:
        return Limit("gil", f"{waited}; on one processor nothing but faster code helps.")
    seconds = prediction.on_all_processors(facts)
    return Limit(
        "gil",
        f"{waited}; process_map on {facts.cpus} processors would take about {duration(seconds)} "
        f"instead of {duration(facts.elapsed)}.",
        seconds,
    )


def _blocked_loop(facts: Facts) -> Limit | None:
    """Judge by how long coroutines took to begin, for which a loop that is free takes no time.

    Many begin in several steps of the loop: then their calls wait for it, and not they.
    """
    share = facts.share("startup", "transport")
    if facts.backend != "asyncio" or facts.is_prepared or share < _SOME:
        return None
    if facts.share("startup") < _SOME / 2:
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
    seconds = prediction.with_long_items_first(facts)
    return Limit(
        "tail",
        f"Workers had nothing left to do for {share:.0%} of the time while the last items ended; "
        f"the longest item ({longest['item']}) ran {duration(longest['seconds'])} of "
        f"{duration(facts.elapsed)}. Put long items first: that would take about "
        f"{duration(seconds)}.",
        seconds,
    )


RULES: tuple[Callable[[Facts], Limit | None], ...] = (
    _failing,
    _quota,
    refused,
    rate_reached,
    _oversubscribed,
    _small,
    _gil,
    _blocked_loop,
    _tail,
)
