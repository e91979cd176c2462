"""A parallel map that always finishes, never loses or reorders a result, and says what failed.

>>> from metainformant.core import parallel
>>> parallel.thread_map(len, ["ATG", "GATTACA"])
[3, 7]

Importing this package costs next to nothing: each name brings its module in when it is first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import (
        ParallelError,
        TaskCancelledError,
        TaskTimeoutError,
        TooManyFailuresError,
        WorkerDiedError,
    )
    from .host.cpus import cpu_count
    from .maps.aio import aimap
    from .maps.batches import parallel_batch
    from .maps.compat import gather_results, rate_limited_map, resource_aware_workers
    from .maps.interpreters import interpreter_map
    from .maps.pool import Pool
    from .maps.processes import process_map, process_map_unordered
    from .maps.streams import Results, imap, outcomes
    from .maps.threads import thread_map, thread_map_unordered
    from .outcome import Outcome
    from .progress import Progress
    from .rate import RateLimit
    from .worker.current_task import CurrentTask, current_task

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
    "CurrentTask": "worker.current_task",
    "Outcome": "outcome",
    "ParallelError": "errors",
    "Pool": "maps.pool",
    "Progress": "progress",
    "RateLimit": "rate",
    "Results": "maps.streams",
    "TaskCancelledError": "errors",
    "TaskTimeoutError": "errors",
    "TooManyFailuresError": "errors",
    "WorkerDiedError": "errors",
    "aimap": "maps.aio",
    "cpu_count": "host.cpus",
    "current_task": "worker.current_task",
    "gather_results": "maps.compat",
    "imap": "maps.streams",
    "interpreter_map": "maps.interpreters",
    "outcomes": "maps.streams",
    "parallel_batch": "maps.batches",
    "process_map": "maps.processes",
    "process_map_unordered": "maps.processes",
    "rate_limited_map": "maps.compat",
    "resource_aware_workers": "maps.compat",
    "thread_map": "maps.threads",
    "thread_map_unordered": "maps.threads",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
