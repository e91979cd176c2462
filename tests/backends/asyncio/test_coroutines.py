"""What is special about tasks that take turns in one thread."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import operator
import platform
import threading
import time
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.asyncio import backend as asyncio_backend
from metainformant.core.parallel.backends.asyncio import job, worker_loop
from metainformant.core.parallel.backends.asyncio.backend import AsyncioBackend
from metainformant.core.parallel.backends.asyncio.worker import Worker
from metainformant.core.parallel.backends.asyncio.worker_loop import WorkerLoop
from tests.support import run_python, wait_for_other_threads


async def double(item: int) -> int:
    await asyncio.sleep(0)
    return 2 * item


async def power(base: int, *, exponent: int) -> int:
    return int(base**exponent)


class Doubling:
    async def __call__(self, item: int) -> int:
        return await double(item)


class Plain:
    def __init__(self, item: int) -> None:
        raise AssertionError("it was called")


def plain(item: int) -> int:
    return item


async def laters(item: int) -> AsyncIterator[int]:
    yield item


def test_all_kinds_of_async_functions() -> None:
    assert parallel.async_map(double, [1, 2]) == [2, 4]
    assert parallel.async_map(functools.partial(power, exponent=3), [2]) == [8]
    assert parallel.async_map(Doubling(), [1]) == [2]
    assert parallel.async_map(Doubling().__call__, [1]) == [2]
    assert parallel.async_map(functools.wraps(double)(lambda item: double(item)), [3]) == [6]


class TestArguments:
    def test_a_plain_function_is_refused(self) -> None:
        with pytest.raises(TypeError, match=r"async_map: .*plain function.*Call thread_map"):
            parallel.async_map(plain, [1])  # type: ignore[arg-type]
        for func in plain, len:
            with pytest.raises(TypeError, match=r"aiomap: .*Call aimap with it, and collect"):
                asyncio.run(parallel.aiomap(func, [1]))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="plain function"):
            parallel.imap(lambda item: double(item), [1], backend="asyncio")

    @pytest.mark.parametrize(
        "func",
        [
            len, print, time.sleep, "ab".count, str.upper, dict.fromkeys([1]).update, [].append,
            int, Plain, functools.partial(print, end=""),
        ],
    )  # fmt: skip
    def test_so_is_what_is_written_in_c_and_known(
        self, func: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(TypeError, match=r"can't be awaited\. Call thread_map"):
            parallel.async_map(func, ["abc"])
        with pytest.raises(TypeError, match="can't be awaited"), parallel.Pool("asyncio") as pool:
            pool.map(func, ["abc"])
        assert capsys.readouterr().out == ""

    def test_what_is_written_in_c_may_return_what_is_awaited(self) -> None:
        async def squares() -> AsyncIterator[int]:
            yield 49

        class Later:
            def __init__(self, item: int) -> None:
                self.item = item

            def __await__(self) -> Generator[Any, None, int]:
                yield from asyncio.sleep(0).__await__()
                return self.item

        map_it: Any = parallel.async_map
        assert map_it(anext, [squares()]) == [49]
        assert map_it(next, [iter([double(4)])]) == [8]
        assert map_it(iter([double(4)]).__next__, [()], star=True) == [8]
        assert map_it(Later, [3]) == [3]

    def test_what_only_turns_out_to_be_plain_fails_item_by_item(self) -> None:
        wrapped: Any = functools.wraps(double)(lambda item, **_: item)
        first: Any = operator.itemgetter(0)
        map_it: Any = parallel.async_map
        for func, kwargs in (first, {}), (wrapped, {}), (wrapped, {"more": 1}):
            (error,) = map_it(func, ["abc"], kwargs=kwargs)
            assert isinstance(error, TypeError)
            assert f"func={func!r} returned '" in str(error)
            assert "can't be awaited" in str(error)
            assert "Call thread_map" in str(error)
        with parallel.Pool("asyncio") as pool:
            (error,) = pool.batch(wrapped, ["abc"], 1)
        assert isinstance(error, TypeError)
        assert "returned ['abc'], which can't be awaited" in str(error)

    def test_an_async_generator_is_refused(self) -> None:
        with pytest.raises(TypeError, match="async generator function"):
            parallel.async_map(laters, [1])  # type: ignore[arg-type]

    @pytest.mark.parametrize("map_it", [parallel.thread_map, parallel.process_map, parallel.imap])
    def test_others_name_async_map(self, map_it: Any) -> None:
        with pytest.raises(TypeError, match="call async_map"):
            map_it(double, [1])


def test_as_many_as_max_workers_are_in_flight() -> None:
    in_flight, most = 0, 0
    full = asyncio.Event()

    async def task(_: int) -> int:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        if in_flight == 20:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        in_flight -= 1
        return threading.get_ident()

    assert len(set(parallel.async_map(task, range(500), 20))) == 1
    assert most == 20


def test_the_loop_is_woken_once_for_all_that_is_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """And more is kept ready only when that has begun: both threads want the same lock."""
    seen: list[str] = []
    submit, wake = AsyncioBackend.submit, WorkerLoop.wake

    def submit_and_tell(self: AsyncioBackend, *args: Any, **options: Any) -> Any:
        seen.append("submit")
        return submit(self, *args, **options)

    def wake_and_tell(self: WorkerLoop) -> None:
        seen.append("wake")
        wake(self)

    monkeypatch.setattr(AsyncioBackend, "submit", submit_and_tell)
    monkeypatch.setattr(WorkerLoop, "wake", wake_and_tell)

    async def task(item: int) -> int:
        seen.append("start")
        if item < 50:  # so that the first fifty are in flight together
            while seen.count("start") < 50:
                await asyncio.sleep(0.001)
        return item

    assert parallel.async_map(task, range(200), max_workers=50) == list(range(200))
    assert seen[:51] == ["submit"] * 50 + ["wake"]
    until = [place for place, what in enumerate(seen) if what == "start"][48]
    assert seen[:until].count("submit") == 50


def test_coroutines_that_never_wait_let_others_have_their_turn() -> None:
    turns = 0

    async def task(item: int) -> int:
        nonlocal turns
        if item == 0:
            while turns >= 0:
                await asyncio.sleep(0)
                turns += 1
        elif item == 300_000:  # the last one, which another worker runs
            turns = -turns - 2
        return turns

    results = parallel.async_map(task, range(300_001), 2, on_error="raise")
    assert results[-1] < -5


def test_a_thousand_workers_do_not_begin_in_one_step() -> None:
    """The loop would complain about it in its debug mode, and others would have to wait."""

    async def task(item: int) -> int:
        return len(asyncio.all_tasks())

    seen = parallel.async_map(task, range(1000), 1000, chunk_size=1, on_error="raise")
    assert seen[0] < 200


def test_ending_looks_at_each_worker_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at all that are left whenever one ends: that would be a hundred thousand looks here."""
    looks = 0

    class Seen(Worker):
        @property
        def is_abandoned(self) -> bool:
            nonlocal looks
            looks += 1
            return self.was_abandoned

        @is_abandoned.setter
        def is_abandoned(self, value: bool) -> None:
            self.was_abandoned = value

    async def task(item: int) -> None:
        if item == 499:
            raise ValueError("the last")
        await asyncio.Event().wait()

    before = set(threading.enumerate())
    monkeypatch.setattr(asyncio_backend, "Worker", Seen)
    with pytest.raises(ValueError, match="the last"):
        parallel.async_map(task, range(500), 500, on_error="raise")
    wait_for_other_threads(before)
    assert 500 <= looks <= 10 * 500


