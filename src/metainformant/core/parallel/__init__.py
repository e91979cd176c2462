"""A parallel map that always finishes, never loses or reorders a result, and says what failed.

>>> from metainformant.core import parallel
>>> parallel.thread_map(len, ["ATG", "GATTACA"])
[3, 7]

Importing this package costs next to nothing: each name brings its module in when it is first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .api import parallel_batch, thread_map, thread_map_unordered
    from .cpus import cpu_count
    from .errors import ParallelError, TaskCancelledError, TaskTimeoutError
    from .outcome import Outcome
    from .stream import outcomes

__all__ = [
    "Outcome",
    "ParallelError",
    "TaskCancelledError",
    "TaskTimeoutError",
    "cpu_count",
    "outcomes",
    "parallel_batch",
    "thread_map",
    "thread_map_unordered",
]

_HOMES = {
    "Outcome": "outcome",
    "ParallelError": "errors",
    "TaskCancelledError": "errors",
    "TaskTimeoutError": "errors",
    "cpu_count": "cpus",
    "outcomes": "stream",
    "parallel_batch": "api",
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
