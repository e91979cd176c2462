"""A parallel map that always finishes, never loses or reorders a result, and says what failed.

>>> from metainformant.core import parallel
>>> parallel.thread_map(len, ["ATG", "GATTACA"])
[3, 7]

Importing this package costs next to nothing: each name brings its module in when it is first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .aio import aimap
    from .api import parallel_batch, thread_map, thread_map_unordered
    from .cpus import cpu_count
    from .errors import (
        ParallelError,
        TaskCancelledError,
        TaskTimeoutError,
        TooManyFailuresError,
        WorkerDiedError,
    )
    from .isolated import interpreter_map, process_map, process_map_unordered
    from .iterate import Results, imap, outcomes
    from .neighbours import gather_results, rate_limited_map, resource_aware_workers
    from .outcome import Outcome
    from .pool import Pool
    from .progress import Progress
    from .rate import RateLimit
    from .task import CurrentTask, current_task

__all__ = [
    "CurrentTask",
    "Outcome",
    "ParallelError",
    "Pool",
    "Progress",
    "RateLimit",
    "Results",
    "TaskCancelledError",
    "TaskTimeoutError",
    "TooManyFailuresError",
    "WorkerDiedError",
    "aimap",
    "cpu_count",
    "current_task",
    "gather_results",
    "imap",
    "interpreter_map",
    "outcomes",
    "parallel_batch",
    "process_map",
    "process_map_unordered",
    "rate_limited_map",
    "resource_aware_workers",
    "thread_map",
    "thread_map_unordered",
]

_HOMES = {
    "CurrentTask": "task",
    "Outcome": "outcome",
    "ParallelError": "errors",
    "Pool": "pool",
    "Progress": "progress",
    "RateLimit": "rate",
    "Results": "iterate",
    "TaskCancelledError": "errors",
    "TaskTimeoutError": "errors",
    "TooManyFailuresError": "errors",
    "WorkerDiedError": "errors",
    "aimap": "aio",
    "cpu_count": "cpus",
    "current_task": "task",
    "gather_results": "neighbours",
    "imap": "iterate",
    "interpreter_map": "isolated",
    "outcomes": "iterate",
    "parallel_batch": "api",
    "process_map": "isolated",
    "process_map_unordered": "isolated",
    "rate_limited_map": "neighbours",
    "resource_aware_workers": "neighbours",
    "thread_map": "api",
    "thread_map_unordered": "api",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
