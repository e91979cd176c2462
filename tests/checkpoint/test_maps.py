"""Maps with a checkpoint: what every kind of them promises, in one process."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from metainformant.core import parallel
from metainformant.core.parallel import Checkpoint
from metainformant.core.parallel.checkpoint.identity import run_name
from tests.support import wait_for_other_threads

from . import tasks

Results = list[Any]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


class Kind(NamedTuple):
    """A map that returns its results as a list."""

    name: str
    map: Callable[..., Results]
    is_ordered: bool = True

    def run(self, task: Callable[..., Any], log: Path, items: Iterable[int], **more: Any) -> Any:
        return self.map(partial(task, log), items, **more)


def _stream(**options: Any) -> Callable[..., Results]:
    def run(func: Callable[..., Any], items: Any, **more: Any) -> Results:
        with parallel.imap(func, items, max_workers=2, **options, **more) as results:
            return list(results)

    return run


def _outcomes(func: Callable[..., Any], items: Any, **more: Any) -> Results:
    found = list(parallel.outcomes(func, items, max_workers=2, **more))
    assert [outcome.index for outcome in found] == list(range(len(found)))
    assert [outcome.item for outcome in found] == list(items)
    for outcome in found:
        assert outcome.started is not None
        assert outcome.seconds is not None
        assert outcome.worker
    return [outcome.value if outcome.ok else outcome.error for outcome in found]


def _asynchronous(func: Callable[..., Any], items: Any, **more: Any) -> Results:
    async def main() -> Results:
        return [result async for result in parallel.aimap(func, items, max_workers=2, **more)]

    return asyncio.run(main())


def _pool(method: str, **options: Any) -> Callable[..., Results]:
    def run(func: Callable[..., Any], items: Any, **more: Any) -> Results:
        with parallel.Pool(max_workers=2, **options) as pool:
            return list(getattr(pool, method)(func, items, **more))

    return run


def _batches(func: partial[Any], items: Any, **more: Any) -> Results:
    per_batch = partial(tasks.noted_batch, *func.args)
    return parallel.parallel_batch(per_batch, items, batch_size=10, **more)


def _executor(func: Callable[..., Any], items: Any, **more: Any) -> Results:
    with ThreadPoolExecutor(2) as executor:
        return list(parallel.imap(func, items, backend=executor, **more))


def _list(function: Callable[..., Results]) -> Callable[..., Results]:
    return lambda func, items, **more: function(func, items, max_workers=2, **more)


KINDS = [
    Kind("thread_map", _list(parallel.thread_map)),
    Kind("thread_map_unordered", _list(parallel.thread_map_unordered), is_ordered=False),
    Kind("parallel_batch", _batches),
    Kind("process_map", _list(parallel.process_map)),
    Kind("imap", _stream()),
    Kind("imap_unordered", _stream(ordered=False), is_ordered=False),
    Kind("imap_processes", _stream(backend="process")),
    Kind("outcomes", _outcomes),
    Kind("aimap", _asynchronous),
    Kind("executor", _executor),
    Kind("pool", _pool("map")),
    Kind("pool_of_processes", _pool("imap", backend="process")),
]
if sys.version_info >= (3, 14):
    KINDS.append(Kind("interpreter_map", _list(parallel.interpreter_map)))
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@every_kind
class TestEveryKind:
    def test_what_is_finished_is_not_run_again(self, kind: Kind, tmp_path: Path, log: Path) -> None:
        path = tmp_path / "run.db"
        wanted = [("result", item) for item in range(100)]
        for count, new in [(50, range(50)), (100, range(50, 100)), (100, ())]:
            results = kind.run(tasks.noted, log, range(count), checkpoint=path)
            if not kind.is_ordered:
                results.sort()
            assert results == wanted[:count]
            assert sorted(tasks.noted_items(log)) == list(new)

    def test_the_place_of_an_item_does_not_matter(
        self, kind: Kind, tmp_path: Path, log: Path
    ) -> None:
        path = str(tmp_path / "run.db")
        kind.run(tasks.noted, log, range(20, 70), checkpoint=path)
        tasks.noted_items(log)
        items = [*range(100, 110), *range(60, 70), *range(20, 60), *range(200, 210)]
        results = kind.run(tasks.noted, log, items, checkpoint=path)
        wanted = [("result", item) for item in items]
        assert results == wanted if kind.is_ordered else sorted(results) == sorted(wanted)
        again = sorted(tasks.noted_items(log))
        assert again == [*range(100, 110), *range(200, 210)]

    def test_every_success_is_told(self, kind: Kind, tmp_path: Path, log: Path) -> None:
        for _ in range(2):
            told: dict[int, Any] = {}
            kind.run(
                tasks.noted,
                log,
                range(30),
                checkpoint=tmp_path / "run.db",
                on_complete=lambda index, _, result, told=told: told.update({index: result}),
            )
            if kind.name == "parallel_batch":
                assert sorted(told) == [0, 1, 2]
            else:
                assert told == {item: ("result", item) for item in range(30)}


items_alone = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.name != "parallel_batch"], ids=lambda kind: kind.name
)


@items_alone
class TestFailures:
    def test_they_are_run_again(self, kind: Kind, tmp_path: Path, log: Path) -> None:
        path = tmp_path / "run.db"
        for expected in (range(20), range(1, 20, 2)):
            results = kind.run(tasks.noted_or_failed, log, range(20), checkpoint=path)
            errors = [error for error in results if isinstance(error, ValueError)]
            assert sorted(map(str, errors)) == sorted(f"{item} is odd" for item in range(1, 20, 2))
            assert sorted(tasks.noted_items(log)) == list(expected)

    def test_or_kept(self, kind: Kind, tmp_path: Path, log: Path) -> None:
        checkpoint = Checkpoint(tmp_path / "run.db", failures="keep")
        for expected in (range(20), ()):
            results = kind.run(tasks.noted_or_failed, log, range(20), checkpoint=checkpoint)
            errors = [error for error in results if isinstance(error, ValueError)]
            assert len(errors) == 10
            for error in errors:
                number = int(str(error).split()[0])
                assert f"item {number} ({number}), attempt 1" in error.__notes__
            assert sorted(tasks.noted_items(log)) == list(expected)

    def test_a_kept_one_ends_a_map_that_raises(self, kind: Kind, tmp_path: Path, log: Path) -> None:
        if kind.name == "outcomes":
            return  # it has no on_error
        checkpoint = Checkpoint(tmp_path / "run.db", failures="keep")
        kind.run(tasks.noted_or_failed, log, [0, 2, 3], checkpoint=checkpoint)
        tasks.noted_items(log)
        items = [0, 2, 3, *range(10, 20)]
        with pytest.raises(ValueError, match="3 is odd") as caught:
            kind.run(tasks.noted_or_failed, log, items, checkpoint=checkpoint, on_error="raise")
        assert "item 2 (3), attempt 1" in caught.value.__notes__


def test_a_map_that_has_nothing_to_do_starts_no_worker(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metainformant.core.parallel.backends.threads.backend import ThreadBackend

    path = tmp_path / "run.db"
    parallel.thread_map(partial(tasks.noted, log), range(10), checkpoint=path)
    monkeypatch.delattr(ThreadBackend, "spawn")
    with pytest.raises(AttributeError, match="spawn"):
        parallel.thread_map(partial(tasks.noted, log), range(11), checkpoint=path)
    wanted = [("result", item) for item in range(10)]
    assert parallel.thread_map(partial(tasks.noted, log), range(10), checkpoint=path) == wanted
    assert list(parallel.imap(partial(tasks.noted, log), range(10), checkpoint=path)) == wanted
    assert parallel.thread_map(partial(tasks.noted, log), [], checkpoint=path) == []


def test_items_that_are_equal_have_outcomes_of_their_own(tmp_path: Path, log: Path) -> None:
    path = tmp_path / "run.db"
    parallel.thread_map(partial(tasks.noted, log), [1, 1, 2], checkpoint=path)
    assert sorted(tasks.noted_items(log)) == [1, 1, 2]
    assert parallel.thread_map(partial(tasks.noted, log), [1, 2, 1, 1], checkpoint=path) == [
        ("result", item) for item in (1, 2, 1, 1)
    ]
    assert tasks.noted_items(log) == [1]


def test_an_endless_input_is_read_lazily_when_it_is_resumed(tmp_path: Path, log: Path) -> None:
    path = tmp_path / "run.db"
    for count in (300, 3000, 3000):
        read: list[int] = []

        def numbers(read: list[int] = read) -> Iterable[int]:
            for number in itertools.count():
                read.append(number)
                yield number

        with parallel.imap(
            partial(tasks.noted, log), numbers(), max_workers=2, checkpoint=path, buffer_size=100
        ) as results:
            found = list(itertools.islice(results, count))
        assert found == [("result", item) for item in range(count)]
        assert len(read) <= count + 100
        tasks.noted_items(log)


def test_a_stream_that_was_left_can_be_resumed_at_once(tmp_path: Path, log: Path) -> None:
    path = tmp_path / "run.db"
    for _ in range(5):
        results = iter(
            parallel.imap(partial(tasks.noted, log), range(100), max_workers=2, checkpoint=path)
        )
        assert next(results) == ("result", 0)
        del results
    assert tasks.noted_items(log).count(0) == 1


class TestIdentity:
    def test_a_lambda_needs_a_name(self, tmp_path: Path) -> None:
        path = tmp_path / "run.db"
        for run in (parallel.thread_map, parallel.imap, parallel.process_map):
            with pytest.raises(ValueError, match=r"is a lambda.*Checkpoint\(path, name=\.\.\.\)"):
                run(lambda item: item, [1], checkpoint=path)
        checkpoint = Checkpoint(path, name="same")
        assert parallel.thread_map(lambda item: item, [1], checkpoint=checkpoint) == [1]

    def test_wrong_values_are_refused_at_the_call(self) -> None:
        with pytest.raises(TypeError, match="thread_map: checkpoint=7 must be the path of a file"):
            parallel.thread_map(len, [], checkpoint=7)  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="imap: checkpoint='' must be the path of a file"):
            parallel.imap(len, [], checkpoint="")

    def test_an_item_without_a_key_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "run.db"
        with pytest.raises(TypeError, match=r"item <object object.* has no key"):
            parallel.thread_map(str, [1, object()], checkpoint=path)
        with pytest.raises(TypeError, match=r"item <object object.* has no key"):
            list(parallel.imap(str, [1, object()], checkpoint=path))

    def test_a_key_that_fails(self, tmp_path: Path) -> None:
        checkpoint = Checkpoint(tmp_path / "run.db", key=lambda item: 1 / item)
        for run in (parallel.thread_map, lambda *args, **more: list(parallel.imap(*args, **more))):
            with pytest.raises(ZeroDivisionError) as caught:
                run(str, [1, 0], checkpoint=checkpoint)
            assert "raised by key= of the checkpoint for item 0" in caught.value.__notes__

    def test_batches_have_the_keys_of_their_items(self, tmp_path: Path, log: Path) -> None:
        checkpoint = Checkpoint(tmp_path / "run.db", key=lambda item: item % 10)
        for items in (range(10), range(100, 110)):
            results = parallel.parallel_batch(
                partial(tasks.noted_batch, log), items, batch_size=5, checkpoint=checkpoint
            )
            assert results == [("result", item) for item in range(10)]
        (status,) = checkpoint.status().runs
        assert status.name == run_name(partial(tasks.noted_batch, log))


@dataclass(eq=False)
class Item:
    """An item, or a result, that can be watched."""

    number: int


def other(item: Item) -> Item:
    return Item(item.number + 1000)


def test_no_cycle_keeps_items_or_results(tmp_path: Path) -> None:
    watched: weakref.WeakSet[Any] = weakref.WeakSet()

    def items() -> Iterable[Item]:
        for number in range(100):
            item = Item(number)
            watched.add(item)
            yield item
            del item

    for _ in range(2):  # run, and replayed
        before = set(threading.enumerate())
        gc.disable()
        try:
            watched.update(parallel.thread_map(other, items(), checkpoint=tmp_path / "list.db"))
            for result in parallel.imap(other, items(), checkpoint=tmp_path / "stream.db"):
                watched.add(result)
            del result
            wait_for_other_threads(before)
            assert not list(watched)
        finally:
            gc.enable()


class HaltedError(OSError):
    """An exception whose class can't be called with its `args`."""

    def __init__(self, step: int, machine: str) -> None:
        super().__init__(step)
        self.machine = machine


def halted(item: int) -> Any:
    return [HaltedError(item, "a")] if item == 1 else item


def test_exceptions_in_results_are_read_without_their_constructors(tmp_path: Path) -> None:
    first = parallel.thread_map(halted, range(3), checkpoint=tmp_path / "c")
    again = parallel.thread_map(halted, range(3), checkpoint=tmp_path / "c")
    assert repr(again) == repr(first) == "[0, [HaltedError(1)], 2]"
    (error,) = again[1]  # type: ignore[misc]
    assert error.machine == "a"


def complex_of(item: int) -> Any:
    return [complex(item)]


def test_a_result_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Checkpoint(tmp_path / "c")
    parallel.thread_map(complex_of, range(3), checkpoint=kept)

    def broken(data: bytes) -> Any:
        raise ModuleNotFoundError("No module named 'gone'")

    monkeypatch.setattr("metainformant.core.parallel.checkpoint.codec.loads", broken)
    with pytest.raises(parallel.CheckpointError, match=r"value of item 0 of .*complex_of can't"):
        parallel.thread_map(complex_of, range(3), checkpoint=kept)
