"""The preparation of an event loop that runs tasks: its initializer and its state may be async."""

from __future__ import annotations

import inspect

from .fork import leaving_forks
from .setup import (
    as_it_is,
    closing_failed,
    entered,
    initializer_failed,
    state_failed,
    with_state,
)

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
        with leaving_forks():
            return await self._prepare()

    async def _prepare(self) -> Bind:
        initializer, make_state = self._preparation.initializer, self._preparation.worker_state
        if initializer is not None:
            try:
                await _settled(initializer(*self._preparation.initargs))
            except Exception as error:
                raise initializer_failed(error) from error
        if make_state is None:
            return as_it_is
        try:
            state, self._close = await _entered(await _settled(make_state()))
        except Exception as error:
            raise state_failed(error) from error
        self._state = state
        return lambda func: with_state(func, state)

    async def close(self) -> None:
        if self._close is None:
            return
        close, self._close = self._close, None
        try:
            with leaving_forks():
                await _settled(close())
        except Exception as error:
            raise closing_failed(self._state, error) from error


async def _settled(value: Any) -> Any:
    """Return what an async function returns, or what a plain one has returned."""
    return await value if inspect.isawaitable(value) else value


async def _entered(state: Any) -> tuple[Any, Callable[[], object] | None]:
    """Return what tasks get, and what closes it: by `await` if the state can do that."""
    kind = type(state)
    if hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__"):
        return await state.__aenter__(), lambda: state.__aexit__(None, None, None)
    close = getattr(state, "aclose", None)
    return (state, close) if callable(close) else entered(state)
