"""What a checkpoint has already: which items are finished, and their outcomes."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, NamedTuple, TypeVar

from . import codec
from .failures import decode_failures, rebuild_failure
from .fingerprint import PYTHON
from .keys import Key
from .reading import Pieces

V = TypeVar("V")

# Pieces that are kept decoded, since consecutive items were often recorded together.
_KEPT = 16


class Span(NamedTuple):
    """Consecutive items: finished if they have the id of a piece, else still to be run."""

    start: int
    stop: int
    piece: int | None


class Outcomes(NamedTuple):
    """Recorded outcomes of consecutive items; `failed` has the exceptions by position."""

    values: list[Any]
    failed: dict[int, BaseException]
    attempts: int
    worker: str
    times: list[list[float]]  # start and end of each, if they were kept
    unloadable: tuple[int, codec.Unloadable] | None = None  # the first value that is, by position


class _Decoded(NamedTuple):
    keys: list[Key]
    values: list[Any]
    failed: dict[int, BaseException]
    attempts: int
    worker: str
    times: list[float]
    unloadable: dict[int, codec.Unloadable]  # by position, as `failed`


class Finished:
    """The outcomes of earlier sessions of one run. Any thread may replay; one at a time.

    Args:
        source: the file.
        run: the id of the run.
        fingerprint: of the function as it is now.
        keep_failures: whether recorded failures count as finished.
        keep_earlier: whether outcomes of other code count.
        wanted: a dict of the keys of the whole input in their order, if that is known. It becomes
            ours, and saves the memory for keys of our own.

    Attributes:
        earlier: how many outcomes come from other code than this.
        failed: the items whose last recorded outcome is a failure.

    Raises:
        CheckpointError: if the file is damaged.
    """

    def __init__(
        self,
        source: Pieces,
        run: int,
        fingerprint: str,
        *,
        keep_failures: bool = False,
        keep_earlier: bool = True,
        wanted: dict[Key, int | None] | None = None,
    ) -> None:
        self._source = source
        pieces: dict[Key, int | None] = {} if wanted is None else wanted
        self._wanted = len(pieces)
        self._decoded: OrderedDict[int, _Decoded] = OrderedDict()
        failed: set[Key] = set()
        self.failed = failed
        foreign: set[int] = set()
        head = None
        for head in source.heads(run):
            is_earlier = head.python == PYTHON and head.fingerprint != fingerprint
            if is_earlier:
                foreign.add(head.id)
                if not keep_earlier:
                    continue
            keys = codec.decode_keys(head.keys)
            if failed:
                failed.difference_update(keys)
            pieces.update(dict.fromkeys(keys, head.id))  # of equal keys, the older object stays
            if head.failed_at is not None:
                for position in json.loads(head.failed_at):
                    failed.add(keys[position])
                    if not keep_failures:
                        pieces[keys[position]] = None
        self._pieces = pieces if head is not None else {}
        self.earlier: int = 0
        if foreign and keep_earlier:
            self.earlier = sum(map(foreign.__contains__, pieces.values()))

    def __len__(self) -> int:
        return sum(piece is not None for piece in self._pieces.values())

    def __contains__(self, key: Key) -> bool:
        return self._pieces.get(key) is not None

    def spans(self, keys: Sequence[Key]) -> Iterator[Span]:
        """Divide items into those of one piece each, and those that are still to be run."""
        if self._pieces:
            yield from _spans(map(self._pieces.get, keys))
        elif keys:
            yield Span(0, len(keys), None)

    def all_spans(self) -> Iterator[Span]:
        """Divide the whole input, which was `wanted`."""
        if self._pieces:  # a dict keeps its order, so nothing has to be looked up
            yield from _spans(islice(self._pieces.values(), self._wanted))
        elif self._wanted:
            yield Span(0, self._wanted, None)

    def replay(self, piece: int, keys: Sequence[Key]) -> Outcomes:
        """Return the recorded outcomes of these keys, which are all of that piece.

        Raises:
            CheckpointError: if the piece is damaged.
        """
        decoded = self._decode(piece)
        first = decoded.keys.index(keys[0])
        positions: Sequence[int] = range(first, first + len(keys))
        if decoded.keys[first : first + len(keys)] == list(keys):
            values = decoded.values[first : first + len(keys)]
        else:
            places = {key: position for position, key in enumerate(decoded.keys)}
            positions = [places[key] for key in keys]
            values = [decoded.values[position] for position in positions]
        failed = _at(positions, decoded.failed)
        for at, error in failed.items():
            values[at] = error
        times = decoded.times
        spent = [times[position : position + 2] for position in positions] if times else []
        unloadable = next(iter(_at(positions, decoded.unloadable).items()), None)
        return Outcomes(values, failed, decoded.attempts, decoded.worker, spent, unloadable)

    def _decode(self, piece: int) -> _Decoded:
        if (known := self._decoded.get(piece)) is not None:
            self._decoded.move_to_end(piece)
            return known
        row = self._source.read(piece)
        values = codec.decode_results(row.results, codec.load)
        pickled = values if isinstance(row.results, bytes) else []  # others come as text
        decoded = self._decoded[piece] = _Decoded(
            codec.decode_keys(row.keys),
            values,
            {at: rebuild_failure(each) for at, each in decode_failures(row.failures).items()},
            row.attempts,
            row.worker,
            codec.decode_times(row.times),
            {at: value for at, value in enumerate(pickled) if isinstance(value, codec.Unloadable)},
        )
        if len(self._decoded) > _KEPT:
            self._decoded.popitem(last=False)
        return decoded


def _at(positions: Sequence[int], found: Mapping[int, V]) -> dict[int, V]:
    """Return what was found at these positions, by where they stand among them."""
    if not found:
        return {}
    return {at: found[position] for at, position in enumerate(positions) if position in found}


def _spans(found: Iterable[int | None]) -> Iterator[Span]:
    start = 0
    for piece, same in groupby(found):
        stop = start + len(list(same))
        yield Span(start, stop, piece)
        start = stop