def test_a_task_that_stops_the_loop_costs_nobody_anything() -> None:
    async def task(item: int) -> int:
        if item % 2:
            asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return item

    assert parallel.async_map(task, range(40), 4, chunk_size=3) == list(range(40))


@pytest.mark.parametrize("when", [0, 30])
def test_a_task_that_cancels_all_others_costs_only_what_is_in_flight(when: int) -> None:
    """Workers that had nothing to do, or had not begun, go on as well."""
    in_flight, all_run = 0, asyncio.Event()

    async def task(item: int) -> int:
        nonlocal in_flight
        if item == when:
            for each in asyncio.all_tasks() - {asyncio.current_task()}:
                each.cancel()
        if item > 59:
            in_flight += 1
            if in_flight == 20:
                all_run.set()
            await all_run.wait()
        await asyncio.sleep(0)
        return item

    results = parallel.async_map(task, range(100), 20, chunk_size=1, deadline=60)
    assert results[60:] == list(range(60, 100))
    errors = [result for result in results if isinstance(result, BaseException)]
    assert len(errors) < 20
    assert {type(error) for error in errors} <= {asyncio.CancelledError}


def test_coroutines_that_have_waited_take_no_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due at one time goes on at once, however long the loop has waited for it."""
    yields, sleep, now = 0, asyncio.sleep, 0.0

    def counted(seconds: float, *more: Any) -> Any:
        nonlocal yields
        yields += seconds == 0
        return sleep(seconds, *more)

    monkeypatch.setattr(asyncio, "sleep", counted)
    # A turn is over when we say so, not when the machine is busy.
    for module in (asyncio_backend, job, worker_loop):
        monkeypatch.setattr(module, "monotonic", lambda: now)
    waiting: list[asyncio.Future[None]] = []

    async def meet(item: int) -> int:
        """Wait until fifty do, and for longer than a turn."""
        nonlocal now
        here = asyncio.get_running_loop().create_future()
        waiting.append(here)
        if len(waiting) == 50:
            now += 0.02
            for each in waiting:
                each.set_result(None)
            waiting.clear()
        await here
        return item

    assert parallel.async_map(meet, range(200), 50, chunk_size=1) == list(range(200))
    assert yields < 50  # it was one for each item


_READS = """
import asyncio, resource, socket
from metainformant.core import parallel

