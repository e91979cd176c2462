"""A parallel map that loses and reorders no result, outlasts tasks that hang, and says what failed.

>>> from metainformant.core import parallel
>>> parallel.thread_map(len, ["ATG", "GATTACA"])
[3, 7]

Maps that return a list: `thread_map`, for tasks that wait; `process_map`, for pure Python that
computes; `async_map` and `aiomap`, for async functions; `interpreter_map`; `cluster_map`, on Dask
and Ray; `parallel_batch`, for functions that take many items at once. `thread_map_unordered` and
`process_map_unordered` put the results in the order of completion.

Maps that yield: `imap` yields results as they come, in constant memory, `outcomes` yields records
that say what each item took and what failed, `aimap` is for `async for`.

Beside them: `Pool` keeps workers between maps, `serial()` runs all maps in your own thread, for
debuggers, `split` tells values from failures, `current_task` is what a task can ask. As options:
`Checkpoint` to go on after a kill, `RateLimit` and `Auto` for services, `Report` to learn what
limited a run, `Progress` for bars of your own. Errors derive from `ParallelError`.

`help(parallel.thread_map)` explains all options that maps have in common.

Importing this package costs next to nothing: each name imports its module when it is first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .auto import Auto as Auto
    from .checkpoint.config import Checkpoint as Checkpoint
    from .checkpoint.errors import CheckpointError as CheckpointError
    from .checkpoint.errors import CheckpointWarning as CheckpointWarning
    from .checkpoint.errors import RecordedFailureError as RecordedFailureError
    from .checkpoint.errors import RepeatedlyKilledError as RepeatedlyKilledError
    from .checkpoint.keys import file_key as file_key
    from .errors import ParallelError as ParallelError
    from .errors import TaskCancelledError as TaskCancelledError
    from .errors import TaskTimeoutError as TaskTimeoutError
    from .errors import TooManyFailuresError as TooManyFailuresError
    from .errors import WorkerDiedError as WorkerDiedError
    from .failures import Failure as Failure
    from .failures import Failures as Failures
    from .failures import split as split
    from .host.cpus import cpu_count as cpu_count
    from .maps.aio import aimap as aimap
    from .maps.batches import parallel_batch as parallel_batch
    from .maps.clusters import cluster_map as cluster_map
    from .maps.compat import gather_results as gather_results
    from .maps.compat import rate_limited_map as rate_limited_map
    from .maps.compat import resource_aware_workers as resource_aware_workers
    from .maps.coroutines import aiomap as aiomap
    from .maps.coroutines import async_map as async_map
    from .maps.interpreters import interpreter_map as interpreter_map
    from .maps.pool import Pool as Pool
    from .maps.processes import process_map as process_map
    from .maps.processes import process_map_unordered as process_map_unordered
    from .maps.results import Results as Results
    from .maps.streams import imap as imap
    from .maps.streams import outcomes as outcomes
    from .maps.threads import thread_map as thread_map
    from .maps.threads import thread_map_unordered as thread_map_unordered
    from .outcome import Outcome as Outcome
    from .progress import Progress as Progress
    from .rate import RateLimit as RateLimit
    from .report.limit import Limit as Limit
    from .report.report import Report as Report
    from .worker.current_task import CurrentTask as CurrentTask
    from .worker.current_task import current_task as current_task
    from .worker.serial import serial as serial

# Where each public name is defined: the one list of them, read when a name is first used.
_HOMES = {
    "Auto": "auto",
    "Checkpoint": "checkpoint.config",
    "CheckpointError": "checkpoint.errors",
    "CheckpointWarning": "checkpoint.errors",
    "CurrentTask": "worker.current_task",
    "Failure": "failures",
    "Failures": "failures",
    "Limit": "report.limit",
    "Outcome": "outcome",
    "ParallelError": "errors",
    "Pool": "maps.pool",
    "Progress": "progress",
    "RateLimit": "rate",
    "RecordedFailureError": "checkpoint.errors",
    "RepeatedlyKilledError": "checkpoint.errors",
    "Report": "report.report",
    "Results": "maps.results",
    "TaskCancelledError": "errors",
    "TaskTimeoutError": "errors",
    "TooManyFailuresError": "errors",
    "WorkerDiedError": "errors",
    "aimap": "maps.aio",
    "aiomap": "maps.coroutines",
    "async_map": "maps.coroutines",
    "cluster_map": "maps.clusters",
    "cpu_count": "host.cpus",
    "current_task": "worker.current_task",
    "file_key": "checkpoint.keys",
    "gather_results": "maps.compat",
    "imap": "maps.streams",
    "interpreter_map": "maps.interpreters",
    "outcomes": "maps.streams",
    "parallel_batch": "maps.batches",
    "process_map": "maps.processes",
    "process_map_unordered": "maps.processes",
    "rate_limited_map": "maps.compat",
    "resource_aware_workers": "maps.compat",
    "serial": "worker.serial",
    "split": "failures",
    "thread_map": "maps.threads",
    "thread_map_unordered": "maps.threads",
}

__all__ = [*_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]

# What people try who know other libraries.
_HINTS = {
    "map": "use thread_map for threads or process_map for processes",
    "starmap": "use thread_map(func, items, star=True) or process_map(func, items, star=True)",
    "imap_unordered": "use imap(func, items, ordered=False)",
    "process_imap": "use imap(func, items, backend='process')",
    "Parallel": "use thread_map(func, items) or process_map(func, items)",
    "delayed": "pass the function and its items to thread_map or process_map",
    **dict.fromkeys(
        ("ThreadPool", "ThreadPoolExecutor"), "use thread_map, or Pool for several maps"
    ),
    **dict.fromkeys(
        ("ProcessPool", "ProcessPoolExecutor"),
        "use process_map, or Pool(backend='process') for several maps",
    ),
    **dict.fromkeys(
        ("submit", "apply", "apply_async"),
        "use imap(func, items): this package runs maps, no single calls",
    ),
    "parallel_map": "use thread_map for threads or process_map for processes",
    "pmap": "use process_map(func, items)",
    "async_imap": "use aimap(func, items)",
    "tqdm": "pass progress=True to the map",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        text = f"module {__name__!r} has no attribute {name!r}"
        if name in _HINTS:
            # The interpreter looks for near names in `obj`, and would contradict the hint.
            raise AttributeError(f"{text}; {_HINTS[name]}", name=name, obj=None)
        raise AttributeError(text)  # to which the interpreter adds near names where it is shown
    home = __import__(f"{__name__}.{_HOMES[name]}", fromlist=[name])  # importlib takes longer
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
