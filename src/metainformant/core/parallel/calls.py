"""One call of a map: its function, its options and its workers, put together and checked."""

from __future__ import annotations

import os
import sys

from . import validate
from .describe import describe
from .errors import ParallelError
from .functions import check_function, surely_returns_awaitable
from .options import NO_DEFAULT, OPTIONS, Options
from .worker.context import is_serial

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor
    from typing import Any

    from .auto import Auto
    from .spending import Spending
    from .validate import BackendName


class Workers:
    """The place where a map runs.

    Attributes:
        kind: the kind of workers.
        count: how many at most.
        auto: the bounds within which the map finds out how many; None if `count` is how many.
        executor: the executor whose workers are used, if they are an executor's.
        client: the client of the cluster whose workers are used, if they are a cluster's; "ray"
            for the Ray of this process.
        pool: what keeps the workers, if they outlive the map.
        loop: the event loop that workers are tasks of, if it is the caller's. Set before the map
            starts.
        tasks: those tasks, as long as they run; owned by that loop.
        patience: seconds that a map goes on without any worker of a cluster; None for ever.
    """

    __slots__ = ("auto", "client", "count", "executor", "kind", "loop", "patience", "pool", "tasks")

    def __init__(
        self,
        kind: BackendName,
        count: int,
        executor: Executor | None = None,
        pool: Any = None,
        client: Any = None,
        auto: Auto | None = None,
    ) -> None:
        self.kind: BackendName = kind
        self.count: int = count
        self.auto: Auto | None = auto
        self.executor: Executor | None = executor
        self.client: Any = client
        self.pool: Any = pool
        self.loop: asyncio.AbstractEventLoop | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.patience: float | None = 60.0

    def one_at_a_time(self) -> Workers:
        """Return the workers of serial mode: one, in the caller's thread, or in the loop if any."""
        if self.kind != "asyncio":
            return Workers("serial", 1)
        workers = Workers("asyncio", 1)
        workers.loop, workers.tasks = self.loop, self.tasks
        return workers

    def waiting(self, patience: float | None) -> Workers:
        """Return these, with another patience."""
        self.patience = patience
        return self


class MapCall:
    """One call of a map: the function, its options, and where it runs.

    Attributes:
        caller: name of the public function, for messages and names of workers.
        spending: what its tasks may cost, and have cost so far; None if that is not counted.
    """

    __slots__ = ("caller", "func", "options", "spending", "workers")

    def __init__(
        self,
        caller: str,
        func: Callable[..., Any],
        options: Options,
        workers: Workers,
        spending: Spending | None = None,
    ) -> None:
        self.caller: str = caller
        self.func: Callable[..., Any] = func
        self.options: Options = options
        self.workers: Workers = workers
        self.spending: Spending | None = spending

    def replace(self, **changes: Any) -> MapCall:
        """Return a copy with some attributes changed."""
        return MapCall(**{**{name: getattr(self, name) for name in self.__slots__}, **changes})

    def in_serial_mode(self) -> MapCall:
        """Return the call as it is made here: in the caller's thread if that is asked for."""
        return self.replace(workers=self.workers.one_at_a_time()) if is_serial.get() else self


_DEFAULTS = {name: option.default for name, option in OPTIONS.items()}
_MAX_THREADS = 8
_MAX_COROUTINES = 100
# The kinds of workers that cost little where they wait, so that their number can be found out.
_FIND_THEIR_NUMBER: tuple[BackendName, ...] = ("thread", "asyncio", "serial")


def choose_workers(caller: str, max_workers: object, backend: object = "thread") -> Workers:
    """Check `backend` and `max_workers`; None chooses the default of the kind of workers."""
    kind = validate.backend(caller, backend)
    executor: Any = backend if kind == "executor" else None
    client: Any = None
    if kind == "cluster":
        from .host.cluster import default_max_workers, find_client  # needed by those who use it

        client = find_client(caller, backend)
        max_workers = default_max_workers(client) if max_workers is None else max_workers
    if max_workers is None:
        if kind == "serial":
            max_workers = 1
        elif kind == "thread":
            max_workers = _MAX_THREADS
        elif kind == "asyncio":
            max_workers = _MAX_COROUTINES
        else:
            _check_is_not_exit(caller, kind)
            from .host.cpus import cpu_count

            own = getattr(executor, "_max_workers", None)
            max_workers = own if isinstance(own, int) and own > 0 else cpu_count()
    auto = None if isinstance(max_workers, int) else _auto(caller, kind, max_workers)
    if auto is not None:
        return Workers(kind, 1 if kind == "serial" else auto.most, auto=auto)
    fix = f"{caller}: max_workers={max_workers!r} must be a whole number, at least 1"
    if kind in _FIND_THEIR_NUMBER:
        fix += ", or 'auto'"
    count = validate.whole(caller, "max_workers", max_workers, fix=fix)
    return Workers(kind, 1 if kind == "serial" else count, executor, client=client)


def _check_is_not_exit(caller: str, kind: BackendName) -> None:
    """Raise ParallelError in a finaliser that is called when the interpreter is nearly gone."""
    if sys.is_finalizing() and kind != "serial" and not is_serial.get():
        raise ParallelError(
            f"{caller} can't start a worker while the interpreter exits, which neither imports "
            "modules nor starts threads any more. Call it before the script ends: if a finaliser "
            "(__del__) calls it, delete or close that object before"
        )


