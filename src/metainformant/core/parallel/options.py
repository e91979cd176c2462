"""The options of one call: checked once, then frozen.

Nothing behind this checks them again; a function checks only the arguments that it alone has.
`OPTIONS` is the one table of them; a test compares it with the types below, the signatures, the
documents and the command line.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from . import validate
from .errors import FATAL
from .worker.setup import Preparation

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Any, Concatenate, Literal, NoReturn, TypedDict, TypeVar

    from .auto import Auto
    from .checkpoint.config import Checkpoint
    from .progress import Progress
    from .rate import RateLimit
    from .report.report import Report
    from .validate import OnError, RetryOn, StartMethod

    # What users pass as `max_workers`.
    MaxWorkers = int | Literal["auto"] | Auto | None

    T = TypeVar("T")
    R = TypeVar("R")
    # A function that is called with an item, with the worker's state if there is one, and with
    # `kwargs`. Type checkers can't tell how many arguments that makes.
    Task = Callable[[T], R] | Callable[Concatenate[T, ...], R]
    AsyncTask = Callable[[T], Awaitable[R]] | Callable[Concatenate[T, ...], Awaitable[R]]

    class PoolOptions(TypedDict, total=False):
        """The options of all maps, those of a pool included."""

        kwargs: Mapping[str, Any] | None
        seed: int | None
        skip_none: bool
        deadline: float | None
        cancel: threading.Event | None
        max_failures: float | None
        slow_after: float | None
        max_abandoned: int
        keep_locals: bool
        retries: int
        retry_on: (
            type[BaseException]
            | tuple[type[BaseException], ...]
            | list[type[BaseException]]
            | Callable[[BaseException], object]
        )
        backoff: float | Callable[[int, BaseException], float]
        throttled: (
            type[BaseException]
            | tuple[type[BaseException], ...]
            | list[type[BaseException]]
            | Callable[[BaseException], object]
            | None
        )
        rate: float | RateLimit | Sequence[RateLimit] | None
        max_cost: float | None
        on_complete: Callable[[int, Any, Any], object] | None
        progress: bool | str | Callable[[Progress], object] | None
        checkpoint: str | os.PathLike[str] | Checkpoint | None
        report: str | os.PathLike[str] | Report | None
        trace: str | os.PathLike[str] | None
        live: bool

    class MapOptions(PoolOptions, total=False):
        """The options of maps that start their own workers."""

        initializer: Callable[..., object] | None
        initargs: Iterable[Any]
        worker_state: Callable[[], Any] | None

    class ProcessOptions(MapOptions, total=False):
        """The options of maps that start their own processes."""

        start_method: StartMethod | None
        inner_threads: int | None
        max_tasks_per_worker: int | None
        memory_limit: int | str | None


class Options:
    """The values of all options of one call. Times are in seconds."""

    star: bool
    kwargs: dict[str, Any] | None
    seed: int | None
    chunk_size: int | None
    timeout: float | None
    ordered: bool
    on_error: OnError
    default: Any  # NO_DEFAULT if there is none
    skip_none: bool
    deadline: float | None
    cancel: threading.Event | None
    max_failures: float | None  # an int is a count, a float a fraction
    slow_after: float | None
    max_abandoned: int
    keep_locals: bool
    retries: int
    retry_on: RetryOn
    backoff: float | Callable[[int, BaseException], float]
    throttled: RetryOn | None
    rate: tuple[RateLimit, ...] | None
    max_cost: float | None  # in units of the limit that has a cost
    on_complete: Callable[[int, Any, Any], object] | None
    progress: bool | str | Callable[[Progress], object] | None
    checkpoint: Checkpoint | None  # which has a name
    report: Report | None
    trace: str | None  # a path
    live: bool
    initializer: Callable[..., object] | None
    initargs: tuple[Any, ...]
    worker_state: Callable[[], Any] | None
    start_method: StartMethod | None
    inner_threads: int | None
    max_tasks_per_worker: int | None
    memory_limit: int | None  # in bytes

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"options are frozen; use replace({name}=...)")

    def replace(self, **changes: Any) -> Options:
        """Return a copy with some values changed."""
        return Options({**self.__dict__, **changes})

    def bind(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return what workers call with an item, made of what the user passed."""
        if not (self.star or self.kwargs) and self.seed is None:
            return func
        from .worker.arguments import bind_arguments  # needed only by those who ask for it

        return bind_arguments(func, star=self.star, kwargs=self.kwargs, seed=self.seed)

    @property
    def fails_fast(self) -> bool:
        """Whether the first failure of a task ends the map."""
        return self.on_error == "raise" and self.max_failures is None and not self.retries

    def may_be_throttled(self, error: BaseException) -> bool:
        """Return whether an exception may be no failure but a refusal, which `throttled` says.

        Workers ask this: a function of the user is called by the engine alone.
        """
        throttled = self.throttled
        if throttled is says_slow_down:
            return says_slow_down(error)
        if isinstance(error, FATAL):
            return False
        return isinstance(error, throttled) if isinstance(throttled, tuple) else bool(throttled)

    @property
    def shows_progress(self) -> bool:
        """Whether the progress is shown as a bar or as lines."""
        return self.progress is not None and not callable(self.progress)

    @property
    def is_reported(self) -> bool:
        """Whether there is a report, or a page, for which workers measure what they use."""
        return self.report is not None or self.live

    @property
    def notes_times(self) -> bool:
        """Whether workers note when items are started, for whoever watches."""
        return self.is_reported or self.trace is not None or self.shows_progress

    @property
    def hides_failures(self) -> bool:
        """Whether nothing stands for a failed item by which it could be known."""
        return self.on_error != "return" or self.default is not NO_DEFAULT

    @property
    def preparation(self) -> Preparation:
        """The initializer and the state that each worker begins with."""
        return Preparation(self.initializer, self.initargs, self.worker_state)


