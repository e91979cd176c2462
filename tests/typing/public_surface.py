"""Typed uses of the public names. mypy and pyright check this file; nothing runs it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncGenerator
from typing import Any, assert_type

from metainformant.core import parallel


def length(sequence: str) -> int:
    return len(sequence)


def lengths(batch: list[str]) -> list[int]:
    return [len(sequence) for sequence in batch]


names = ["ATG", "GATTACA"]

assert_type(parallel.thread_map(length, names), list[int | BaseException])
assert_type(parallel.thread_map(length, names, 4, None, 2.5, False), list[int | BaseException])
assert_type(parallel.thread_map(length, names, on_error="return"), list[int | BaseException])
assert_type(parallel.thread_map(length, names, on_error="raise"), list[int])
assert_type(parallel.thread_map(length, iter(names), on_error="skip", deadline=60), list[int])

assert_type(parallel.thread_map(length, names, default=None), list[int | None])
assert_type(parallel.parallel_batch(lengths, names, default="no"), list[int | str])
assert_type(parallel.imap(length, names, default=0.5), parallel.Results[int | float])

assert_type(parallel.thread_map_unordered(length, names), list[int | BaseException])
assert_type(parallel.thread_map_unordered(length, names, 4, 1.0, on_error="skip"), list[int])

assert_type(parallel.parallel_batch(lengths, names), list[int | BaseException])
assert_type(parallel.parallel_batch(lengths, names, 100, 2, on_error="raise"), list[int])
assert_type(parallel.parallel_batch(lengths, names, timeout=3, on_error="skip"), list[int])

stream = parallel.outcomes(length, names, ordered=False, buffer_size=10)
assert_type(stream, parallel.Results[parallel.Outcome[str, int]])
for outcome in stream:
    assert_type(outcome.item, str)
    assert_type(outcome.value, int)
    assert_type(outcome.error, BaseException | None)
    assert_type(outcome.unwrap(), int)

assert_type(parallel.imap(length, names), parallel.Results[int | BaseException])
assert_type(parallel.aimap(length, names), AsyncGenerator[int | BaseException, None])
assert_type(parallel.aimap(length, names, on_error="skip"), AsyncGenerator[int, None])
with parallel.imap(length, iter(names), on_error="raise", retries=2, rate=10) as found:
    for number in found:
        assert_type(number, int)


async def length_later(sequence: str) -> int:
    return len(sequence)


assert_type(parallel.async_map(length_later, names), list[int | BaseException])
assert_type(parallel.async_map(length_later, names, "auto", on_error="raise"), list[int])
few = parallel.Auto(most=9)
assert_type(
    parallel.aimap(length_later, names, max_workers=few, on_error="skip"), AsyncGenerator[int, None]
)
assert_type(
    parallel.imap(length_later, names, backend="asyncio", max_workers="auto", on_error="raise"),
    parallel.Results[int],
)
assert_type(
    parallel.outcomes(length_later, names, backend="asyncio", max_workers="auto"),
    parallel.Results[parallel.Outcome[str, int]],
)
assert_type(parallel.async_map(length_later, names, 10, on_error="raise"), list[int])
assert_type(parallel.async_map(length_later, names, default=0.5), list[int | float])
assert_type(
    parallel.imap(length_later, names, backend="asyncio"), parallel.Results[int | BaseException]
)
assert_type(
    parallel.outcomes(length_later, names, backend="asyncio"),
    parallel.Results[parallel.Outcome[str, int]],
)
assert_type(parallel.aimap(length_later, names, on_error="skip"), AsyncGenerator[int, None])


async def main() -> None:
    assert_type(await parallel.aiomap(length_later, names), list[int | BaseException])
    assert_type(await parallel.aiomap(length_later, names, on_error="skip"), list[int])


with parallel.Pool("process", 2) as pool:
    assert_type(pool.map(length, names), list[int | BaseException])
    assert_type(pool.map(length, names, on_error="raise"), list[int])
    assert_type(pool.imap(length, names, on_error="skip"), parallel.Results[int])
    assert_type(pool.batch(lengths, names, 100), list[int | BaseException])
    assert_type(pool.batch(lengths, names, on_error="raise", timeout=3), list[int])
    records = pool.outcomes(length, names, ordered=False, deadline=60)
    assert_type(records, parallel.Results[parallel.Outcome[str, int]])


def insert(name: str, connection: sqlite3.Connection) -> float:
    return float(connection.total_changes + len(name))


def connect() -> sqlite3.Connection:
    return sqlite3.connect(":memory:")


assert_type(parallel.thread_map(insert, names, worker_state=connect, on_error="raise"), list[float])


def joined(left: str, right: str, *, separator: str) -> str:
    return left + separator + right


pairs = [("a", "b")]
separator = {"separator": "-"}
assert_type(parallel.thread_map(joined, pairs, star=True, kwargs=separator), list[Any])
assert_type(
    parallel.thread_map(insert, names, kwargs={"connection": connect()}),
    list[float | BaseException],
)
assert_type(parallel.imap(joined, pairs, star=True, kwargs=separator), parallel.Results[Any])

assert_type(parallel.rate_limited_map(length, names, 5), list[int | BaseException])
assert_type(parallel.cpu_count(), int)

current = parallel.current_task()
assert_type(current, parallel.CurrentTask | None)
if current is not None:
    assert_type(current.index, int)
    assert_type(current.seconds_left, float | None)
    assert_type(current.cancelled(), bool)
    assert_type(current.random, random.Random)

values, failures = parallel.split(parallel.thread_map(length, names))
assert_type(values, list[int])
assert_type(failures, parallel.Failures)
assert_type(failures[0].error, BaseException)
