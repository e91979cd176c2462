"""What the tests run in interpreters, where pytest can't be imported."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any

from metainformant.core import parallel

initialized: list[str] = []


class Item:
    def __init__(self, value: int) -> None:
        self.value = value


class Stubborn(Exception):  # noqa: N818
    def __init__(self, one: int, two: int) -> None:  # can't be unpickled
        super().__init__("stubborn")


def square(number: int) -> int:
    return number * number


def twice(item: Item) -> Item:
    return Item(item.value * 2)


def inverse(number: int) -> float:
    return 1 / number


def stubborn(_: Any) -> None:
    raise Stubborn(1, 2)


def same(item: Any) -> Any:
    return item


def leave(_: Any) -> None:
    raise SystemExit(3)


def unpicklable(_: Any) -> Any:
    return threading.Lock()


def interpreter(_: Any) -> int:
    """An address that differs between interpreters."""
    return id(initialized)


def loop_at_one(number: int) -> int:
    while number == 1:
        pass
    return number


def wait_at_one(number: int) -> int:
    """Refuses to be ended for two seconds."""
    until = time.monotonic() + 2
    lock = threading.Lock()
    lock.acquire()
    while number == 1 and time.monotonic() < until:
        with contextlib.suppress(BaseException):
            lock.acquire(timeout=2)
    return number


def sleep_at_one(number: int) -> int:
    if number == 1:
        time.sleep(3)
    return number


def asked(_: Any) -> tuple[int, int, bool, bool]:
    task = parallel.current_task()
    assert task is not None
    assert task.seconds_left is not None
    return task.index, task.attempt, 0 < task.seconds_left <= 60, task.cancelled()


def attempt(_: Any) -> int:
    task = parallel.current_task()
    assert task is not None
    if task.attempt < 3:
        raise ValueError
    return task.attempt


def initialize(word: str) -> None:
    initialized.append(word)


def count_initialized(_: Any) -> list[str]:
    return initialized


class State:
    made = 0

    def __init__(self) -> None:
        type(self).made += 1

    def close(self) -> None:
        os.environ["CLOSED_BY"] = "an interpreter"


def with_state(_: Any, state: State) -> int:
    return state.made


def bad_state() -> None:
    raise OSError("no index")


def nested(number: int) -> list[Any]:
    return [
        parallel.thread_map(inverse, range(number), max_workers=3),
        parallel.interpreter_map(square, range(number)),
        list(parallel.imap(square, range(number))),
    ]


def nested_timeout(_: Any) -> list[Any]:
    return parallel.thread_map(loop_at_one, range(3), timeout=0.2)


def use_refused_module(_: Any) -> Any:
    import faulthandler  # does not support subinterpreters

    return faulthandler.is_enabled()
