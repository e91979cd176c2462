"""The step from the function that the user passed to one that is called with an item.

It is made where the map is called, and travels to workers as any function does: once to each, with
large arrays in shared memory.
"""

from __future__ import annotations

from functools import partial

from ..describe import describe
from .frames import own_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


def bind_arguments(
    func: Callable[..., Any], *, star: bool, kwargs: Mapping[str, Any] | None, seed: int | None
) -> Callable[..., Any]:
    """Return a function of an item that calls `func` with what is in it, and with constants.

    Its tasks have generators of random numbers if there is a seed.
    """
    if kwargs:
        func = partial(func, **kwargs)
    if star:
        func = Star(func)
    if seed is None:
        return func
    from .generators import Seeded  # needed only by those who ask for it

    return Seeded(func, seed)


class Star:
    """A function of an iterable, made of one of several arguments; as picklable as that."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.__wrapped__ = func  # whose name and code are those of the task

    @own_frame
    def __call__(self, item: Iterable[Any], *state: Any) -> Any:
        return self.__wrapped__(*item, *state)


def starred(func: Any) -> Any:
    """Return what is called with the arguments in items; `func` was bound with `star`."""
    while not isinstance(func, Star):
        func = func.__wrapped__
    return func.__wrapped__


class Awaitable:
    """A function that must return something to await, made of one of which that is not known."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.__wrapped__ = func

    @own_frame
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return checked_awaitable(self.__wrapped__, self.__wrapped__(*args, **kwargs))


@own_frame
def checked_awaitable(func: Callable[..., Any], returned: Any) -> Any:
    """Return what `func` has returned; raise TypeError if it can't be awaited."""
    from inspect import isawaitable  # imported by asyncio already

    if isawaitable(returned):
        return returned
    raise TypeError(
        f"func={func!r} returned {describe(returned)}, which can't be awaited: it is no async "
        "function. Call thread_map with it"
    )
