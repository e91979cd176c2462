"""Maps in processes in scripts that gevent or eventlet has patched."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from metainformant.core import parallel
from tests.backends.processes.support import Child, every_method


@every_method
def test_with_the_patches_of_gevent(method: str | None, start: Callable[..., Child]) -> None:
    pytest.importorskip("gevent", exc_type=ImportError)
    child = start(
        """
        import warnings
        warnings.simplefilter("ignore")  # about forks beside the threads of gevent
        from gevent import monkey
        monkey.patch_all()
        import sys, time
        from metainformant.core import parallel

        def sleep(seconds):
            time.sleep(seconds)
            return seconds

        if __name__ == "__main__":
            options = {"start_method": sys.argv[1] or None, "max_workers": 1}
            print(parallel.process_map(abs, [-1, 2], timeout=60, **options))
            print(list(parallel.imap(abs, [-1, 2], backend="process", **options)))
            late, fine = parallel.process_map(sleep, [1000, 0], timeout=0.5, **options)
            print(type(late).__name__, fine)
        """,
        method or "",
    )
    out, err, code = child.end()
    assert (out, err, code) == ("[1, 2]\n[1, 2]\nTaskTimeoutError 0\n", "", 0)


def test_a_script_with_gevent_whose_imports_start_threads(start: Callable[..., Child]) -> None:
    """As NumPy's do. The fork server waits for their end, or lets workers import the script."""
    pytest.importorskip("gevent", exc_type=ImportError)
    child = start(
        """
        from gevent import monkey
        monkey.patch_all()
        import faulthandler
        faulthandler.dump_traceback_later(1000)  # a thread that Python does not know
        from metainformant.core import parallel

        if __name__ == "__main__":
            print(parallel.process_map(abs, [-1, 2], 1))
        """
    )
    assert child.end() == ("[1, 2]\n", "", 0)


@pytest.mark.parametrize("patched", ["select", "socket", "thread"])
def test_eventlet_is_refused(patched: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patcher = ModuleType("eventlet.patcher")
    vars(patcher)["is_monkey_patched"] = lambda module: module == patched
    monkeypatch.setitem(sys.modules, "eventlet.patcher", patcher)
    with pytest.raises(parallel.ParallelError, match=r"process_map can't .*monkey_patch\(select=F"):
        parallel.process_map(abs, [-1])
    vars(patcher)["is_monkey_patched"] = lambda module: module == "time"
    assert parallel.process_map(abs, [-1]) == [1]


@pytest.mark.parametrize("workers", ["thread", "serial", "executor"])
def test_threads_can_wait_with_the_patches_of_eventlet(
    workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These put a queue in Python in the place of that in C, which lets more pass."""
    pure: Any = vars(queue)["_PySimpleQueue"]
    monkeypatch.setattr(queue, "SimpleQueue", pure)
    with ThreadPoolExecutor(1) as executor:
        backend: Any = executor if workers == "executor" else workers
        assert list(parallel.imap(abs, [-1, 2], backend=backend, timeout=60)) == [1, 2]
