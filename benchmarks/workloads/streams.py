"""Streams: what lazy reading, order and constant memory cost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from metainformant.core import parallel

from ..harness.runner import ROOT
from ..harness.workload import Contender, Facts, Group, Unable, Workload
from ..peers import ours
from ..peers.table import Adapter, Table, peers
from ..peers.threads import STREAMS
from ..tasks import look_at, same

_WORKERS, _CHUNK = 8, 1000
_NUMBERS = 5_000_000
_CHUNKS = "Peers that have chunks get chunks of 1,000 items, which metainformant finds by itself."


def _numbers(count: int) -> Iterator[int]:
    for number in range(count):  # noqa: UP028  # a generator, as users write them
        yield number


def _records(count: int) -> Iterator[bytes]:
    """Each is an object of its own, of 1,000 bytes."""
    for _ in range(count):
        yield bytes(1000)


def _images(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 1_000_000  # zeros would take no memory before somebody looks


def drain(results: Iterable[Any]) -> None:
    deque(results, maxlen=0)


def drained(table: Table) -> Table:
    """The same adapters, iterated to the end."""

    def to_the_end(adapter: Adapter) -> Adapter:
        return lambda func, source, *args: drain(adapter(func, source(), *args))

    return {
        name: adapter if isinstance(adapter, Unable) else to_the_end(adapter)
        for name, adapter in table.items()
    }


def _integers(_: ExitStack) -> list[Contender]:
    source = partial(_numbers, _NUMBERS)

    def probe(share: int) -> tuple[Any, ...]:
        return same, partial(_numbers, _NUMBERS // share), _WORKERS, _CHUNK

    return [
        Contender("plain map()", "limit", lambda: drain(map(same, source()))),
        ours.ours(lambda: drain(parallel.imap(same, source(), max_workers=_WORKERS)), "imap"),
        *peers(drained(STREAMS), same, source, _WORKERS, _CHUNK, probe=probe),
    ]


def _outcomes(_: ExitStack) -> list[Contender]:
    count = 1_000_000
    return [
        Contender("plain map()", "limit", lambda: drain(map(same, _numbers(count)))),
        ours.ours(lambda: drain(parallel.imap(same, _numbers(count))), "imap"),
        ours.ours(lambda: drain(parallel.outcomes(same, _numbers(count))), "outcomes"),
    ]


def _durations() -> list[float]:
    chance = random.Random(1)
    return [0.1 if chance.random() < 0.01 else 0.001 for _ in range(20_000)]


def _order(_: ExitStack) -> list[Contender]:
    durations = _durations()

    def run(ordered: bool) -> None:
        drain(parallel.imap(time.sleep, iter(durations), max_workers=64, ordered=ordered))

    return [
        ours.ours(partial(run, True), "ordered"),
        ours.ours(partial(run, False), "unordered"),
        *peers(drained(STREAMS), time.sleep, lambda: iter(durations), 64, 1),
    ]


def _plain(func: Callable[[Any], Any], items: Iterable[Any], *_: object) -> Iterator[Any]:
    return map(func, items)


def _imap(func: Callable[[Any], Any], items: Iterable[Any], *_: object) -> Iterator[Any]:
    return parallel.imap(func, items, max_workers=_WORKERS)


_MEMORY: Table = {"plain map()": _plain, ours.NAME: _imap, **STREAMS}


class _Load(NamedTuple):
    items: Callable[[int], Iterator[Any]]
    func: Callable[[Any], Any] = same
    chunk: int = _CHUNK  # for the peers that have chunks


_LOADS = {
    "numbers": _Load(_numbers),
    "records": _Load(_records),
    "images": _Load(_images, look_at, chunk=1),
}


def grown(name: str, load: str, count: int) -> float:
    """By how many MiB a stream of so many items raises this process's peak of memory."""
    (items, func, chunk), stream = _LOADS[load], _MEMORY[name]
    assert not isinstance(stream, Unable)
    drain(stream(same, items(10), _WORKERS, 1))  # imports what it needs
    before = _peak()
    drain(stream(func, items(count), _WORKERS, chunk))
    return _peak() - before


def _peak() -> float:
    """The most memory that this process has had, in MiB."""
    try:  # what resource tells may be the peak of the process that started this one
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / 1024 if sys.platform == "linux" else most / 2**20


def _apart(name: str, load: str, count: int) -> float:
    """`grown`, in a process of its own, since a peak never comes down."""
    code = f"from benchmarks.workloads.streams import grown; print(grown{name, load, count})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _memory(load: str, count: int, _: ExitStack) -> list[Contender]:
    def probe(share: int) -> tuple[Any, ...]:
        return same, partial(_records, count // share), _WORKERS, _CHUNK

    able = peers(drained(STREAMS), probe=probe if count > 100_000 else None)
    return [
        Contender("plain map()", "limit", partial(_apart, "plain map()", load, count)),
        ours.ours(partial(_apart, ours.NAME, load, count)),
        *(
            peer
            if isinstance(peer.run, Unable)
            else replace(peer, run=partial(_apart, peer.name, load, count))
            for peer in able
        ),
    ]


def _integers_memory() -> dict[str, str]:
    return {"memory above the start": f"{_apart(ours.NAME, 'numbers', _NUMBERS):.1f} MiB"}


def _memory_of(count: int) -> Workload:
    return Workload(
        f"memory-{count}",
        f"Memory above the start, {count:,} records of 1 kB, {_WORKERS} threads",
        partial(_memory, "records", count),
        rounds=3,
        unit="MiB",
        own=True,
        x=count,
    )


GROUP = Group(
    "streams",
    "Streams",
    [
        Workload(
            "stream-integers",
            f"{_NUMBERS:,} integers, {_WORKERS} threads",
            _integers,
            rounds=5,
            seconds=20,
            limit="a plain `map()`",
            note=_CHUNKS,
        ),
        Workload(
            "stream-outcomes",
            "1,000,000 integers with an outcome for each, 8 threads",
            _outcomes,
            rounds=5,
            limit="a plain `map()`",
            note="An outcome has times, attempts and the worker's name.",
        ),
        Workload(
            "stream-order",
            "20,000 sleeps of 1 ms, 1 % of 100 ms, 64 threads",
            _order,
            rounds=3,
            limit="the ideal schedule",
            ideal=sum(_durations()) / 64,
        ),
    ],
)

MEMORY = Group(
    "memory",
    "Memory of streams",
    [
        *(_memory_of(10**power) for power in range(3, 7)),
        Workload(
            "memory-images",
            f"Memory above the start, 1,000 images of 1 MB, tasks of 10 ms, {_WORKERS} threads",
            partial(_memory, "images", 1000),
            rounds=3,
            unit="MiB",
            own=True,
            note="Here all peers get chunks of one item.",
        ),
        Facts("memory-integers", f"imap over {_NUMBERS:,} integers, 8 threads", _integers_memory),
    ],
    "Each record is an object of 1,000 bytes, its result is the record, and the consumer drops it. "
    "metainformant may read 32,768 items ahead, unless `buffer_size` says otherwise. joblib reads "
    "item by item, and takes about 20 us for each. "
    "Every stream runs in a process of its own. In the picture, less than 0.1 MiB is drawn as 0.1. "
    + _CHUNKS,
)
