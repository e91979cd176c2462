"""`Pool`: workers that are kept, whatever happens to them."""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
import multiprocessing
import os
import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.ipc.channel import Channel
from metainformant.core.parallel.backends.isolated import messages, worker_group
from tests.backends import tasks
from tests.support import wait_until


def same(item: Any) -> Any:
    return item


def same_with(_: bytes, item: Any) -> Any:
    return item


def pid(_: object) -> int:
    return os.getpid()


def touch_and_hang(item: tuple[Path, Path]) -> Path:
    """Touch the first file, and wait for the second, whatever is done to end that."""
    path, gate = item
    path.touch()
    while not gate.exists():
        with contextlib.suppress(BaseException):
            time.sleep(0.01)
    return path


def fail(item: int) -> int:
    raise ValueError(item)


def die_at_3(item: int) -> int:
    if item == 3:
        os._exit(4)
    return item


def hang_at_3(item: int) -> int:
    if item == 3:
        time.sleep(1000)
    return item


def wait_for(path: Path) -> int:
    tasks.wait_for(path)
    return os.getpid()


def meet_a_twin(item: tuple[int, Path]) -> int:
    """Wait until the other worker is at work too."""
    number, directory = item
    tasks.meet(directory, number, 2)
    return number


def total(batch: list[int]) -> list[int]:
    return [sum(batch)]


class Counter:
    """Counts the calls of a worker, and notes when it is closed."""

    def __init__(self) -> None:
        self.calls = 0

    def close(self) -> None:
        Path(os.environ["POOL_TEST"], f"closed-{os.getpid()}").touch()


def count(_: object, counter: Counter) -> int:
    counter.calls += 1
    return counter.calls


class Unreadable:
    """Can be pickled, but not be read again."""

    def __reduce__(self) -> Any:
        return _refuse, ()

    def __call__(self, item: object) -> object:
        return item


def _refuse() -> None:
    raise RuntimeError("not here")


@pytest.fixture
def pool() -> Iterator[parallel.Pool]:
    with parallel.Pool("process", 2) as pool:
        yield pool


def test_workers_are_kept(pool: parallel.Pool) -> None:
    first = set(pool.map(pid, range(20)))
    for _ in range(5):
        assert set(pool.map(pid, range(20))) <= first | set(pool.map(pid, range(20)))
    assert len(multiprocessing.active_children()) <= 2


def test_all_maps(pool: parallel.Pool) -> None:
    assert pool.map(same, range(5), 2, 30, ordered=True) == [0, 1, 2, 3, 4]
    assert list(pool.imap(same, range(5))) == [0, 1, 2, 3, 4]
    assert [outcome.index for outcome in pool.outcomes(same, "abc")] == [0, 1, 2]
    assert pool.batch(total, range(5), batch_size=2) == [1, 5, 4]


@pytest.mark.parametrize("task", [die_at_3, hang_at_3, fail])
def test_it_is_as_good_as_new_after_failures(pool: parallel.Pool, task: Any) -> None:
    for _ in range(3):
        results = pool.map(task, range(6), timeout=0.3, chunk_size=2)
        assert isinstance(results[3], Exception)
        assert pool.map(same, range(10)) == list(range(10))


def test_a_function_that_cannot_be_read(pool: parallel.Pool) -> None:
    for _ in range(2):
        with pytest.raises(parallel.ParallelError, match=r"func can't be read in a worker: .*here"):
            pool.map(Unreadable(), range(3))
        assert pool.map(same, range(3)) == [0, 1, 2]


class Late:
    """Makes all workers but the first one wait for a gate before they are ready."""

    def __init__(self, first: Path, gate: Path) -> None:
        self.first = first
        self.gate = gate

    def __call__(self) -> None:
        try:
            self.first.touch(exist_ok=False)
        except FileExistsError:
            tasks.wait_for(self.gate)


def test_a_function_that_was_read_too_late(tmp_path: Path) -> None:
    """A worker that was sent it, and is ready after the map is over, tells nobody else of it."""
    gate, both = tmp_path / "gate", tmp_path / "both"
    both.mkdir()
    with parallel.Pool("process", 2, initializer=Late(tmp_path / "first", gate)) as pool:
        with pytest.raises(parallel.ParallelError, match=r"func can't be read in a worker"):
            pool.map(Unreadable(), range(2), chunk_size=1)
        gate.touch()
        items = [(number, both) for number in range(30)]
        assert pool.map(meet_a_twin, items, chunk_size=1) == list(range(30))
        with pytest.raises(parallel.ParallelError, match=r"func can't be read in a worker"):
            pool.map(Unreadable(), range(2), chunk_size=1)


