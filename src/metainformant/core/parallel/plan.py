"""The options of one call, validated once and then frozen.

Whatever comes after may rely on a Plan: nothing else validates, but for arguments that only one
function has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypedDict, TypeVar

from . import validate
from .cpus import cpu_count
from .prepare import Preparation
from .rate import RateLimit
from .validate import BackendName, OnError, RetryOn, StartMethod

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from concurrent.futures import Executor

    from .progress import Progress


T = TypeVar("T")
R = TypeVar("R")
# For type checkers: what is called with an item, and with the worker's state if there is one.
Task = Callable[[T], R] | Callable[[T, Any], R]


class PoolOptions(TypedDict, total=False):
    """For type checkers: the options that all maps share, also those of a pool."""

    deadline: float | None
    cancel: threading.Event | None
    max_failures: float | None
    slow_after: float | None
    max_abandoned: int
    retries: int
    retry_on: (
        type[BaseException]
        | tuple[type[BaseException], ...]
        | list[type[BaseException]]
        | Callable[[BaseException], object]
    )
    backoff: float | Callable[[int, BaseException], float]
    rate: float | RateLimit | None
    on_complete: Callable[[int, Any, Any], object] | None
    progress: bool | str | Callable[[Progress], object] | None


class Options(PoolOptions, total=False):
    """For type checkers: what maps have besides that start their own workers."""

    initializer: Callable[..., object] | None
    initargs: Iterable[Any]
    worker_state: Callable[[], Any] | None


class ProcessOptions(Options, total=False):
    """For type checkers: the options that maps in processes have besides."""

    start_method: StartMethod | None
    inner_threads: int | None
    max_tasks_per_worker: int | None
    memory_limit: int | None


class Plan(NamedTuple):
    """What one call was asked to do. Times are in seconds."""

    caller: str  # name of the public function, for messages and worker names
    func: Callable[..., Any]
    max_workers: int
    chunk_size: int | None
    timeout: float | None
    ordered: bool
    on_error: OnError
    deadline: float | None
    cancel: threading.Event | None
    max_failures: float | None  # an int is a count, a float a fraction
    slow_after: float | None
    max_abandoned: int
    retries: int
    retry_on: RetryOn
    backoff: float | Callable[[int, BaseException], float]
    rate: RateLimit | None
    on_complete: Callable[[int, Any, Any], object] | None
    progress: bool | str | Callable[[Progress], object] | None
    initializer: Callable[..., object] | None
    initargs: tuple[Any, ...]
    worker_state: Callable[[], Any] | None
    backend: BackendName = "thread"
    # For processes only:
    start_method: StartMethod | None = None
    inner_threads: int | None = None
    max_tasks_per_worker: int | None = None
    memory_limit: int | None = None  # in bytes
    staff: Any = None  # where workers come from that are kept; None to start some for this call
    executor: Executor | None = None  # whose workers are used, if that is the backend

    @property
    def fails_fast(self) -> bool:
        """Whether the first failure of a task ends the map."""
        return self.on_error == "raise" and self.max_failures is None and not self.retries

    @property
    def preparation(self) -> Preparation:
        """What each worker is to do at first."""
        return Preparation(self.initializer, self.initargs, self.worker_state)


# What a call means where it leaves an option out; `max_workers` has no common default.
_DEFAULTS: dict[str, object] = {
    "chunk_size": None,
    "timeout": None,
    "ordered": True,
    "on_error": "return",
    "deadline": None,
    "cancel": None,
    "max_failures": None,
    "slow_after": None,
    "max_abandoned": 1000,
    "retries": 0,
    "retry_on": (Exception,),
    "backoff": 0.1,
    "rate": None,
    "on_complete": None,
    "progress": None,
    "initializer": None,
    "initargs": (),
    "worker_state": None,
}
_PROCESS_DEFAULTS: dict[str, object] = {
    "start_method": None,
    "inner_threads": None,
    "max_tasks_per_worker": None,
    "memory_limit": None,
}
_MAX_THREADS = 8


def make_plan(
    caller: str,
    func: Callable[..., Any],
    options: Mapping[str, object],
    *,
    max_workers: object,
    default_workers: bool = False,
    backend: object = "thread",
    staff: object = None,
    **arguments: object,
) -> Plan:
    """Check everything and return the Plan; raise TypeError or ValueError that names the fix.

    `arguments` are the caller's own parameters, `options` what its users passed beyond them. If
    `default_workers`, `max_workers` may be None for as many as the backend has by default.
    """
    kind = validate.backend(caller, backend)
    defaults = {**_DEFAULTS, **_PROCESS_DEFAULTS} if kind == "process" else _DEFAULTS
    allowed = [name for name in defaults if name not in arguments]
    for name in options:
        if name in _PROCESS_DEFAULTS and name not in defaults:
            raise TypeError(f"{caller}: {name} is an option for processes; the backend is {kind!r}")
        if name not in allowed:
            raise TypeError(validate.unknown(caller, name, allowed))
    validate.check_function(caller, func)
    chosen = {**_DEFAULTS, **_PROCESS_DEFAULTS, **arguments, **options}
    executor: Any = backend if kind == "executor" else None
    for name in ("initializer", "worker_state") if executor is not None else ():
        if chosen[name] is not None:
            raise TypeError(
                f"{caller}: {name} is for workers that are started for the map; those of an "
                "executor are prepared by whoever makes it, so pass it its own initializer"
            )
    if max_workers is None and default_workers:
        if kind == "thread":
            max_workers = _MAX_THREADS
        else:
            known = getattr(executor, "_max_workers", None)
            max_workers = known if isinstance(known, int) and known > 0 else cpu_count()
    workers = validate.whole(caller, "max_workers", max_workers)

    def checked(name: str, check: Callable[..., Any], *more: object) -> Any:
        value = chosen[name]
        # Nothing is said against what is left out; checking it would take longer than a small map.
        return value if value is defaults.get(name) else check(caller, name, value, *more)

    return Plan(
        caller=caller,
        func=func,
        max_workers=workers,
        chunk_size=checked("chunk_size", validate.optional_whole),
        timeout=checked("timeout", validate.limit),
        ordered=checked("ordered", validate.flag),
        on_error=validate.one_of(caller, chosen["on_error"]),
        deadline=checked("deadline", validate.limit),
        cancel=checked("cancel", validate.event),
        max_failures=checked("max_failures", validate.failures),
        slow_after=checked("slow_after", validate.limit),
        max_abandoned=checked("max_abandoned", validate.whole),
        retries=checked("retries", validate.whole, 0),
        retry_on=checked("retry_on", validate.retry_on),
        backoff=checked("backoff", validate.backoff),
        rate=checked("rate", _rate),
        on_complete=checked("on_complete", validate.optional_callable, "index, item and result"),
        progress=checked("progress", validate.progress),
        initializer=checked("initializer", validate.optional_callable, "`initargs`"),
        initargs=checked("initargs", _arguments),
        worker_state=checked("worker_state", validate.optional_callable, "nothing"),
        backend=kind,
        start_method=checked("start_method", validate.start_method),
        inner_threads=checked("inner_threads", validate.optional_whole),
        max_tasks_per_worker=checked("max_tasks_per_worker", validate.optional_whole),
        memory_limit=checked("memory_limit", validate.optional_whole),
        staff=staff,
        executor=executor,
    )


def _rate(caller: str, name: str, value: object) -> RateLimit | None:
    if value is None or isinstance(value, RateLimit):
        return value
    fix = (
        f"{caller}: {name}={value!r} must be a number of starts per second above 0, "
        "a RateLimit, or None for no limit"
    )
    return RateLimit(validate.positive(value, fix))


def _arguments(caller: str, name: str, value: object) -> tuple[Any, ...]:
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return tuple(value)
    raise TypeError(f"{caller}: {name}={value!r} must be a tuple of arguments for initializer")
