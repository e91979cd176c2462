"""What is done once per worker: an initializer, and a resource that its tasks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import CodeType
from typing import Any, NamedTuple

from .describe import describe
from .errors import ParallelError

Bind = Callable[[Callable[..., Any]], Callable[[Any], Any]]


class Preparation(NamedTuple):
    """What a worker is to do before its first task, and at its end."""

    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()
    worker_state: Callable[[], Any] | None = None

    @contextmanager
    def done(self) -> Iterator[Bind]:
        """Prepare the worker; clean up at the end.

        Gives a function that turns what the user passed into what is to be called with an item.

        Raises:
            ParallelError: from what the initializer, the factory or the closing raised.
        """
        with ExitStack() as stack:
            if self.initializer is not None:
                with _named("the initializer failed in a worker"):
                    self.initializer(*self.initargs)
            if self.worker_state is None:
                yield _as_it_is
                return
            with _named("worker_state failed to make the state of a worker"):
                state = self.worker_state()
                state = _entered(state, stack)
            yield lambda func: with_state(func, state)


def _as_it_is(func: Callable[..., Any]) -> Callable[[Any], Any]:
    return func


def with_state(func: Callable[[Any, Any], Any], state: Any) -> Callable[[Any], Any]:
    def call_with_state(item: Any) -> Any:
        return func(item, state)

    return call_with_state


# Its frame stands between ours and the task's in every traceback. Taken from a function that it has
# made: what else of it is compiled depends on the version of Python.
_example: Any = with_state(print, None)
WITH_STATE: CodeType = _example.__code__


def _entered(state: Any, stack: ExitStack) -> Any:
    """See to it that the state is closed; return what tasks are to get."""
    close = getattr(state, "close", None)
    if callable(close):  # first, since leaving a database connection does not close it
        stack.callback(_close, close, state)
        return state
    if hasattr(type(state), "__enter__") and hasattr(type(state), "__exit__"):
        entered = state.__enter__()
        stack.callback(_close, lambda: state.__exit__(None, None, None), state)
        return entered
    return state


def _close(close: Callable[[], object], state: Any) -> None:
    with _named(f"the state {describe(state)} of a worker could not be closed"):
        close()


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise ParallelError(f"{what}: {type(error).__name__}: {error}") from error
