"""What is said of a run whose calls a service, or a rate, limited. Pure."""

from __future__ import annotations

from .limit import Limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .facts import Facts

# The parts of time that are large where a service refuses calls: it answers late, or not yet.
_WAITING = frozenset({"retries", "rate", "calls", "waiting", "unknown"})
# The share of the allowed starts from which on the rate is what limits them.
_REACHED = 0.9


def refused(facts: Facts) -> Limit | None:
    """Say that the service refused calls; None if it did not, or something else took longer.

    More workers are never the advice then: they would be refused too.
    """
    if not facts.refused or facts.largest not in _WAITING:
        return None
    took = (facts.attempts - facts.refused) / facts.elapsed
    if facts.is_auto:
        advice = (
            'max_workers="auto" keeps to what it allows, and only a higher limit there would help'
        )
    elif facts.rate is not None:
        advice = f"a rate of no more than the {took:,.3g} per second that it took would help"
    else:
        advice = (
            f'max_workers="auto", or a rate of the {took:,.3g} per second that it took, would help'
        )
    return Limit(
        "throttled",
        f"The service refused {facts.refused:,} of {facts.attempts:,} calls and wants fewer; "
        f"{advice}.",
    )


def rate_reached(facts: Facts) -> Limit | None:
    """Say that the starts were as many as the rate allows; None if they were fewer.

    Workers then wait for it whatever their number is, and it is chance where their time went.
    """
    starts = facts.attempts / facts.elapsed
    if facts.rate is None or starts < _REACHED * facts.rate:
        return None
    return Limit(
        "rate",
        f"The rate limit held starts back: {starts:,.3g} of the {facts.rate:,.3g} per second that "
        "it allows; more workers change nothing, a higher rate would help.",
    )
