"""The options of one call, validated once and then frozen.

Whatever comes after may rely on a Plan: nothing else validates, but for arguments that only one
function has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypedDict, TypeVar

from . import validate
from .host.cpus import cpu_count
from .rate import RateLimit
from .validate import BackendName, OnError, RetryOn, StartMethod
from .worker.setup import Preparation

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
    pool: Any = None  # where workers come from that are kept; None to start some for this call
    executor: Executor | None = None  # whose workers are used, if that is the backend

    @property
    def fails_fast(self) -> bool:
        """Whether the first failure of a task ends the map."""
        return self.on_error == "raise" and self.max_failures is None and not self.retries

    @property
    def preparation(self) -> Preparation:
        """What each worker is to do at first."""
        return Preparation(self.initializer, self.initargs, self.worker_state)


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


class _Option(NamedTuple):
    """What a call means that leaves an option out, and what is said against a value."""

    default: object
    check: Callable[[str, str, Any], Any]


# In the order in which they are checked; `max_workers` has no common default.
_COMMON: dict[str, _Option] = {
    "chunk_size": _Option(None, validate.optional_whole),
    "timeout": _Option(None, validate.limit),
    "ordered": _Option(True, validate.flag),
    "on_error": _Option("return", validate.on_error),
    "deadline": _Option(None, validate.limit),
    "cancel": _Option(None, validate.event),
    "max_failures": _Option(None, validate.failures),
    "slow_after": _Option(None, validate.limit),
    "max_abandoned": _Option(1000, validate.whole),
    "retries": _Option(0, partial(validate.whole, least=0)),
    "retry_on": _Option((Exception,), validate.retry_on),
    "backoff": _Option(0.1, validate.backoff),
    "rate": _Option(None, _rate),
    "on_complete": _Option(
        None, partial(validate.optional_callable, takes="index, item and result")
    ),
    "progress": _Option(None, validate.progress),
    "initializer": _Option(None, partial(validate.optional_callable, takes="`initargs`")),
    "initargs": _Option((), _arguments),
    "worker_state": _Option(None, partial(validate.optional_callable, takes="nothing")),
}
_FOR_PROCESSES: dict[str, _Option] = {
    "start_method": _Option(None, validate.start_method),
    "inner_threads": _Option(None, validate.optional_whole),
    "max_tasks_per_worker": _Option(None, validate.optional_whole),
    "memory_limit": _Option(None, validate.optional_whole),
}
_ALL = {**_COMMON, **_FOR_PROCESSES}
_DEFAULTS = {name: option.default for name, option in _ALL.items()}
_MAX_THREADS = 8


def make_plan(
    caller: str,
    func: Callable[..., Any],
    options: Mapping[str, object],
    *,
    max_workers: object,
    default_workers: bool = False,
    backend: object = "thread",
    pool: object = None,
    **arguments: object,
) -> Plan:
    """Check everything and return the Plan; raise TypeError or ValueError that names the fix.

    `arguments` are the caller's own parameters, `options` what its users passed beyond them. If
    `default_workers`, `max_workers` may be None for as many as the backend has by default.
    """
    kind = validate.backend(caller, backend)
    allowed = _ALL if kind == "process" else _COMMON
    for name in options:
        if name in _FOR_PROCESSES and name not in allowed:
            raise TypeError(f"{caller}: {name} is an option for processes; the backend is {kind!r}")
        if name not in allowed or name in arguments:
            known = [option for option in ("max_workers", *allowed) if option != name]
            raise TypeError(validate.unknown(caller, name, known))
    validate.check_function(caller, func)
    chosen: dict[str, Any] = {**_DEFAULTS, **arguments, **options}
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
            its_own = getattr(executor, "_max_workers", None)
            max_workers = its_own if isinstance(its_own, int) and its_own > 0 else cpu_count()
    workers = validate.whole(caller, "max_workers", max_workers)
    for name, default in _DEFAULTS.items():
        value = chosen[name]
        # Nothing is said against what is left out; checking it would take longer than a small map.
        if value is not default:
            chosen[name] = _ALL[name].check(caller, name, value)
    return Plan(
        caller=caller,
        func=func,
        max_workers=workers,
        backend=kind,
        pool=pool,
        executor=executor,
        **chosen,
    )
