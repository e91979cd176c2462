"""Random generators that a script makes when it is imported, and that must differ between copies.

A process that imports a script gets other random numbers than the next one, except where the script
gives a seed. Copies of a process that has imported it would all get the same. So it is noted during
the import which generators were seeded from the system, and these are seeded anew in each copy.
"""

from __future__ import annotations

import gc
import random
import secrets
import sys
import weakref
from typing import Any


class Seeds:
    """The generators of `random` and of numpy that are made within a `with` block."""

    def __init__(self) -> None:
        self._state: Any = None  # of the generator of `random`, if it was given a seed
        self._unseeded: weakref.WeakSet[random.Random] = weakref.WeakSet()
        self._entropies: set[int] = set()  # what numpy got from the system
        self._numpy: list[Any] = []

    def __enter__(self) -> Seeds:
        self._seed = random.seed
        self._class_seed = random.Random.seed
        self._randbits = secrets.randbits
        self._is_seeded = False

        def seed(a: Any = None, version: int = 2) -> None:
            self._is_seeded = a is not None
            self._seed(a, version)

        def class_seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
            self._class_seed(generator, a, version)
            if a is None:
                self._unseeded.add(generator)
            else:
                self._unseeded.discard(generator)

        def randbits(k: int) -> int:
            bits = self._randbits(k)
            self._entropies.add(bits)
            return bits

        random.seed = seed
        random.Random.seed = class_seed  # type: ignore[method-assign, assignment]
        secrets.randbits = randbits  # numpy keeps it, if it is imported here
        return self

    def __exit__(self, *_: object) -> None:
        random.seed = self._seed
        random.Random.seed = self._class_seed  # type: ignore[method-assign]
        secrets.randbits = self._randbits
        if self._is_seeded:
            self._state = random.getstate()
        numpy_random: Any = sys.modules.get("numpy.random")
        if numpy_random is not None:
            kinds = set(numpy_random.BitGenerator.__subclasses__())
            self._numpy = [
                thing
                for thing in gc.get_objects()
                if type(thing) in kinds
                and getattr(thing.seed_seq, "entropy", None) in self._entropies
            ]
        self._entropies.clear()

    def renew(self) -> None:
        """Give this copy the generators that an import of its own would have given it."""
        if self._state is not None:  # Python seeds this one anew in every fork
            random.setstate(self._state)
        for generator in self._unseeded:
            generator.seed()
        for bits in self._numpy:
            bits.__init__()
