"""What threads do, seen from outside."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

from metainformant.core.parallel.host import gil_watch
from metainformant.core.parallel.host.gil_watch import GilWatch, watch_gil
from tests.support import wait_until


@pytest.fixture
def watch() -> GilWatch:
    found = watch_gil()
    if found is None:
        pytest.skip("the kernel does not tell, or there is no GIL")
    return found


def _seen(watch: GilWatch, func: Callable[[], object], end: Callable[[], None]) -> list[int]:
    """Return what was seen of three threads that run `func`, in 20 looks."""
    threads = [threading.Thread(target=func) for _ in range(3)]
    for thread in threads:
        thread.start()
    seen = [0, 0, 0]
    try:
        for _ in range(20):
            time.sleep(0.005)  # between looks, so that threads go on
            found = watch.look([thread.native_id or 0 for thread in threads])
            seen = [before + now for before, now in zip(seen, found, strict=True)]
    finally:
        end()
        for thread in threads:
            thread.join()
    return seen


def test_threads_that_want_the_gil_are_not_in_calls(watch: GilWatch) -> None:
    done = False

    def compute() -> None:
        while not done:
            pass

    def end() -> None:
        nonlocal done
        done = True

    in_calls, gil, ready = _seen(watch, compute, end)
    assert gil > 0  # on a busy machine those that want it may have no processor to ask for it
    assert gil + ready >= 0.8 * (in_calls + gil + ready)
    watch.close()


def test_threads_that_wait_for_a_lock_or_a_pipe_are(watch: GilWatch) -> None:
    event = threading.Event()
    in_calls, *others = _seen(watch, event.wait, event.set)
    assert in_calls >= 0.8 * (in_calls + sum(others)) > 0
    reader, writer = os.pipe()
    in_calls, *others = _seen(watch, lambda: os.read(reader, 1), lambda: _write(writer))
    assert in_calls >= 0.8 * (in_calls + sum(others)) > 0
    os.close(reader)
    os.close(writer)
    watch.close()


def _write(writer: int) -> None:
    os.write(writer, b"...")


def test_threads_that_have_ended_are_not_counted(watch: GilWatch) -> None:
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    number = thread.native_id or 0
    wait_until(lambda: sum(watch.look([number])) == 1)
    event.set()
    thread.join()
    wait_until(lambda: watch.look([number]) == (0, 0, 0))
    assert watch.look([2**22 + 1]) == (0, 0, 0)
    files = len(os.listdir("/proc/self/fd"))
    watch.close()
    assert len(os.listdir("/proc/self/fd")) == files - 1


def test_the_address_is_learnt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = watch_gil()
    if first is None:
        pytest.skip("needs Linux, and a GIL")
    first.close()
    monkeypatch.setattr(gil_watch, "_learn_address", None)
    second = watch_gil()
    assert second is not None
    second.close()