def _rate(caller: str, name: str, value: Any) -> tuple[RateLimit, ...] | None:
    from .rate import RateLimit  # needed only by those who ask for it

    fix = (
        f"{caller}: {name}={value!r} must be a number of starts per second above 0, "
        "a RateLimit or several, or None for no limit"
    )
    if isinstance(value, (list, tuple)):
        if not all(isinstance(limit, RateLimit) for limit in value):
            raise TypeError(fix)
        limits = tuple(value)
    elif isinstance(value, RateLimit):
        limits = (value,)
    else:
        limits = (RateLimit(validate.positive(value, fix)),)
    if not limits:
        raise ValueError(fix)
    for number, limit in enumerate(limits):
        if any(limit.shares_with(other) for other in limits[:number]):
            raise ValueError(f"{caller}: {name}={value!r} has the limit {limit!r} twice")
        limit.check_process(f"{name} of {caller}")
    return limits


def _checkpoint(caller: str, name: str, value: Any) -> Checkpoint:
    from .checkpoint.config import Checkpoint  # needed only by those who ask for it

    if isinstance(value, Checkpoint):
        return value
    try:
        return Checkpoint(value)
    except (TypeError, ValueError):
        fix = f"{caller}: {name}={value!r} must be the path of a file, a Checkpoint, or None"
        raise (ValueError if value == "" else TypeError)(fix) from None


def _report(caller: str, name: str, value: Any) -> Report:
    from .report.report import Report  # needed only by those who ask for it

    if isinstance(value, Report):
        return value
    try:
        return Report(value, keep_trace=False)  # nobody has it to ask it for one
    except (TypeError, ValueError) as error:
        text = str(error).removeprefix("path=")
        instead = ", or a Report" if " must be " in text else ""  # not if a folder is missing
        raise type(error)(f"{caller}: {name}={text}{instead}") from None


