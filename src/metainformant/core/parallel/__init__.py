"""A parallel map that always finishes, never loses or reorders a result, and says what failed.

>>> from metainformant.core import parallel
>>> parallel.thread_map(len, ["ATG", "GATTACA"])
[3, 7]
"""

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
