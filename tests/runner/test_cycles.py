"""No way in which a map can end leaves a reference cycle, which only the collector could free."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.threads.backend import ThreadBackend
from tests.support import wait_for_other_threads, wait_until


class EndError(Exception):
    pass


def numbers() -> Iterator[int]:
    yield from range(3)
    raise EndError


def fails(*_: object) -> Any:
    raise EndError


class Unclosable:
    def close(self) -> None:
        raise EndError


def endless() -> Iterator[int]:
    while True:
        yield 1


class LeaveError(SystemExit):  # which can be referred to weakly
    pass


def exits(_: object) -> None:
    raise LeaveError(3)


def passed() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


# How a map ends: the options that make it do so, beside a function and items that do not.
ENDINGS: dict[str, Callable[[], dict[str, Any]]] = {
    "the input raises": lambda: {"items": numbers()},
    "a task fails": lambda: {"func": fails, "on_error": "raise"},
    "a task exits": lambda: {"func": exits},
    "progress raises": lambda: {"progress": fails},
    "on_complete raises": lambda: {"on_complete": fails},
    "backoff raises": lambda: {"func": fails, "retries": 1, "backoff": fails},
    "retry_on raises": lambda: {"func": fails, "retries": 1, "retry_on": lambda _: fails()},
    "an initializer raises": lambda: {"initializer": fails},
    "an initializer exits": lambda: {"initializer": exits, "initargs": [1]},
    "a state does not close": lambda: {
        "func": lambda item, _: item,
        "worker_state": Unclosable,
    },
    "cancelled": lambda: {"cancel": passed(), "items": [1] * 10_000, "on_error": "raise"},
    "too many failures": lambda: {"func": fails, "max_failures": 0, "on_error": "skip"},
    "no thread": lambda: {"items": [1, 2]},
}


def stream(**call: Any) -> None:
    for _ in parallel.imap(**call):
        pass


def start_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if thread.name in ("imap-1", "thread_map-1"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)


def assert_freed(run: Callable[[], object]) -> None:
    """Check that what a call raises is freed without the garbage collector."""
    before = set(threading.enumerate())
    error: weakref.ref[BaseException] | None = None
    gc.collect()
    gc.disable()
    try:
        try:
            run()
        except BaseException as caught:
            error = weakref.ref(caught)
        assert error is not None
        wait_for_other_threads(before)  # they may have to let go of it
        # Without the GIL, what another thread let go of last is freed when its maker looks again.
        wait_until(lambda: error() is None)
    finally:
        gc.enable()


@pytest.mark.parametrize("run", [parallel.thread_map, stream])
@pytest.mark.parametrize("ending", ENDINGS)
def test_an_error_is_freed_with_its_last_reference(
    run: Callable[..., object], ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ending == "no thread":
        start_no_worker(monkeypatch)
    assert_freed(lambda: run(**{"func": abs, "items": [1, 2, 3], **ENDINGS[ending]()}))


def test_a_job_that_ends_after_its_map_keeps_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine may see a failure, and end the map, before the worker has handed in its job."""
    hand_in, is_over = ThreadBackend._hand_in, threading.Event()

    def late(*arguments: Any) -> bool:
        assert is_over.wait(60)
        return hand_in(*arguments)

    monkeypatch.setattr(ThreadBackend, "_hand_in", late)

    def fail() -> None:
        try:
            stream(func=fails, items=[1, 2, 3], on_error="raise", max_workers=1)
        finally:
            is_over.set()

    assert_freed(fail)


def test_what_a_stream_holds_is_freed_with_its_error() -> None:
    class Item:
        pass

    items: list[weakref.ref[Item]] = []

    def make() -> Iterator[Item]:
        for _ in range(2000):
            item = Item()
            items.append(weakref.ref(item))
            yield item
            del item
        raise EndError

    before = set(threading.enumerate())
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(EndError):
            stream(func=lambda item: item, items=make())
        wait_for_other_threads(before)
        wait_until(lambda: all(ref() is None for ref in items))
    finally:
        gc.enable()
