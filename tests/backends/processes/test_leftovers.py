"""No process, descriptor or zombie is left behind, also where descriptors are short."""

from __future__ import annotations

import gc
import multiprocessing
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.ipc.channel import Channel
from tests.backends import tasks
from tests.backends.processes import tasks as process_tasks
from tests.backends.processes.support import every_method, is_alive, linux
from tests.support import wait_until


@linux
class TestLeftovers:
    @every_method
    def test_many_maps_leave_no_process_and_no_descriptor(self, method: Any) -> None:
        def state() -> tuple[int, int]:
            gc.collect()
            return len(os.listdir("/proc/self/fd")), len(multiprocessing.active_children())

        def maps() -> list[Any]:
            hang = ("sleeps", "", 0)
            stream: dict[str, Any] = {"backend": "process", "start_method": method}
            return [
                parallel.process_map(abs, range(5), 2, start_method=method),
                parallel.process_map(int, "x", 1, start_method=method),
                parallel.process_map(tasks.stuck, [hang], 1, timeout=0.05, start_method=method),
                parallel.process_map(tasks.make, [("bytes", 100_000)], 1, start_method=method),
                list(parallel.imap(abs, [1], **stream)),
                # Parts with its workers in the middle of what they do:
                next(parallel.imap(abs, tasks.endless(), **stream)),
            ]

        maps()  # the first starts what multiprocessing keeps
        wait_until(lambda: state()[1] == 0)
        before = state()
        kept = [maps() for _ in range(2)]
        wait_until(lambda: state() <= before)  # what was dropped ends soon
        assert len(kept) == 2
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        assert [pid for pid in children if not is_alive(int(pid))] == []  # zombies

    def test_errors_keep_no_descriptors(self, tmp_path: Path) -> None:
        before = len(os.listdir("/proc/self/fd"))
        path = str(tmp_path / "runs")
        items = [(path, number, "exit") for number in range(10)]
        kept: list[Any] = [*parallel.process_map(process_tasks.die_if, items, 1)]
        hung = [("swallows", path, number) for number in range(4)]
        kept += parallel.process_map(tasks.stuck, hung, 4, timeout=0.1)
        assert len(kept) == 14
        assert len(os.listdir("/proc/self/fd")) <= before + 4  # of the fork server

    @pytest.mark.parametrize("how", ["closed", "dropped", "exhausted"])
    def test_a_stream_leaves_no_process(self, how: str) -> None:
        before = set(multiprocessing.active_children())
        stream = parallel.imap(abs, range(10_000), backend="process", max_workers=2)
        assert next(stream) == 0
        if how == "closed":
            stream.close()
        elif how == "dropped":
            del stream
            gc.collect()
        else:
            assert len(list(stream)) == 9999
        wait_until(lambda: set(multiprocessing.active_children()) <= before)

    def test_it_goes_on_with_the_workers_that_it_gets(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        parallel.process_map(abs, [1], 1)  # so that the fork server runs
        used = len(os.listdir("/proc/self/fd"))
        for spare in (3, 8, 12, 20, 30):
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, hard))
            try:
                results = parallel.process_map(abs, range(-50, 0), 4)
            except parallel.ParallelError as error:
                assert "can't" in str(error)  # noqa: PT017  # it may or may not be raised
            except OSError as error:
                assert error.errno == 24  # noqa: PT017
            else:
                assert results == list(range(50, 0, -1))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert len(os.listdir("/proc/self/fd")) <= used + 1


@pytest.mark.parametrize(
    ("error_class", "text"),
    [(OSError, "Too many open files"), (MemoryError, ""), (MemoryError, "1500000 bytes")],
)
def test_large_results_that_cannot_be_received_cost_their_own_slots(
    error_class: type[Exception], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise error_class(text)

    monkeypatch.setattr(Channel, "open", fail)  # in this process; workers have their own
    results = parallel.process_map(process_tasks.large_or_fails, [10, 10**6, -(10**6), 20], 1)
    assert (results[0], results[3]) == (bytes(10), bytes(20))
    for error in results[1:3]:
        assert isinstance(error, parallel.ParallelError)
        text = text or "it could not be received"
        assert f"can't be read: {error_class.__name__}: {text}" in str(error)
