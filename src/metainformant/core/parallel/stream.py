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

from .engine import Engine
from .launch import launch
from .plan import Plan
from .reader import StreamSource
from .reporting import check_display
from .results import InOrder, Piece, tell_of
from .running import LOOK, make_backend

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
        self._plan = plan
        backend = make_backend(plan, stream=True, keep_times=keep_times)
        self._source = StreamSource(
            items,
            max_workers=plan.max_workers,
            chunk_size=plan.chunk_size,
            buffer_size=buffer_size,
            wake=backend.wake,
        )
        total = len(items) if isinstance(items, (list, tuple)) else None
        self._engine = Engine(
            plan,
            self._source,
            backend,
            look_every=LOOK,
            max_chunk=self._source.max_chunk,
            total=total,
        )
        self._context = contextvars.copy_context()
        self._driver: threading.Thread | None = None
        # Owned by the consumer:
        self._order = InOrder() if plan.ordered else None
        self._delivered = 0

    def start(self, send: Callable[[Piece | End], object]) -> None:
        """Start reading and running; all that comes of it goes through `send`, in the driver."""
        caller = self._plan.caller
        driver = threading.Thread(
            target=self._context.run, args=(self._drive, send), name=f"{caller} driver", daemon=True
        )
        self._source.start(caller)
        launch(driver, caller)
        self._driver = driver

    def pieces(self) -> Generator[Piece, None, None]:
        """Run the map in threads of its own, and yield what comes, in order if that is asked."""
        received: queue.SimpleQueue[Piece | End] = queue.SimpleQueue()
        try:
            self.start(received.put)
            while True:
                try:
                    piece = received.get(timeout=_LONGEST_WAIT)
                except queue.Empty:
                    continue
                if isinstance(piece, End):
                    self.finish(piece)
                    return
                yield from self.take(piece)
        finally:
            self.close()

    def take(self, piece: Piece) -> Iterator[Piece]:
        """The consumer's part: yield what can be delivered now that this piece has come."""
        tell_of(piece, self._plan.on_complete)
        for ready in (piece,) if self._order is None else self._order.add(piece):
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
        """Raise what ended the map before its input did, if something has."""
        if end.crash is not None:
            raise end.crash
        self._engine.raise_failure()
        if self._source.error is not None:
            raise self._source.error
        if self._engine.stop is not None and self._source.left is None:
            error = self._engine.stop.error((self._source.taken, "not read", False))
            if error is not None:
                raise error

    def close(self, wait: float = _LONGEST_CLOSE) -> None:
        """Let the map end soon. The consumer calls this, whatever has happened."""
        self._engine.leave()
        self._source.close()
        driver = self._driver
        if driver is None or driver is threading.current_thread():
            return
        if not sys.is_finalizing():  # else the driver does not get to run any more
            driver.join(wait)

    def _drive(self, send: Callable[[Piece | End], object]) -> None:
        crash: BaseException | None = None
        try:
            for piece in self._engine.pieces():
                send(piece)
        except BaseException as error:
            crash = error
        finally:
            self._source.close()
            send(End(crash))
            del crash
