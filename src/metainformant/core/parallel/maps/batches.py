"""The map over batches of items."""

from __future__ import annotations

from ..calls import choose_workers
from ..public import overload, public
from ..runner.batches import run_batches
from .signatures import shows_options
from .threads import thread_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Literal, TypeVar, Unpack

    from ..options import MapOptions, MaxWorkers, Task

    D = TypeVar("D")
    T = TypeVar("T")
    R = TypeVar("R")


@overload
def parallel_batch(
    func: Task[list[T], Iterable[R]],
    items: Iterable[T],
    batch_size: int = 10,
    max_workers: MaxWorkers = 4,
    *,
    on_error: Literal["return"] = "return",
    strict: bool = False,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    **options: Unpack[MapOptions],
) -> list[R | BaseException]: ...


@overload
def parallel_batch(
    func: Task[list[T], Iterable[R]],
    items: Iterable[T],
    batch_size: int = 10,
    max_workers: MaxWorkers = 4,
    *,
    on_error: Literal["raise", "skip"],
    strict: bool = False,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    **options: Unpack[MapOptions],
) -> list[R]: ...
@overload
def parallel_batch(
    func: Task[list[T], Iterable[R]],
    items: Iterable[T],
    batch_size: int = 10,
    max_workers: MaxWorkers = 4,
    *,
    default: D,
    on_error: Literal["return"] = "return",
    strict: bool = False,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    **options: Unpack[MapOptions],
) -> list[R | D]: ...


@public
@shows_options(thread_map, without=("star",))
def parallel_batch(
    func: Callable[..., Iterable[Any]],
    items: Iterable[Any],
    batch_size: int = 10,
    max_workers: MaxWorkers = 4,
    *,
    strict: bool = False,
    **options: Any,
) -> list[Any]:
    """Call `func` with lists of items, in threads, and join the lists that it returns.

    A batch that fails puts its exception in the place of each of its items, with a note that
    names the batch; no other batch is affected.

    Args:
        func: called with a list of up to `batch_size` items; returns a list (or any iterable
            except text, mappings and tables) of results, usually one per item.
        items: any iterable, read whole before the map starts.
        batch_size: items per call; the last batch may be smaller.
        max_workers: how many threads at most.
        strict: True to make it a failure of a batch, a ValueError, if `func` returns fewer or more
            results than it got items. By default they are joined as they are, and one warning is
            logged that names the first such batch.
        timeout: seconds that one batch may take, counted from its own start; None for no limit.
        ordered: False to join the batches in the order of completion.
        chunk_size: how many batches are handed to a thread together.

    The other options are those of `thread_map` except `star`, where one task is one batch.

    Raises:
        TypeError, ValueError: for a wrong argument, before anything is started.

    >>> from metainformant.core import parallel
    >>> parallel.parallel_batch(sorted, [3, 1, 2, 5, 4], batch_size=2)
    [1, 3, 2, 5, 4]
    """
    workers = choose_workers("parallel_batch", max_workers)
    return run_batches("parallel_batch", func, items, batch_size, workers, options, strict=strict)
