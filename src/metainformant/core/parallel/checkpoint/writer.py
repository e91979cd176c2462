"""The thread that writes: it commits whatever is queued as soon as the last commit is done.

So there is no timer: slow outcomes are committed one by one, and fast ones by the thousand. What
has been committed is handed on, in the order in which it came, and nothing else ever is.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from ..describe import describe
from .errors import CheckpointError
from .pieces import Record, Row, encode
from .store import Store

T = TypeVar("T")

# Bytes that may wait to be written before no more work is to be handed out. Picked by feel: some
# commits' worth on a slow disk.
_MAX_WAITING = 64 << 20
# Bytes of one transaction: what comes behind it is not to wait for too much.
_MAX_GROUP = 16 << 20
# How many values of a piece are looked at to guess its size.
_SAMPLE = 16


class _Queued(NamedTuple, Generic[T]):
    record: Record
    token: T
    size: int  # as guessed


class Writer(Generic[T]):
    """Records outcomes in a thread of its own, from `start` until `close`.

    `_changed` guards the queue, its size and `_error`.

    Args:
        store: the file.
        session: the id that the rows get.
        committed: called in the writer's thread with the tokens of the records that are now in the
            file, in the order of `put`. It must not raise, and should be quick.
        wake: called in the writer's thread when `is_full` has become false, and when writing has
            failed.
        max_waiting: bytes that may wait before `is_full`.
    """

    def __init__(
        self,
        store: Store,
        session: int,
        committed: Callable[[list[T]], object],
        wake: Callable[[], object] = lambda: None,
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        self._store = store
        self._session = session
        self._committed = committed
        self._wake = wake
        self._max_waiting = max_waiting
        self._changed = threading.Condition(threading.Lock())
        self._queue: deque[_Queued[T]] = deque()
        self._waiting = 0  # bytes in the queue and in the group that is being written
        self._is_closing = False
        self._error: CheckpointError | None = None
        self._pid = os.getpid()
        # Owned by the thread: bytes per item in the file, of what was written last.
        self._per_item = 0.0
        # Whether the thread runs. It says so itself when it is about to end, before it releases
        # `_end`: before CPython 3.13 a thread whose `join` Ctrl-C has interrupted counts as ended.
        self._runs: bool = False
        self._end = threading.Lock()
        self._thread = threading.Thread(
            target=self._run_until_closed, args=(store,), name="checkpoint writer", daemon=True
        )

    def start(self) -> None:
        self._runs = True
        self._end.acquire()
        try:
            self._thread.start()
        except BaseException:
            self._runs = self._thread.ident is not None  # Ctrl-C may come when it has begun
            raise

    def put(self, record: Record, token: T) -> None:
        """Queue a record; it never waits. The record is the writer's from now on.

        Raises:
            CheckpointError: if writing has failed. Then nothing more will be committed.
        """
        size = self._guess(record)
        with self._changed:
            if self._error is not None:
                raise self._error
            self._queue.append(_Queued(record, token, size))
            self._waiting += size
            if len(self._queue) == 1:
                self._changed.notify_all()

    @property
    def is_full(self) -> bool:
        """Whether no more work should be handed out until `wake` is called."""
        return self._waiting > self._max_waiting

    @property
    def error(self) -> CheckpointError | None:
        """The reason why writing has failed, if it has."""
        return self._error

    def uncommitted(self) -> list[T]:
        """Take the tokens of what was put and is not known to be in the file."""
        with self._changed:
            tokens = [queued.token for queued in self._queue]
            self._queue.clear()
            return tokens

    def close(self) -> None:
        """Wait until everything is committed, and end the thread.

        Raises:
            CheckpointError: if not everything could be.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if os.getpid() == self._pid:
            while self._runs:
                self._end.acquire(timeout=0.1)  # a signal may not end a longer wait everywhere
            if self._thread.is_alive():
                self._thread.join()
        self._committed = self._wake = _nothing  # no cycle may keep what these refer to
        if self._error is not None:
            raise self._error

    # The thread's side

    def _run_until_closed(self, store: Store) -> None:
        try:
            self._run(store)
        finally:
            self._runs = False
            self._end.release()

    def _run(self, store: Store) -> None:
        # In a forked child this frame is never left nor cleared, so what it refers to is never
        # collected there: a connection that is closed in a child damages that of its parent.
        while group := self._take():
            try:
                size = self._write([queued.record for queued in group])
                self._per_item = size / sum(len(queued.record.keys) for queued in group)
                self._committed([queued.token for queued in group])
            except CheckpointError as error:
                self._fail(error, group)
                return
            except BaseException as error:
                cause = CheckpointError(
                    f"{store.path} can't be written: {type(error).__name__}: {error}", store.path
                )
                cause.__cause__ = error
                self._fail(cause, group)
                return
            with self._changed:
                was_full = self.is_full
                self._waiting -= sum(queued.size for queued in group)
                frees = was_full and not self.is_full
            if frees:
                self._wake()

    def _take(self) -> list[_Queued[T]]:
        """Wait for something to write; empty when there will be nothing."""
        with self._changed:
            while not self._queue and not self._is_closing:
                self._changed.wait()
            group: list[_Queued[T]] = []
            size = 0
            while self._queue and size <= _MAX_GROUP:
                group.append(self._queue.popleft())
                size += group[-1].size
            return group

    def _write(self, records: list[Record]) -> int:
        rows: list[Row] = [encode(record, self._refusal(record)) for record in records]
        self._store.write(self._session, rows)
        return sum(row.size for row in rows)

    def _refusal(self, record: Record) -> Callable[[int, Exception], BaseException]:
        def refusal(position: int, error: Exception) -> BaseException:
            what = describe(record.values[position])
            failure = CheckpointError(
                f"the result {what} can't be pickled, so it can't be kept in the checkpoint "
                f"{self._store.path}: {type(error).__name__}: {error}. Return plain values, or "
                "objects that pickle",
                self._store.path,
            )
            failure.__cause__ = error
            return failure

        return refusal

    def _fail(self, error: CheckpointError, group: list[_Queued[T]]) -> None:
        with self._changed:
            self._error = error
            self._queue.extendleft(reversed(group))
        self._wake()

    def _guess(self, record: Record) -> int:
        """About how many bytes the record takes, without looking at all of it."""
        values = record.values
        step = max(1, len(values) // _SAMPLE)
        sample = values[::step]
        average = sum(map(_size, sample)) / max(1, len(sample))
        return int(len(values) * max(average, self._per_item)) + 200


def _nothing(*_: object) -> None:
    pass


def _size(value: object) -> int:
    try:
        return sys.getsizeof(value)
    except Exception:
        return 100
