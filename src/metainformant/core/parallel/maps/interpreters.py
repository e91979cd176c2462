"""The map in subinterpreters."""

from __future__ import annotations

from ..calls import choose_workers, make_call
from ..public import overload, public
from ..runner.list_map import run_map
from .signatures import shows_options
from .threads import thread_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Literal, TypeVar, Unpack

    from ..options import MapOptions, Task
    from ..validate import OnError

    D = TypeVar("D")
    T = TypeVar("T")
    R = TypeVar("R")


@overload
def interpreter_map(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    on_error: Literal["return"] = "return",
    **options: Unpack[MapOptions],
) -> list[R | BaseException]: ...


@overload
def interpreter_map(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    on_error: Literal["raise", "skip"],
    **options: Unpack[MapOptions],
) -> list[R]: ...
@overload
def interpreter_map(
    func: Task[T, R],
    items: Iterable[T],
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    default: D,
    on_error: Literal["return"] = "return",
    **options: Unpack[MapOptions],
) -> list[R | D]: ...
@overload
def interpreter_map(
    func: Callable[..., Any],
    items: Iterable[Iterable[Any]],
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    *,
    star: Literal[True],
    on_error: OnError = "return",
    default: Any = ...,
    **options: Unpack[MapOptions],
) -> list[Any]: ...


@public
@shows_options(thread_map)
def interpreter_map(
    func: Callable[..., Any],
    items: Iterable[Any],
    max_workers: int | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    **options: Any,
) -> list[Any]:
    """Call `func` with each item, in subinterpreters, and return the results in input order.

    For Python 3.14 and later. This is `process_map` without the processes: pure Python computation
    runs in parallel, in threads that share no objects and no GIL. It means the same and takes the
    same arguments, except the options that only processes have.

    What interpreters can't do: an overdue call that can't be ended by an exception is not killed
    but left behind, as in `thread_map`. A crash ends the whole process. Extension modules that do
    not support subinterpreters (NumPy is one) can't be imported: whatever needs them fails with an
    error that names the module.

    Args:
        func: called with one item at a time, in several interpreters. It has to be defined at the
            top level of a module, as have the classes of items and results; with the extra
            `[process]`, lambdas, closures and what is defined in a notebook work too.
        items: any iterable; it is read whole before the map starts.
        max_workers: how many interpreters at most; by default `cpu_count()`.
        chunk_size: how many consecutive items are handed over together; by default as many as the
            measured speed suggests.
        timeout: seconds that one item may take, counted from its own start.
        ordered: False for the order of completion instead of input order.

    The other options are those of `thread_map`.

    Costs: starting an interpreter takes about 60 ms, and whatever importing your modules takes; an
    item costs as much as in `process_map`.

    A script that calls this must do so below `if __name__ == "__main__":`, since each worker
    imports the script. Called in a worker, this runs in a thread of that worker, one item at a
    time.

    Raises:
        TypeError, ValueError: for a wrong argument, before anything is started.
        ParallelError: before Python 3.14; or if `func` can't be pickled, or can't be imported in
            an interpreter.
        TaskCancelledError, TooManyFailuresError: see `thread_map`.

    >>> import sys
    >>> from metainformant.core import parallel
    >>> if sys.version_info >= (3, 14):
    ...     assert parallel.interpreter_map(len, ["ATG", "GATTACA"], max_workers=2) == [3, 7]
    """
    call = make_call(
        "interpreter_map",
        func,
        choose_workers("interpreter_map", max_workers, "interpreter"),
        options,
        chunk_size=chunk_size,
        timeout=timeout,
        ordered=ordered,
    )
    return run_map(call, items)