async def count_faults(reads):
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(reads):
        theirs.send(b"x")
        await reader.read(1)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    writer.close()
    return after - before

print(*parallel.async_map(count_faults, [2000]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is known to do so")
def test_reads_of_connections_do_not_map_memory_each_time() -> None:
    faults = int(run_python(_READS).stdout)
    assert faults < 1000, f"{faults} page faults in 2000 reads"


def test_each_task_knows_itself_while_others_run() -> None:
    async def task(item: int) -> tuple[Any, ...]:
        seen = [_index()]
        await asyncio.sleep(0.001 * (item % 3))
        seen += [_index(), await asyncio.to_thread(_index)]
        async with asyncio.TaskGroup() as group:
            below = group.create_task(_index_later())
        return (*seen, below.result())

    results = parallel.async_map(task, range(60), 10, on_error="raise")
    assert results == [(index,) * 4 for index in range(60)]


def _index() -> int:
    me = parallel.current_task()
    assert me is not None
    return me.index


async def _index_later() -> int:
    await asyncio.sleep(0)
    return _index()


def test_the_innermost_map_is_the_one_that_is_told() -> None:
    async def task(_: int) -> list[Any]:
        with parallel.serial():
            here = parallel.thread_map(lambda _: _index(), range(3))
        threads = parallel.thread_map(lambda _: _index(), range(3))
        return [_index(), here, threads, _index()]

    results = parallel.async_map(task, range(2), on_error="raise")
    assert results == [[index, [0, 1, 2], [0, 1, 2], index] for index in range(2)]


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class TestState:
    """`worker_state` and `initializer`: once per loop, and both may be async."""

    def test_an_async_context_manager_is_entered_once(self) -> None:
        told: list[Any] = []

        @asynccontextmanager
        async def client() -> AsyncIterator[str]:
            told.append(threading.current_thread())
            await asyncio.sleep(0)
            yield "client"
            await asyncio.sleep(0)
            told.append(threading.current_thread())

        async def task(item: int, state: str) -> str:
            await asyncio.sleep(0)
            return f"{state} {item}"

        results = parallel.async_map(task, range(50), 10, worker_state=client)
        assert results == [f"client {item}" for item in range(50)]
        assert len(told) == 2
        assert told[0] is told[1]
        assert told[0] is not threading.current_thread()

    def test_so_are_async_functions_and_objects_with_aclose(self) -> None:
        told: list[str] = []

        class Client:
            async def aclose(self) -> None:
                told.append("closed")

        async def make() -> Client:
            await asyncio.sleep(0)
            return Client()

        async def prepare(value: str) -> None:
            variable.set(value)

        async def task(_: int, state: Client) -> tuple[str, bool]:
            return variable.get(), isinstance(state, Client)

        results = parallel.async_map(
            task, range(5), initializer=prepare, initargs=["set"], worker_state=make
        )
        assert results == [("set", True)] * 5
        assert told == ["closed"]
        assert variable.get() == "unset"

    def test_leaving_that_fails_is_told(self) -> None:
        @asynccontextmanager
        async def client() -> AsyncIterator[int]:
            yield 1
            raise OSError("disk full")

        async def task(item: int, state: int) -> int:
            return item + state

        with pytest.raises(parallel.ParallelError, match="could not be closed") as caught:
            parallel.async_map(task, range(3), worker_state=client)
        assert caught.value.results == [1, 2, 3]

    def test_entering_that_never_ends_keeps_no_deadline_waiting(self) -> None:
        before = set(threading.enumerate())

        async def client() -> None:
            await asyncio.Event().wait()

        async def task(item: int, state: None) -> int:
            return item

        results = parallel.async_map(task, range(3), worker_state=client, deadline=0.2)
        assert {type(result) for result in results} == {parallel.TaskCancelledError}
        wait_for_other_threads(before)

    def test_other_kinds_of_workers_refuse_async_functions(self) -> None:
        for name in ("initializer", "worker_state"):
            options: dict[str, Any] = {name: double}
            with pytest.raises(TypeError, match=f"{name}=.*async function"):
                parallel.thread_map(plain, [1], **options)


class TestExits:
    @pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
    def test_one_in_a_task_of_a_task_stops_the_map(self, fatal: type[BaseException]) -> None:
        before = set(threading.enumerate())

        async def below() -> None:
            raise fatal(3)

        async def task(_: int) -> None:
            asyncio.create_task(below())  # noqa: RUF006
            await asyncio.Event().wait()

        with pytest.raises(fatal) as caught:
            parallel.async_map(task, range(3))
        assert caught.value.args == (3,)
        wait_for_other_threads(before)

    def test_leaving_a_stream_cancels_its_calls(self) -> None:
        before, cancelled = set(threading.enumerate()), threading.Event()
        both_run = asyncio.Event()

        async def task(item: int) -> int:
            if item == 0:
                await both_run.wait()
                return item
            both_run.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return item

        stream: Any = parallel.imap(task, range(5), backend="asyncio", max_workers=2)
        with stream:
            assert next(stream) == 0
        assert cancelled.wait(60)
        wait_for_other_threads(before)

    def test_nothing_is_left_of_a_map_that_ended(self) -> None:
        before = set(threading.enumerate())

        async def task(item: int) -> int:
            asyncio.create_task(asyncio.sleep(60))  # noqa: RUF006  # nobody awaits it
            return await asyncio.to_thread(plain, item)

        assert parallel.async_map(task, range(5)) == list(range(5))
        assert set(threading.enumerate()) <= before

    def test_the_interpreter_exits_beside_stuck_calls_and_is_quiet(self) -> None:
        result = run_python("""
            import asyncio, time
            from metainformant.core import parallel

            async def task(item):
                if item == 1:
                    time.sleep(60)
                if item == 2:
                    while True:
                        try:
                            await asyncio.sleep(60)
                        except asyncio.CancelledError:
                            pass
                await asyncio.sleep(0.01)
                return item

            results = parallel.async_map(task, range(4), 1, timeout=0.3)
            print(*[type(result).__name__ for result in results])
            stream = parallel.imap(task, [0, 2], backend="asyncio")
            print(next(stream))
        """)
        assert result.stderr == ""
        assert result.stdout == "int TaskTimeoutError TaskTimeoutError int\n0\n"
        assert result.returncode == 0

    def test_debug_mode_is_quiet(self) -> None:
        result = run_python("""
            import os, sys
            if "PYTHONASYNCIODEBUG" not in os.environ:
                os.environ["PYTHONASYNCIODEBUG"] = "1"
                os.execv(sys.executable, [sys.executable, "-X", "dev", "-c", sys.orig_argv[-1]])
            import asyncio, logging
            logging.basicConfig(level=logging.WARNING)
            # How long steps take says how busy the machine is.
            logging.getLogger("asyncio").addFilter(lambda r: "Executing" not in r.msg)
            from metainformant.core import parallel

            async def task(item):
                if item % 1000 == 0:
                    await asyncio.sleep(0.001)
                return item

            async def stuck(item):
                await asyncio.Event().wait()

            assert parallel.async_map(task, range(20_000)) == list(range(20_000))
            assert len(parallel.async_map(stuck, range(9), timeout=0.1)) == 9
            with parallel.imap(task, iter(range(10**9)), backend="asyncio") as stream:
                print(next(stream))
        """)
        assert result.stderr == ""
        assert result.stdout == "0\n"


def test_serial_mode_runs_one_at_a_time() -> None:
    in_flight = 0

    async def task(item: int) -> int:
        nonlocal in_flight
        in_flight += 1
        await asyncio.sleep(0)
        assert in_flight == 1
        in_flight -= 1
        return item

    with parallel.serial():
        assert parallel.async_map(task, range(20), on_error="raise") == list(range(20))


def test_batches_are_awaited() -> None:
    async def sums(batch: list[int]) -> list[int]:
        await asyncio.sleep(0)
        return [number + 1 for number in batch]

    task: Any = sums
    with parallel.Pool("asyncio") as pool:
        assert pool.batch(task, range(10), 3) == list(range(1, 11))
