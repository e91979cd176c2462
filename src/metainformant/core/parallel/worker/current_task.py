"""The description of the current task, for the task itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import ParallelError
from ..public import public
from .running import get_describe, get_generators

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

    from numpy.random import Generator

    from .generators import Generators


@public
class CurrentTask(NamedTuple):
    """The task that asked.

    Attributes:
        index: position of its item in the input, counted from 0.
        attempt: which try this is, counted from 1.
        seconds_left: seconds until its timeout, as far as the map has seen, which may be a little
            more than that; None without a timeout.
        random, rng: its own generators of random numbers, if the map has a seed.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody misses in a record
    attempt: int
    seconds_left: float | None
    is_cancelled: Callable[[], bool]
    generators: Generators | None = None

    @property
    def random(self) -> Random:
        """A `random.Random` that depends on the map's `seed` and on the index of the item only.

        It is the same object whenever one attempt of a task asks, and begins anew with the next.

        Raises:
            ParallelError: if the map has no seed.

        >>> from metainformant.core import parallel
        >>> def roll(item):
        ...     return parallel.current_task().random.randint(1, 6)
        >>> parallel.thread_map(roll, range(8), seed=1)
        [1, 5, 1, 3, 5, 5, 1, 1]
        """
        return self._seeded("random").random(self.index)

    @property
    def rng(self) -> Generator:
        """A NumPy `Generator` that depends on the map's `seed` and on the index of the item only.

        That of the item with the index i is `default_rng(SeedSequence(seed).spawn(i + 1)[i])`.

        Raises:
            ParallelError: if the map has no seed.
            ImportError: without NumPy.
        """
        return self._seeded("rng").rng(self.index)

    def _seeded(self, name: str) -> Generators:
        if self.generators is None:
            raise ParallelError(
                f"current_task().{name} needs a seed: pass seed=1, or any whole number, to the map"
            )
        return self.generators

    def cancelled(self) -> bool:
        """Return whether nobody waits for the result any more: a good moment to return.

        That is so after its timeout, and once the map was stopped or left.
        """
        return self.is_cancelled()


@public
def current_task() -> CurrentTask | None:
    """Return what is known about the task that calls this; None outside of a map's worker.

    Long tasks that cannot be stopped from outside can ask from time to time whether they should
    go on. Costs about a microsecond.

    >>> from metainformant.core import parallel
    >>> def index(item):
    ...     return parallel.current_task().index
    >>> parallel.thread_map(index, "abc")
    [0, 1, 2]
    >>> parallel.current_task() is None
    True
    """
    describe = get_describe()
    if describe is None:
        return None
    task, generators = describe(), get_generators()
    return task if generators is None else task._replace(generators=generators)
