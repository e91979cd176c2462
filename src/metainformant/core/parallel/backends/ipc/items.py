"""Items that are sent one by one, since one of their chunk can't be pickled or read."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from ...errors import ParallelError
from ...worker.frames import own_frame
from .exceptions import refused_module


class Unsendable:
    """In the place of an item that could not be pickled."""

    def __init__(self, text: str) -> None:
        self.text = text


class Pickled:
    """An item that comes on its own, since it may fail to be read."""

    def __init__(self, record: bytes) -> None:
        self.record = record


def unwrapping(func: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @own_frame
    def call_with_item(wrapped: Unsendable | Pickled) -> Any:
        return func(unwrapped(wrapped))

    return call_with_item


@own_frame
def unwrapped(item: Unsendable | Pickled) -> Any:
    if isinstance(item, Unsendable):
        raise ParallelError(item.text)
    try:
        return pickle.loads(item.record)
    except Exception as error:
        raise ParallelError(
            f"the item can't be read in a worker: {type(error).__name__}: {error}"
            f"{refused_module(error)}"
        ) from error