def _auto(caller: str, kind: BackendName, value: object) -> Auto | None:
    """Return the bounds of a number of workers that the map is to find out; None if it is not."""
    from .auto import Auto  # needed only by those who ask for it

    if isinstance(value, str) and value == "auto":
        value = Auto()
    if not isinstance(value, Auto):
        return None
    if kind not in _FIND_THEIR_NUMBER:
        raise ValueError(
            f"{caller}: max_workers={value!r} is for threads and coroutines, of which there "
            f"may be many; workers of the kind {kind!r} take a processor each, so pass a number"
        )
    return value


def make_call(
    caller: str,
    func: Callable[..., Any],
    workers: Workers,
    options: Mapping[str, object],
    /,
    **arguments: object,
) -> MapCall:
    """Check everything and return the call; raise TypeError or ValueError that names the fix.

    Args:
        caller: name of the public function.
        func: what is called with each item.
        workers: where the map runs.
        options: what the user passed beyond the function's own parameters.
        arguments: options that the function has as parameters, or that a pool has.
    """
    kind = workers.kind
    _check_is_not_exit(caller, kind)
    for name in options:
        known = OPTIONS.get(name)
        if known is None or name in arguments:
            from .other_names import unknown_option  # needed only to word this error

            raise TypeError(unknown_option(caller, name, _names(kind, name)))
        if known.for_processes and kind != "process":
            raise TypeError(f"{caller}: {name} is an option for processes; the backend is {kind!r}")
    given = {**arguments, **options}
    chosen: dict[str, Any] = {**_DEFAULTS, **given}
    if kind == "executor":
        _check_executor(caller, chosen)
    for name, value in given.items():
        # Defaults are right; checking them would take longer than a small map.
        if value is not _DEFAULTS[name]:
            chosen[name] = OPTIONS[name].check(caller, name, value)
    made = Options(chosen)
    if made.on_error != "return" and made.default is not NO_DEFAULT:
        raise ValueError(
            f"{caller}: default={describe(made.default)} is for the slots of failed items, and "
            f"on_error={made.on_error!r} leaves them none; pass one of the two only"
        )
    if made.report is not None or made.trace is not None:
        _check_files(caller, made)
    if made.max_cost is not None:
        _check_cost(caller, made)
    if kind != "asyncio" and (made.initializer is not None or made.worker_state is not None):
        for name in ("initializer", "worker_state"):
            validate.plain(caller, name, chosen[name])
    if any(callable(value) for value in given.values()):
        from .call_checks import check_callbacks  # needed only by those who have some

        check_callbacks(caller, chosen)
    if made.initializer is not None:
        from .call_checks import check_initializer  # needed only by those who have one

        check_initializer(caller, made.initializer, made.initargs)
    check_function(
        caller,
        func,
        star=made.star,
        kwargs=made.kwargs,
        has_state=made.worker_state is not None,
        is_awaited=kind == "asyncio",
    )
    if kind == "asyncio" and not surely_returns_awaitable(func):
        from .worker.arguments import Awaitable  # hardly ever needed

        func = Awaitable(func)
    func = made.bind(func)
    if made.checkpoint is not None:
        made = made.replace(checkpoint=made.checkpoint.named(func))
    return MapCall(caller, func, made, workers)


def _names(kind: BackendName, wrong: str) -> list[str]:
    """Return the names of the options that workers of this kind can have."""
    names = (n for n, option in OPTIONS.items() if kind == "process" or not option.for_processes)
    return [name for name in ("max_workers", *names) if name != wrong]


def _check_executor(caller: str, chosen: Mapping[str, object]) -> None:
    for name in ("initializer", "worker_state"):
        if chosen[name] is not None:
            raise TypeError(
                f"{caller}: {name} is for workers that are started for the map; those of an "
                "executor are prepared by whoever makes it, so pass it its own initializer"
            )


def _check_files(caller: str, options: Options) -> None:
    """Raise ValueError if two of the files that a map writes are one, by whatever names."""
    paths = {
        "checkpoint": None if options.checkpoint is None else options.checkpoint.path,
        "report": None if options.report is None else options.report.path,
        "trace": options.trace,
    }
    names: dict[str, str] = {}  # by the real path
    for name, path in paths.items():
        if path is None:
            continue
        other = names.setdefault(os.path.normcase(os.path.realpath(path)), name)
        if other != name:
            raise ValueError(
                f"{caller}: {name}={path!r} is the file of {other}={paths[other]!r} too, and would "
                "overwrite it; pass another path for one of the two"
            )


def _check_cost(caller: str, options: Options) -> None:
    """Raise ValueError if `max_cost` has no units."""
    with_cost = sum(limit.has_cost for limit in options.rate or ())
    if options.max_cost is not None and with_cost != 1:
        raise ValueError(
            f"{caller}: max_cost={options.max_cost:g} is in the units of the one limit that has a "
            f"cost, and {with_cost} have one: pass rate=RateLimit(amount, per=60, cost=function)"
        )
