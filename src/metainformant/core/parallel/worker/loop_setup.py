"""The preparation of an event loop that runs tasks: its initializer and its state may be async."""

from __future__ import annotations

import inspect

from ..describe import describe
from .setup import as_it_is, preparation_failure, with_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .setup import Bind, Preparation


class PreparedLoop:
    """The time between the preparation of a loop and its end, as `PreparedWorker` is for a thread.

    Opening and closing raise a ParallelError from what the initializer, the factory or the closing
    raised.
    """

    def __init__(self, preparation: Preparation) -> None:
        self._preparation = preparation
        self._state: Any = None
        self._close: Callable[[], object] | None = None

    async def open(self) -> Bind:
        initializer, make_state = self._preparation.initializer, self._preparation.worker_state
        if initializer is not None:
            try:
                await _settled(initializer(*self._preparation.initargs))
            except Exception as error:
                raise preparation_failure("the initializer failed in a worker", error) from error
        if make_state is None:
            return as_it_is
        try:
            state, self._close = await _entered(await _settled(make_state()))
        except Exception as error:
            what = "worker_state failed to make the state of a worker"
            raise preparation_failure(what, error) from error
        self._state = state
        return lambda func: with_state(func, state)

    async def close(self) -> None:
        if self._close is None:
            return
        close, self._close = self._close, None
        try:
            await _settled(close())
        except Exception as error:
            what = f"the state {describe(self._state)} of a worker could not be closed"
            raise preparation_failure(what, error) from error


async def _settled(value: Any) -> Any:
    """Return what an async function returns, or what a plain one has returned."""
    return await value if inspect.isawaitable(value) else value


async def _entered(state: Any) -> tuple[Any, Callable[[], object] | None]:
    """Return what tasks get, and what closes it."""
    kind = type(state)
    if hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__"):
        return await state.__aenter__(), lambda: state.__aexit__(None, None, None)
    for name in ("aclose", "close"):
        close = getattr(state, name, None)
        if callable(close):
            return state, close
    if hasattr(kind, "__enter__") and hasattr(kind, "__exit__"):
        return state.__enter__(), lambda: state.__exit__(None, None, None)
    return state, None
