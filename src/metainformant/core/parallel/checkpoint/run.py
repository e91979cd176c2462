"""One map's use of its checkpoint, from the first look at the file until it is closed."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from ..describe import describe
from .config import Checkpoint
from .errors import CheckpointError, CheckpointWarning, RepeatedlyKilledError
from .fingerprint import fingerprint
from .finished import Finished, Outcomes, Span
from .identity import run_name
from .in_flight import MAX_KILLS, InFlight, count_kills
from .keys import Key, marks
from .occurrences import Occurrences, all_keys
from .pieces import Record
from .store import Store
from .writer import Writer

T = TypeVar("T")

# In place of the id of a piece: the item is not to be started, since it was in flight at too many
# kills. Ids count from 1.
_KILLED = 0


class Block(list[Any]):
    """Consecutive items of the input, and what is to be done about them.

    Attributes:
        first: index of the first item.
        keys: the keys of the items.
        spans: all of them, in order; positions count from 0. Those without a piece are to be run,
            each in chunks of its own.
    """

    __slots__ = ("first", "keys", "spans")

    def __init__(
        self, first: int, items: Iterable[Any], keys: Sequence[Key], spans: list[Span]
    ) -> None:
        super().__init__(items)
        self.first: int = first
        self.keys: Sequence[Key] = keys
        self.spans: list[Span] = spans


class _Pending(NamedTuple, Generic[T]):
    """Outcomes on their way into the file, and whom to tell when they are there."""

    token: T
    record: Record
    start: int
    failed: dict[int, BaseException]

    def tell_refused(self) -> T:
        """Tell the caller's `failed` of results that could not be pickled."""
        for position, error in self.record.failed.items():
            self.failed[self.start + position] = error
        return self.token


