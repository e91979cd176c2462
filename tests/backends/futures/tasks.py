"""What the tests run in executors, in workers where pytest may not be imported."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from metainformant.core import parallel


class Stubborn(Exception):  # noqa: N818
    def __init__(self, one: int, two: int) -> None:  # can't be unpickled
        super().__init__("stubborn")


class Unreadable:
    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise ValueError("unreadable")


def square(number: int) -> int:
    return number * number


def inverse(number: int) -> float:
    return 1 / number


def same(item: Any) -> Any:
    return item


def stubborn(_: Any) -> None:
    raise Stubborn(1, 2)


def unreadable(_: Any) -> Unreadable:
    return Unreadable()


def lock(_: Any) -> Any:
    return threading.Lock()


def leave(_: Any) -> None:
    raise SystemExit(3)


def loop_if(item: tuple[int, bool]) -> int:
    number, loops = item
    while loops:
        pass
    return number


def wait_at_one(number: int) -> int:
    """Refuses to be ended for two seconds."""
    until = time.monotonic() + 2
    while number == 1 and time.monotonic() < until:
        try:
            time.sleep(2)
        except BaseException:
            continue
    return number


def attempt(_: Any) -> tuple[int, int]:
    task = parallel.current_task()
    assert task is not None
    if task.attempt < 3:
        raise ValueError
    return task.index, task.attempt


def die(number: int) -> int:
    if number == 1:
        os._exit(1)
    return number


def nested(number: int) -> list[int]:
    results: list[int] = parallel.thread_map(square, range(number), on_error="raise")
    return results
