"""The preparation of a worker: an initializer, and a state that its tasks share."""

from __future__ import annotations

import sys

from ..describe import describe, error_in_words
from ..errors import ParallelError
from .frames import own_frame

if sys.version_info >= (3, 15):  # where a signal ends blocked calls, whose handler is set there
    from . import interrupt as _interrupt  # noqa: F401  # only the main thread may, so do it early

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    # Turns what the user passed into what is called with an item.
    Bind = Callable[[Callable[..., Any]], Callable[[Any], Any]]


class Preparation:
    """The initializer of a worker, and the factory of its state."""

    FIELDS = ("initializer", "initargs", "worker_state")  # in the order of the arguments
    __slots__ = FIELDS

    def __init__(
        self,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        worker_state: Callable[[], Any] | None = None,
    ) -> None:
        self.initializer = initializer
        self.initargs = initargs
        self.worker_state = worker_state

    @property
    def is_needed(self) -> bool:
        return self.initializer is not None or self.worker_state is not None

    def performed(self) -> PreparedWorker:
        """Return a context manager that prepares the worker, and cleans up at the end."""
        return PreparedWorker(self)


class PreparedWorker:
    """The time between the preparation of a worker and its end.

    Entering and leaving raise a ParallelError from what the initializer, the factory or the closing
    raised.
    """

    def __init__(self, preparation: Preparation) -> None:
        self._preparation = preparation
        self._state: Any = None
        self._close: Callable[[], object] | None = None

    def __enter__(self) -> Bind:
        if not self._preparation.is_needed:
            return as_it_is
        from .fork import leaving_forks  # needed only by those

        with leaving_forks():
            return self._prepare()

    def _prepare(self) -> Bind:
        initializer, make_state = self._preparation.initializer, self._preparation.worker_state
        if initializer is not None:
            try:
                initializer(*self._preparation.initargs)
            except Exception as error:
                raise initializer_failed(error) from error
        if make_state is None:
            return as_it_is
        try:
            state, self._close = entered(make_state())
        except Exception as error:
            raise state_failed(error) from error
        self._state = state
        return lambda func: with_state(func, state)

    def __exit__(self, *_: object) -> None:
        if self._close is not None:
            from .fork import leaving_forks

            try:
                with leaving_forks():
                    self._close()
            except Exception as error:
                raise closing_failed(self._state, error) from error


def as_it_is(func: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return the function of an item itself: there is no state."""
    return func


def with_state(func: Callable[[Any, Any], Any], state: Any) -> Callable[[Any], Any]:
    """Return a function of one item that calls `func` with the item and the state."""

    @own_frame
    def call_with_state(item: Any) -> Any:
        return func(item, state)

    return call_with_state


def entered(state: Any) -> tuple[Any, Callable[[], object] | None]:
    """Return what tasks get, and what closes it."""
    close = getattr(state, "close", None)
    if callable(close):  # first, since leaving a database connection does not close it
        return state, close
    if hasattr(type(state), "__enter__") and hasattr(type(state), "__exit__"):
        return state.__enter__(), lambda: state.__exit__(None, None, None)
    return state, None


# What went wrong before or after the tasks of a worker.


def initializer_failed(error: Exception) -> ParallelError:
    return ParallelError(f"the initializer failed in a worker: {error_in_words(error)}")


def state_failed(error: Exception) -> ParallelError:
    words = error_in_words(error)
    return ParallelError(f"worker_state failed to make the state of a worker: {words}")


def closing_failed(state: object, error: Exception) -> ParallelError:
    words = error_in_words(error)
    return ParallelError(f"the state {describe(state)} of a worker could not be closed: {words}")
