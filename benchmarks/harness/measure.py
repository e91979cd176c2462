"""Measure one workload in this process: every contender in turn, round after round.

A contender that takes long sits out some of the rounds, evenly spread, so that the quick ones need
not make do with as few.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from .environment import python
from .results import Result, Row
from .workload import Contender, Entry, Facts, Run, Unable, Workload

TOO_LONG = 8.0  # seconds that a round may take
FEWEST = 3  # rounds


def measure(entry: Entry, scale: float = 1.0) -> Result:
    """Do all rounds of a workload, in `scale` of the time that it asks for."""
    date = datetime.now(UTC).date().isoformat()
    if isinstance(entry, Facts):
        result = Result(entry.name, entry.title, date, facts=entry.report(), note=entry.note)
    else:
        result = Result(
            entry.name,
            entry.title,
            date,
            unit=entry.unit,
            limit=entry.limit,
            note=entry.note,
            x=entry.x,
            python=python() if entry.free_threaded else "",
        )
        rows = _rows(entry, scale)
        result = replace(result, rows=rows, ideal=ideal(entry, rows))
    return result


def ideal(workload: Workload, rows: list[Row]) -> float | None:
    """What is physically possible: a number that is known, or a share of what was measured."""
    if workload.ideal is not None:
        return workload.ideal
    limits = [row.median for row in rows if row.kind == "limit" and row.median is not None]
    return limits[0] / workload.parts if limits else None


def _rows(workload: Workload, scale: float) -> list[Row]:
    with ExitStack() as stack:
        contenders = workload.build(stack)
        gc.collect()
        gc.freeze()  # so that collections between rounds do not visit the items
        first, reasons = _warm_up(contenders, workload)
        values: dict[str, list[float]] = {}
        turns: dict[str, int] = {}
        for name, (value, took) in first.items():
            turns[name], counts = how_many(workload, len(first) * took, scale)
            values[name] = [value] if counts else []
        able = [contender for contender in contenders if contender.name in first]
        for number in range(rounds := max(turns.values(), default=0)):
            taking = [one for one in able if has_turn(number, turns[one.name], rounds)]
            # In another order each time: what one leaves behind is not always the same one's.
            for contender in random.Random(number).sample(taking, len(taking)):
                _say(contender)
                values[contender.name].append(_once(contender.run, workload.own)[0])
    return [
        Row(contender.name, contender.kind, reason=reasons[contender.name])
        if contender.name in reasons
        else _row(contender, values[contender.name])
        for contender in contenders
    ]


def how_many(workload: Workload, took: float, scale: float) -> tuple[int, bool]:
    """Rounds that fit into the time, if each takes as long as the first did; whether that counts.

    The first round has to count where there is not enough time for another three. To give each
    contender an equal share of the time, `took` is what a round of so many like it would take.
    """
    fewest = FEWEST if scale >= 1 else 1
    fit = min(workload.rounds, int(scale * workload.seconds / took) if took else workload.rounds)
    return (fit, False) if fit >= fewest else (fewest - 1, True)


def has_turn(number: int, turns: int, rounds: int) -> bool:
    """Whether a contender that has so many turns in so many rounds has one in this round."""
    return (number + 1) * turns // rounds > number * turns // rounds


def _say(contender: Contender) -> None:
    """Tell who is at work, for the case that it never ends."""
    print(contender.name, file=sys.stderr, flush=True)


def _row(contender: Contender, values: list[float]) -> Row:
    middle = statistics.median(values)
    return Row(contender.name, contender.kind, middle, min(values), max(values), len(values))


def _once(run: Run | Unable, own: bool) -> tuple[float, object]:
    """What a round came to, and its answer."""
    assert not isinstance(run, Unable)
    gc.collect()
    began = time.perf_counter()
    answer = run()
    took = time.perf_counter() - began
    if not own:
        return took, answer
    assert isinstance(answer, (int, float))
    return float(answer), None


def _warm_up(
    contenders: list[Contender], workload: Workload
) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    """The first round: what it came to and how long it took; why others are not able.

    It also sees to it that all do the same work: their answers must have as many items and as many
    failures as is expected, or as the first one's.
    """
    first: dict[str, tuple[float, float]] = {}
    reasons: dict[str, str] = {}
    expected = workload.expected
    for contender in contenders:
        reason = _obstacle(contender)
        if not reason:
            began = time.perf_counter()
            _say(contender)
            try:
                value, answer = _once(contender.run, workload.own)
            except Exception as error:  # the others still count
                reason = f"failed: {type(error).__name__}: {error}"
            else:
                took = time.perf_counter() - began
                found = _digest(answer)
                del answer
                expected = expected or found
                if found and found != expected:
                    reason = f"failed: {found} items and failures instead of {expected}"
                elif contender.kind == "peer" and took > TOO_LONG:
                    reason = f"left out: took {took:,.0f} s"
                else:
                    first[contender.name] = value, took
        if reason:
            reasons[contender.name] = " ".join(reason.split())[:200]
    return first, reasons


def _obstacle(contender: Contender) -> str:
    if isinstance(contender.run, Unable):
        return contender.run.reason
    if contender.probe is None:
        return ""
    for share in (1000, 100, 10):
        began = time.perf_counter()
        contender.probe(share)
        took = time.perf_counter() - began
        # Up to a quarter of a second may be the start and the end of the workers.
        if took > 0.25 and took * share > TOO_LONG:
            return f"left out: would take about {took * share:,.0f} s"
    return ""


def _digest(answer: object) -> tuple[int, int] | None:
    if not isinstance(answer, list):
        return None
    return len(answer), sum(isinstance(part, BaseException) for part in answer)
