"""A map whose input is read lazily and whose results are taken one by one.

Three parties, each in a thread of its own: the reader reads the input, the driver runs the engine,
and the consumer, which is the caller's thread, takes what comes, puts it in order and tells the
reader how far it is. None of them ever waits for a task, for the input or for the consumer but the
one whose business it is. So timeouts fire and tasks go on while the input blocks, and while the
consumer is busy with something else.
"""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from ..backends.registry import make_backend, watched
from ..engine.lazy_source import StreamSource
from ..engine.loop import Engine
from ..engine.outcome_batch import OutcomeBatch
from ..engine.policies.stopping import Unfinished
from ..errors import ParallelError
from ..host.threads import DAEMON, launch
from ..observe.progress_bar import check_display
from ..options import Plan
from .delivery import ReorderBuffer, notify_batch
from .list_map import POLL_INTERVAL

# No wait is longer than this: elsewhere than on Linux a signal may not end one.
_LONGEST_WAIT = 0.1
# Seconds that closing waits for the driver, which has only to tell the workers to end.
_LONGEST_CLOSE = 1.0


class End:
    """The last thing that the driver sends."""

    def __init__(self, crash: BaseException | None) -> None:
        self.crash = crash


class Stream:
    """One lazy map.

    Args:
        plan: what to do.
        items: what to read.
        buffer_size: see `StreamSource`.
        keep_times: whether pieces are to have times.
    """

    def __init__(
        self, plan: Plan, items: Iterable[Any], buffer_size: int | None, *, keep_times: bool
    ) -> None:
        check_display(plan)
        self.owner: object = None  # what lives as long as this does
        self._plan = plan
        self._backend = make_backend(plan, stream=True, keep_times=keep_times)
        self._source = StreamSource(
            items,
            max_workers=plan.max_workers,
            chunk_size=plan.chunk_size,
            buffer_size=buffer_size,
            wake=self._backend.wake,
        )
        self._total = len(items) if isinstance(items, (list, tuple)) else None
        self._context = contextvars.copy_context()
        # Both are made at the start. Written by the consumer, read by whoever closes.
        self._engine: Engine | None = None
        self._driver: threading.Thread | None = None
        self._is_aborted = (
            False  # whether nobody wants more; set by any thread, read by the consumer
        )
        self._consumer: int | None = None  # the thread that asked for results last
        # Owned by the consumer:
        self._order = ReorderBuffer() if plan.ordered else None
        self._delivered = 0

    # The consumer's side

    def batches(self) -> Generator[OutcomeBatch, None, None]:
        """Run the map in threads of its own, and yield what comes, in order if that is asked."""
        received: queue.SimpleQueue[OutcomeBatch | End] = queue.SimpleQueue()
        try:
            self._consumer = threading.get_ident()
            self.start(received.put)
            while True:
                self._consumer = threading.get_ident()
                try:
                    batch = received.get(timeout=_LONGEST_WAIT)
                except queue.Empty:
                    continue
                if isinstance(batch, End):
                    self.join()
                    self.finish(batch)
                    return
                yield from self.take(batch)
        finally:
            self.abort()  # and wait for nothing: it may be the garbage collector that closes us

    def start(self, send: Callable[[OutcomeBatch | End], object]) -> None:
        """Start reading and running; all that comes of it goes through `send`, in the driver.

        Raises:
            ParallelError: if there are no threads for that.
        """
        caller = self._plan.caller
        engine = self._engine = Engine(
            watched(self._plan),
            self._source,
            self._backend,
            poll_interval=POLL_INTERVAL,
            max_chunk=self._source.max_chunk,
            is_stream=True,
            total=self._total,
        )
        if self._is_aborted:  # it may not have seen the engine
            engine.abort()
        driver = threading.Thread(
            target=self._context.run,
            args=(self._drive, engine, send),
            name=f"{caller} driver",
            daemon=DAEMON,
        )
        self._source.start(caller)
        launch(driver, caller)
        self._driver = driver

    def take(self, batch: OutcomeBatch) -> Iterator[OutcomeBatch]:
        """The consumer's part: yield what can be delivered now that this piece has come."""
        notify_batch(batch, self._plan.on_complete)
        for ready in (batch,) if self._order is None else self._order.add(batch):
            self._tell_progress()
            count = len(ready.values)  # the list may be consumed
            yield ready
            self._delivered += count
            ready.forget_items(count)
        self._tell_progress()

    def _tell_progress(self) -> None:
        held = 0 if self._order is None else self._order.held
        self._source.progressed(self._delivered, held)

    def finish(self, end: End) -> None:
        """Raise whatever has kept the stream from being complete."""
        error, end.crash = end.crash, None
        engine = self._engine
        if error is None and engine is not None:
            engine.raise_failure()
            error = self._what_is_missing(engine)
        # No cycle may keep the error, and all that its frames refer to: not this frame, which its
        # traceback will lead to, and not the objects that are reached from here.
        if engine is not None:
            engine.stop = None
        self._source.error = None
        if error is not None:
            try:
                raise error
            finally:
                del error

    def _what_is_missing(self, engine: Engine) -> BaseException | None:
        """The error that says why not everything was delivered; None if it was."""
        source, stop, first = self._source, engine.stop, engine.unfinished
        if stop is not None:
            if first is None and not source.is_complete:
                first = Unfinished(source.taken, "not read")
            return stop.error(first) or source.error
        if not engine.is_complete:
            return ParallelError(
                f"{self._plan.caller}: the stream was closed before its results were complete"
            )
        return source.error

    # From any thread

    def abort(self) -> None:
        """Let the map end soon, without more outcomes."""
        self._is_aborted = True
        if self._engine is not None:
            self._engine.abort()
        self._source.close()

    def join(self) -> None:
        """Wait until the map has ended, but for tasks in flight; or for a second."""
        driver = self._driver
        if driver is None or driver is threading.current_thread():
            return
        if not sys.is_finalizing():  # else the driver does not get to run any more
            driver.join(_LONGEST_CLOSE)

    @property
    def is_consumed_elsewhere(self) -> bool:
        """Whether it is another thread that asks for the results."""
        return self._consumer not in (None, threading.get_ident())

    # The driver

    def _drive(self, engine: Engine, send: Callable[[OutcomeBatch | End], object]) -> None:
        crash: BaseException | None = None
        try:
            for batch in engine.batches():
                send(batch)
        except BaseException as error:
            crash = error
        finally:
            self._source.close()
            send(End(crash))
            del crash