class DurableRun:
    """A function's run in a checkpoint file, which it keeps locked until `close`.

    Use it in one thread, except for `replay` and `begun`, which any thread may call.

    Args:
        checkpoint: the file, and what resuming means.
        func: the function of the map.
        items: the whole input, if it is in memory; else its blocks are to be admitted one by one.

    Attributes:
        block: all items, if they were given.

    Raises:
        TypeError: if an item has no key.
        CheckpointError: if the file can't be used; or holds outcomes of other code, and that is to
            be raised.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        func: Callable[..., Any],
        items: Sequence[Any] | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self.name: str = run_name(func) if checkpoint.name is None else checkpoint.name
        code = fingerprint(func)
        keys: Sequence[Key] = ()
        wanted = None
        if items is not None:
            keys, wanted = all_keys(marks(items, checkpoint.key))
        self._store = store = Store(checkpoint.path, checkpoint.file_system)
        try:
            run, self._session = store.begin_session(self.name, checkpoint.version, code)
            self.finished: Finished = Finished(
                store,
                run,
                code,
                keep_failures=checkpoint.keeps_failures,
                keep_earlier=checkpoint.on_change != "rerun",
                wanted=wanted,
            )
            self._kills = count_kills(store, run)
            self._in_flight = InFlight(store.lock, self._session)
            self._tell_of_change()
        except BaseException:
            store.close(getattr(self, "_session", None))
            raise
        self._occurrences = Occurrences()
        self._writer: Writer[Any] | None = None
        self.block: Block = Block(
            0, items or (), keys, self._apart(self.finished.all_spans(), keys)
        )

    @property
    def path(self) -> str:
        return self._store.path

    def admit(self, items: Sequence[Any], first: int = 0) -> Block:
        """Return what is to be done about the next items of the input.

        Args:
            items: the items, in the order of the input.
            first: index of the first one.

        Raises:
            TypeError: if an item has no key.
        """
        keys = self._occurrences.keys(marks(items, self._checkpoint.key))
        return Block(first, items, keys, self._apart(self.finished.spans(keys), keys))

    def replay(self, block: Block, span: Span) -> Outcomes:
        """Return the outcomes of a span that is finished.

        Raises:
            CheckpointError: if the file is damaged, or a value can't be loaded.
        """
        assert span.piece is not None  # noqa: S101  # the caller's duty
        if span.piece == _KILLED:
            key, item = block.keys[span.start], describe(block[span.start])
            error = RepeatedlyKilledError(item, self._kills[key])
            return Outcomes([error], {0: error}, MAX_KILLS, "", [])
        outcomes = self.finished.replay(span.piece, block.keys[span.start : span.stop])
        if outcomes.unloadable is not None:
            position, value = outcomes.unloadable
            item = describe(block[span.start + position])
            raise value.error_of(item, self.name, self.path, "use another file")
        return outcomes

    def begun(self, block: Block, start: int, stop: int) -> None:
        """Note that the items with these indexes are handed out as one chunk.

        Raises:
            CheckpointError: if that can't be noted.
        """
        try:
            self._in_flight.begun(start, block.keys[start - block.first : stop - block.first])
        except OSError as error:
            raise self._not_noted(error) from error

    def start_writer(
        self, committed: Callable[[list[T]], object], wake: Callable[[], object] = lambda: None
    ) -> None:
        """Start the thread that records outcomes; it is ended by `close`.

        Args:
            committed: called in that thread with the tokens of what is now in the file, in the
                order of `record`. It must not raise, and should be quick.
            wake: called in that thread when `is_full` has become false, and when writing failed.
        """

        def told(pending: list[_Pending[T]]) -> None:
            committed([each.tell_refused() for each in pending])

        self._writer = Writer(self._store, self._session, told, wake)
        self._writer.start()

    def record(
        self,
        token: object,
        block: Block,
        start: int,
        values: list[Any],
        failed: dict[int, BaseException],
        attempts: int = 1,
        worker: str = "",
        times: Sequence[float] = (),
    ) -> None:
        """Queue outcomes of consecutive items of one chunk; it never waits for the disk.

        Args:
            token: what `committed` gets when they are in the file.
            block: the items are of this one.
            start: the index of the first.
            values: what the function returned, or the exception it raised. The list is changed if
                a result can't be pickled: its place gets a `CheckpointError`.
            failed: the exceptions by index; changed likewise.
            attempts: how many attempts each item had.
            worker: the name of the worker.
            times: when each item was started, and when the last one ended, in seconds since the
                epoch; may be empty.

        Raises:
            CheckpointError: if writing has failed.
        """
        assert self._writer is not None  # noqa: S101  # the caller's duty
        first = start - block.first
        last = first + len(values)
        try:
            self._in_flight.ended(start, len(values))
        except OSError as error:
            raise self._not_noted(error) from error
        record = Record(
            block.keys[first:last],
            block[first:last],
            values,
            {index - start: error for index, error in failed.items()},
            attempts,
            worker,
            times,
        )
        self._writer.put(record, _Pending(token, record, start, failed))

    @property
    def is_full(self) -> bool:
        """Whether no more items should be handed out until `wake` is called."""
        return self._writer is not None and self._writer.is_full

    @property
    def error(self) -> CheckpointError | None:
        """The reason why nothing more is recorded, if that is so."""
        return None if self._writer is None else self._writer.error

    def uncommitted(self) -> list[Any]:
        """Take the tokens of what is not known to be in the file, after writing failed."""
        return [] if self._writer is None else [each.token for each in self._writer.uncommitted()]

    def leave(self) -> None:
        """Say from any thread that `close` comes soon: this process's next map waits for it."""
        self._store.lock.leave()

    def close(self) -> None:
        """Record what is queued, and let go of the file.

        Ctrl-C that comes meanwhile is raised when that is done. The next gets through at once, and
        then what was queued may be lost.

        Raises:
            CheckpointError: if not everything could be recorded.
        """
        try:
            if self._writer is not None:
                _complete(self._writer.close)
        finally:
            _complete(lambda: self._store.close(self._session))

    def _not_noted(self, error: OSError) -> CheckpointError:
        path = self._store.lock.path
        return CheckpointError(f"{path} can't be written: {error.strerror}", self.path)

    def _apart(self, spans: Iterable[Span], keys: Sequence[Key]) -> list[Span]:
        if self._kills:
            return [part for span in spans for part in self._suspects_apart(span, keys)]
        return list(spans)

    def _suspects_apart(self, span: Span, keys: Sequence[Key]) -> list[Span]:
        """Let items that were in flight at a kill be chunks of their own."""
        if span.piece is not None:
            return [span]
        parts = []
        begin = span.start
        for at in range(span.start, span.stop):
            kills = self._kills.get(keys[at], 0)
            if kills:
                if begin < at:
                    parts.append(Span(begin, at, None))
                parts.append(Span(at, at + 1, _KILLED if kills >= MAX_KILLS else None))
                begin = at + 1
        if begin < span.stop:
            parts.append(Span(begin, span.stop, None))
        return parts

    def _tell_of_change(self) -> None:
        count = self.finished.earlier
        action = self._checkpoint.on_change
        if not count or action == "accept":
            return
        text = (
            f"{count} results of {self.name} in {self.path} were recorded with other code of it. "
            "Pass Checkpoint(..., on_change='accept') to keep them, on_change='rerun' to run "
            "their items again, or another version= to begin anew"
        )
        if action == "raise":
            raise CheckpointError(text, self.path)
        warning = CheckpointWarning(text, self.path, self.name, count)
        warnings.warn(warning, stacklevel=_callers_level())


def _callers_level() -> int:
    """Return how many frames up the caller of the library is, as `warn` counts in our caller."""
    package = __name__.split(".")[0]
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(package):
        level, frame = level + 1, frame.f_back
    return level


def _complete(step: Callable[[], object]) -> None:
    """Do something that may be begun again, before Ctrl-C that came meanwhile gets through."""
    try:
        step()
    except KeyboardInterrupt:
        step()
        raise