class OnlyOnce:
    """Fails to do what it does whenever it is done again: prepare a worker, or be read by one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        try:
            self.path.touch(exist_ok=False)
        except FileExistsError:
            return
        raise RuntimeError("license server busy")

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.path.name == "read":
            self.path.touch(exist_ok=False)

    def __call__(self, item: int) -> int:
        return item


def test_a_worker_that_could_not_prepare_itself_serves_nobody(tmp_path: Path) -> None:
    initializer = OnlyOnce(tmp_path / "prepared").prepare
    with parallel.Pool("process", 1, initializer=initializer) as pool:
        with pytest.raises(parallel.ParallelError, match="license server busy"):
            pool.map(same, [1, 2])
        assert pool.map(same, [1, 2]) == [1, 2]


def test_a_worker_that_could_not_read_its_function_is_kept(tmp_path: Path) -> None:
    """Also if the map had results by then, so that it ended in good order."""
    with parallel.Pool("process", 1, max_tasks_per_worker=3) as pool:
        with pytest.raises(parallel.ParallelError, match="func can't be read") as caught:
            pool.map(OnlyOnce(tmp_path / "read"), range(6), chunk_size=1)
        assert caught.value.results is not None
        assert caught.value.results[:3] == [0, 1, 2]
        assert pool.map(same, range(6), chunk_size=1) == list(range(6))


def test_a_function_that_cannot_be_sent_is_not_mistaken_for_the_last_one(
    pool: parallel.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pool.map(same, ["a"]) == ["a"]
    send = messages.send

    def fail(channel: Channel, message: Any) -> None:
        if isinstance(message, messages.SetFunction):
            raise OSError(errno.EMFILE, "Too many open files")
        send(channel, message)

    monkeypatch.setattr(worker_group, "send", fail)
    with pytest.raises(parallel.ParallelError, match=r"can't send its work to .*: .*Too many open"):
        pool.map(pid, ["a"])
    monkeypatch.undo()
    assert isinstance(pool.map(pid, ["a"])[0], int)


def test_functions_do_not_fill_the_pipe_of_a_worker_that_is_not_ready(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with parallel.Pool("process", 1, initializer=partial(tasks.wait_for, gate)) as pool:
        for number in range(4):  # if it waited for the worker, it would wait for ever
            func = partial(same_with, bytes([number]) * 25_000)
            (result,) = pool.map(func, [1], deadline=0.1)
            assert isinstance(result, parallel.TaskCancelledError)
        gate.touch()
        assert pool.map(same, [1]) == [1]


def test_a_worker_that_died_while_it_was_idle_is_replaced(pool: parallel.Pool) -> None:
    wait_until(lambda: len({*pool.map(pid, range(20), chunk_size=1)}) == 2)  # both are ready
    for process in multiprocessing.active_children():
        process.kill()
        process.join(60)
    assert pool.map(same, range(20)) == list(range(20))


def test_workers_that_cannot_be_told_how_to_prepare_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Channel, "attach", fail)
    with parallel.Pool("process", 2) as pool:
        with pytest.raises(parallel.ParallelError, match=r"can't start another worker: .*Too many"):
            pool.map(same, [1])
        assert not multiprocessing.active_children()
        monkeypatch.undo()
        assert pool.map(same, [1]) == [1]


def test_states_live_as_long_as_their_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOL_TEST", str(tmp_path))
    with parallel.Pool("process", 1, worker_state=Counter, start_method="spawn") as pool:
        assert pool.map(count, "ab") == [1, 2]
        assert pool.map(count, "ab") == [3, 4]
        assert not list(tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 1


def test_maps_in_several_threads_have_a_worker_each(pool: parallel.Pool, tmp_path: Path) -> None:
    """Each waits for the next, so none could end if one had to wait for another's workers."""
    results: dict[int, list[Any]] = {}

    def use(number: int) -> None:
        paths = [tmp_path / str(number + 1)] * 2
        results[number] = pool.map(wait_for, paths)
        (tmp_path / str(number)).touch()

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    (tmp_path / "4").touch()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [0, 1, 2, 3]
    wait_until(lambda: len(multiprocessing.active_children()) <= 2)  # the others end


@pytest.mark.parametrize("backend", ["thread", "process"])
@pytest.mark.parametrize("taken", [0, 1])
def test_a_stream_that_its_pool_has_cut_short_says_so(backend: Any, taken: int) -> None:
    with parallel.Pool(backend, 2) as pool:
        stream = pool.imap(same, itertools.count())
        assert list(itertools.islice(stream, taken)) == list(range(taken))
    with pytest.raises(parallel.ParallelError, match="closed before its results"):
        list(stream)


