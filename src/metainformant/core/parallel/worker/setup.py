"""What is done once per worker: an initializer, and a resource that its tasks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..describe import describe, error_in_words
from ..errors import ParallelError
from .frames import own_frame

Bind = Callable[[Callable[..., Any]], Callable[[Any], Any]]


class Preparation(NamedTuple):
    """What a worker is to do before its first task, and at its end."""

    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()
    worker_state: Callable[[], Any] | None = None

    @contextmanager
    def performed(self) -> Iterator[Bind]:
        """Prepare the worker; clean up at the end.

        Gives a function that turns what the user passed into what is to be called with an item.

        Raises:
            ParallelError: from what the initializer, the factory or the closing raised.
        """
        if self.initializer is not None:
            with _named("the initializer failed in a worker"):
                self.initializer(*self.initargs)
        if self.worker_state is None:
            yield _as_it_is
            return
        with _named("worker_state failed to make the state of a worker"):
            state, close = _entered(self.worker_state())
        try:
            yield lambda func: with_state(func, state)
        finally:
            if close is not None:
                with _named(f"the state {describe(state)} of a worker could not be closed"):
                    close()


def _as_it_is(func: Callable[..., Any]) -> Callable[[Any], Any]:
    return func


def with_state(func: Callable[[Any, Any], Any], state: Any) -> Callable[[Any], Any]:
    @own_frame
    def call_with_state(item: Any) -> Any:
        return func(item, state)

    return call_with_state


def _entered(state: Any) -> tuple[Any, Callable[[], object] | None]:
    """What tasks are to get, and what closes it."""
    close = getattr(state, "close", None)
    if callable(close):  # first, since leaving a database connection does not close it
        return state, close
    if hasattr(type(state), "__enter__") and hasattr(type(state), "__exit__"):
        return state.__enter__(), lambda: state.__exit__(None, None, None)
    return state, None


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise ParallelError(f"{what}: {error_in_words(error)}") from error
