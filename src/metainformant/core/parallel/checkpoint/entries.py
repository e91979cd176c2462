"""The last recorded outcome of every item, read from a checkpoint piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from . import codec
from .config import Checkpoint
from .errors import CheckpointError
from .failures import Failure, decode_failures
from .keys import Key
from .pieces import Row
from .reading import Reader, RunRow


class Entry(NamedTuple):
    """One recorded outcome.

    Attributes:
        run: the name of the run.
        version: its version.
        item: the item as text, shortened.
        value: what the function returned; None if it failed, or is not loaded.
        pickled: whether there is a value that is not loaded, since it is a pickle.
        failure: the failure, as text; None if it succeeded.
        attempts: how many attempts there were.
        started: when the last one was started, in seconds since the epoch; None if not kept.
        seconds: how long it took; None if not kept.
        worker: name of the worker that ran it.
        recorded: when it was recorded, in seconds since the epoch.
    """

    run: str
    version: str | None
    item: str
    value: Any
    pickled: bool
    failure: Failure | None
    attempts: int
    started: float | None
    seconds: float | None
    worker: str
    recorded: float


class Entries:
    """The outcomes of a checkpoint as they were at construction; iterate as often as you like.

    The keys are in memory, and one piece. The file is locked only while a piece is read, so that
    whoever takes the entries slowly holds up no run.

    Args:
        checkpoint: the file; its name and version choose the runs.
        allow_pickle: whether to load pickles, which may run code.
        failures: whether to have only those that failed.
        skip_damaged: whether to leave out what is damaged, instead of raising.

    Attributes:
        left_out: what was left out so far, in words.

    Raises:
        CheckpointError: if it can't be read, or has no such run.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        allow_pickle: bool,
        failures: bool = False,
        skip_damaged: bool = False,
    ) -> None:
        self._allow_pickle = allow_pickle
        self._failures = failures
        self._skip_damaged = skip_damaged
        self.left_out: set[str] = set()
        self._reader = Reader(checkpoint.path)
        try:
            runs = self._reader.choose(checkpoint.name, checkpoint.version)
            self._last = [(run, self._last_pieces(run)) for run in runs]
        except BaseException:
            self._reader.close()
            raise

    def __enter__(self) -> Entries:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()

    def __iter__(self) -> Iterator[Entry]:
        for run, last in self._last:
            for piece in sorted(set(last.values())):
                try:
                    row = self._reader.read(piece)
                except CheckpointError as error:
                    self._leave_out(error)
                    continue
                if self._failures and not row.failed:
                    continue
                keys = codec.decode_keys(row.keys)
                positions = [at for at, key in enumerate(keys) if last[key] == piece]
                if self._failures:
                    failed = codec.positions(row.failed_at)
                    positions = [at for at in positions if at in failed]
                yield from _entries(run, row, positions, self._load, self._reader.path)

    def _last_pieces(self, run: RunRow) -> dict[Key, int]:
        """Return the piece that has the last outcome of each key."""
        last: dict[Key, int] = {}
        try:
            for head in self._reader.heads(run.id, self._leave_out):
                last.update(dict.fromkeys(codec.decode_keys(head.keys), head.id))
        except CheckpointError as error:  # SQLite itself can't read on
            self._leave_out(error)
        return last

    def _leave_out(self, error: CheckpointError) -> None:
        if not self._skip_damaged:
            raise error
        self.left_out.add(str(error))

    def _load(self, position: int, data: bytes) -> Any:
        return codec.load(position, data) if self._allow_pickle else codec.MISSING


def _entries(
    run: RunRow,
    row: Row,
    positions: list[int],
    load: Callable[[int, bytes], Any],
    path: str,
) -> Iterator[Entry]:
    values = codec.decode_results(row.results, load)
    failures = decode_failures(row.failures)
    times = codec.decode_times(row.times)
    items = codec.decode_items(row.items, row.keys)
    for at in positions:
        failure = failures.get(at)
        value = values[at]
        if isinstance(value, codec.Unloadable):
            raise value.error_of(repr(items[at]), run.name, path, "load no pickles")
        started = seconds = None
        if times:
            started, seconds = times[at], times[at + 1] - times[at]
        yield Entry(
            run.name,
            run.version,
            items[at],
            None if value is codec.MISSING else value,
            value is codec.MISSING,
            failure,
            row.attempts,
            started,
            seconds,
            row.worker,
            row.recorded,
        )
