"""Random number generators that belong to a task: they depend on the seed and its item's index.

So the numbers are the same on every kind of worker, whatever else runs there, and in each attempt.
"""

from __future__ import annotations

from .frames import own_frame
from .running import set_generators

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random
    from typing import Any

    from numpy.random import Generator


class Generators:
    """The generators of one attempt of a task, made when they are first asked for."""

    __slots__ = ("_random", "_rng", "_seed")

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random: Random | None = None
        self._rng: Generator | None = None

    def random(self, index: int) -> Random:
        if self._random is None:
            from random import Random

            # Texts are hashed by SHA-512, so those of consecutive items have nothing in common.
            self._random = Random(f"{self._seed} {index}")  # noqa: S311  # not for secrets
        return self._random

    def rng(self, index: int) -> Generator:
        if self._rng is None:
            from numpy.random import SeedSequence, default_rng

            self._rng = default_rng(SeedSequence(self._seed, spawn_key=(index,)))
        return self._rng


class Seeded:
    """A function whose tasks have generators, made of a function; as picklable as that.

    Attributes:
        run_suffix: what its name in a checkpoint ends with.
    """

    def __init__(self, func: Callable[..., Any], seed: int) -> None:
        self.__wrapped__ = func  # whose name and code are those of the task
        self.run_suffix: str = f" with seed {seed}"
        self._seed = seed

    @own_frame
    def __call__(self, item: Any, *state: Any) -> Any:
        set_generators(Generators(self._seed))
        return self.__wrapped__(item, *state)
