"""How long a run would take after a change, in seconds. Pure.

What a change costs besides, as starting processes, is left out: it does not grow with the run.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .facts import Facts


def on_all_processors(facts: Facts) -> float:
    """Predict for calls that compute on all processors at the same time: in processes."""
    return max(facts.cpu / facts.cpus, facts.longest)


def with_a_worker_per_processor(facts: Facts) -> float:
    """Predict for workers that compute, of which there were fewer than processors."""
    return max(facts.elapsed * facts.workers / facts.cpus, facts.longest)


def with_twice_the_workers(facts: Facts) -> float:
    """Predict for calls that wait, if what they wait for has no limit of its own."""
    computing = facts.cpu if facts.share_gil else facts.cpu / facts.cpus
    return max(facts.elapsed / 2, facts.longest, computing)


def with_long_items_first(facts: Facts) -> float:
    """Predict for workers that all have something to do until the longest item ends."""
    return max(facts.longest, facts.busy / facts.workers)


def in_one_thread(facts: Facts) -> float:
    """Predict for a plain loop."""
    return facts.calls_total