def test_a_stream_keeps_its_pool() -> None:
    stream = parallel.Pool("process", 2).imap(same, range(5))
    gc.collect()
    assert list(stream) == [0, 1, 2, 3, 4]
    alive = weakref.ref(stream)
    del stream
    gc.collect()
    assert alive() is None


def test_a_map_while_a_stream_is_read(pool: parallel.Pool) -> None:
    with pool.imap(same, itertools.count(), buffer_size=50) as stream:
        for item in stream:
            assert pool.map(same, [item]) == [item]
            if item == 5:
                break
    assert pool.map(same, range(3)) == [0, 1, 2]


def test_after_close_it_refuses_to_be_used() -> None:
    pool = parallel.Pool("process", 1)
    assert pool.map(same, [1]) == [1]
    stream = pool.imap(same, itertools.count(), buffer_size=10)
    assert next(stream) == 0
    pool.close()
    pool.close()
    assert not multiprocessing.active_children()
    for use in (pool.map, pool.imap, pool.outcomes, pool.batch):
        with pytest.raises(parallel.ParallelError, match="the pool is closed; make another"):
            use(same, [1])
    with pytest.raises(parallel.ParallelError, match="closed before its results"):
        list(stream)


@pytest.mark.parametrize("method", ["imap", "outcomes"])
def test_closing_it_while_a_stream_is_being_made(method: str) -> None:
    pool = parallel.Pool("thread", 1)

    class ClosesThePool(list[int]):
        def __len__(self) -> int:  # which is asked for between the first check and the last step
            thread = threading.Thread(target=pool.close)
            thread.start()
            thread.join(10)
            return super().__len__()

    with pytest.raises(parallel.ParallelError, match="the pool is closed; make another"):
        getattr(pool, method)(same, ClosesThePool([1]))


def test_closing_it_while_a_map_is_running(tmp_path: Path) -> None:
    pool = parallel.Pool("process", 1)
    results: list[Any] = []
    gate = tmp_path / "gate"

    def use() -> None:
        results.extend(pool.map(wait_for, [gate]))

    thread = threading.Thread(target=use)
    thread.start()
    wait_until(multiprocessing.active_children)
    pool.close()
    gate.touch()
    thread.join(60)
    assert not thread.is_alive()
    assert len(results) == 1
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_a_list_goes_on_when_its_pool_is_closed(backend: Any, tmp_path: Path) -> None:
    """Also if it needs another worker, in place of its only one."""
    pool = parallel.Pool(backend, 1)
    hung, other, gate = tmp_path / "hung", tmp_path / "other", tmp_path / "gate"
    results: list[Any] = []

    def use() -> None:
        items = [(hung, gate), (other, tmp_path), (other, tmp_path)]
        results.extend(pool.map(touch_and_hang, items, chunk_size=1, timeout=1))

    thread = threading.Thread(target=use)
    thread.start()
    wait_until(hung.exists)
    pool.close()
    assert not other.exists()
    thread.join(60)
    gate.touch()
    assert isinstance(results[0], parallel.TaskTimeoutError)
    assert results[1:] == [other, other]
    if backend == "process":
        assert not multiprocessing.active_children()


def test_a_pool_that_nobody_has_any_more_ends() -> None:
    pool = parallel.Pool("process", 1)
    (worker,) = pool.map(pid, [0])
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    assert all(child.pid != worker for child in multiprocessing.active_children())


def test_worn_workers_are_replaced() -> None:
    with parallel.Pool("process", 1, max_tasks_per_worker=2) as pool:
        seen = [pool.map(pid, [0])[0] for _ in range(6)]
    assert [len(list(run)) for _, run in itertools.groupby(seen)] == [2, 2, 2]


def test_what_belongs_to_workers_belongs_to_the_pool(pool: parallel.Pool) -> None:
    for option in ("max_workers", "backend", "worker_state", "start_method"):
        with pytest.raises(TypeError, match=rf"Pool\.map\(\) takes no {option}: that belongs"):
            pool.map(same, [1], **{option: None})  # type: ignore
    with pytest.raises(ValueError, match="Pool: backend='cluster' must be"):
        parallel.Pool("cluster")
    with pytest.raises(TypeError, match="Pool: start_method is an option for processes"):
        parallel.Pool("thread", start_method="spawn")


def test_threads() -> None:
    with parallel.Pool(max_workers=2) as pool:
        assert pool.map(same, range(3)) == [0, 1, 2]
        assert list(pool.imap(same, range(3))) == [0, 1, 2]
    with pytest.raises(parallel.ParallelError, match="closed"):
        pool.map(same, [1])