def _trace(caller: str, name: str, value: Any) -> str:
    from .report.report import checked_path  # needed only by those who ask for it
    from .report.trace import ENDINGS

    return checked_path(value, f"{caller}: {name}", ENDINGS)


def _arguments(caller: str, name: str, value: object) -> tuple[Any, ...]:
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return tuple(value)
    raise TypeError(f"{caller}: {name}={value!r} must be a tuple of arguments for initializer")


def says_slow_down(error: BaseException) -> bool:
    """Return whether an exception looks as if a service wants fewer calls.

    That is the default of `throttled`. Most exceptions have nothing that could say so.
    """
    if isinstance(error, FATAL):  # SystemExit has a code
        return False
    try:
        for name in ("response", "status_code", "status", "code"):
            if getattr(error, name, None) is not None:
                break
        else:
            return False
    except Exception:  # asking may fail
        return False
    from .throttling import is_push_back  # needed only by those who call services

    return is_push_back(error)


def decided_elsewhere(error: BaseException) -> bool:
    """Return False: a call that runs chunks for a map elsewhere leaves it to that map."""
    return False


# The default of `default`, since None is a value that users want.
NO_DEFAULT: Any = type("NoDefault", (), {"__repr__": lambda _: "NO_DEFAULT"})()


class Option:
    """The default of an option, and the check of any other value."""

    __slots__ = ("check", "default", "for_processes", "of_workers")

    def __init__(
        self,
        default: object,
        check: Callable[[str, str, Any], Any],
        *,
        of_workers: bool = False,
        for_processes: bool = False,
    ) -> None:
        self.default: object = default
        self.check: Callable[[str, str, Any], Any] = check
        self.of_workers: bool = of_workers  # whether it belongs to workers, so that a pool has it
        self.for_processes: bool = for_processes  # whether only processes can have it


# In the order in which they are checked.
OPTIONS: dict[str, Option] = {
    "star": Option(False, validate.flag),
    "kwargs": Option(None, validate.keywords),
    "seed": Option(None, validate.seed),
    "chunk_size": Option(None, validate.optional_whole),
    "timeout": Option(None, validate.limit),
    "ordered": Option(True, validate.flag),
    "on_error": Option("return", validate.on_error),
    "default": Option(NO_DEFAULT, validate.anything),
    "skip_none": Option(False, validate.flag),
    "deadline": Option(None, validate.limit),
    "cancel": Option(None, validate.event),
    "max_failures": Option(None, validate.failures),
    "slow_after": Option(None, validate.limit),
    "max_abandoned": Option(1000, validate.whole),
    "keep_locals": Option(False, validate.flag),
    "retries": Option(0, partial(validate.whole, least=0)),
    "retry_on": Option((Exception,), validate.retry_on),
    "backoff": Option(0.1, validate.backoff),
    "throttled": Option(says_slow_down, validate.throttled),
    "rate": Option(None, _rate),
    "max_cost": Option(None, validate.cost),
    "on_complete": Option(
        None, partial(validate.optional_callable, takes="index, item and result")
    ),
    "progress": Option(None, validate.progress),
    "checkpoint": Option(None, _checkpoint),
    "report": Option(None, _report),
    "trace": Option(None, _trace),
    "live": Option(False, validate.flag),
    "initializer": Option(
        None,
        partial(validate.optional_callable, takes="`initargs`", may_be_async=True),
        of_workers=True,
    ),
    "initargs": Option((), _arguments, of_workers=True),
    "worker_state": Option(
        None,
        partial(validate.optional_callable, takes="nothing", may_be_async=True),
        of_workers=True,
    ),
    "start_method": Option(None, validate.start_method, of_workers=True, for_processes=True),
    "inner_threads": Option(None, validate.optional_whole, of_workers=True, for_processes=True),
    "max_tasks_per_worker": Option(
        None, validate.optional_whole, of_workers=True, for_processes=True
    ),
    "memory_limit": Option(None, validate.optional_size, of_workers=True, for_processes=True),
}
