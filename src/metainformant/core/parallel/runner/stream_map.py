"""A map whose input is read lazily and whose results are taken one by one.

Three parties, each in a thread of its own: the reader reads the input, the driver runs the engine,
and the consumer, which is the caller's thread, takes the batches, puts them in order and reports
how far it is. Only the reader waits for the input, only the driver for the workers, and nobody for
the consumer. So timeouts fire and tasks go on while the input blocks, and while the consumer is
busy with something else.
"""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
from collections.abc import Sized

from .. import validate
from ..backends.registry import make_backend
from ..calls import make_call
from ..engine.lazy_source import StreamSource
from ..engine.loop import Engine
from ..engine.policies.stopping import Unfinished
from ..errors import ParallelError
from ..host.threads import DAEMON, launch
from ..observe.registry import make_observers
from .delivery import ReorderBuffer, announce, make_selection
from .ending import raise_failure
from .list_map import POLL_INTERVAL, as_it_runs
from .recorder import make_stream_recorder, run_recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from typing import Any

    from ..calls import MapCall, Workers
    from ..engine.direct_source import DirectSource
    from ..engine.ending import Ending
    from ..engine.outcome_batch import OutcomeBatch
    from .delivery import Selection
    from .recorder import Recorder

    StreamInput = StreamSource | DirectSource

# No wait is longer than this: outside Linux a signal may not end one.
_LONGEST_WAIT = 0.1
# Seconds that closing waits for the driver, which has only to tell the workers to end.
_LONGEST_CLOSE = 1.0


class End:
    """The last thing that the driver sends: how the run ended, or what broke the driver."""

    def __init__(self, ending: Ending | None, crash: BaseException | None) -> None:
        self.ending = ending
        self.crash = crash


class Stream:
    """One lazy map.

    Args:
        call: what to do.
        items: what to read.
        buffer_size: see `StreamSource`.
        total: how many items there are, if that is known.
        keep_times: whether batches are to have times.

    Attributes:
        selection: which values of the batches the caller gets.
        runs_here: whether `batches` runs the tasks itself, so that nobody can wait for it.
    """

    runs_here = False
    # Of the class, since a finaliser at exit may call this when modules are empty, without the GIL.
    _is_exit = staticmethod(sys.is_finalizing)

    def __init__(
        self,
        call: MapCall,
        items: Iterable[Any],
        buffer_size: int | None,
        *,
        total: int | None,
        keep_times: bool,
    ) -> None:
        self.owner: object = None  # kept alive as long as this is
        self._call = call
        self.selection: Selection = make_selection(call.options)
        self._observers = make_observers(call, total)
        self._backend = make_backend(call, stream=True, keep_times=keep_times)
        self._source = self._make_source(items, buffer_size)
        self._context = contextvars.copy_context()
        # All are made at the start. Written by the consumer, read by whoever closes.
        self._recorder: Recorder | None = None
        self._engine: Engine | None = None
        self._driver: threading.Thread | None = None
        # Whether nobody wants more. Set by any thread, read by the consumer.
        self._is_aborted = False
        self._consumer: int | None = None  # the thread that asked for results last
        # Owned by the consumer:
        self._order = ReorderBuffer() if call.options.ordered else None
        self._delivered = 0

    def _make_source(self, items: Iterable[Any], buffer_size: int | None) -> StreamInput:
        return StreamSource(
            items,
            max_workers=self._call.workers.count,
            chunk_size=self._call.options.chunk_size,
            buffer_size=buffer_size,
            wake=self._backend.wake,
        )

    # The consumer's side

    def batches(self) -> Generator[OutcomeBatch, None, None]:
        """Run the map in threads of its own; yield batches as they come, or in input order."""
        received: queue.SimpleQueue[OutcomeBatch | End] = queue.SimpleQueue()
        try:
            self._consumer = threading.get_ident()
            self.start(received.put)
            while True:
                self._consumer = threading.get_ident()
                try:
                    batch = received.get(timeout=_LONGEST_WAIT)
                except queue.Empty:
                    self._check_driver(received)
                    continue
                if isinstance(batch, End):
                    self.join()
                    self.finish(batch)
                    return
                yield from self.take(batch)
        finally:
            self.abort()  # and wait for nothing: the garbage collector may be closing this

    def _check_driver(self, received: queue.SimpleQueue[OutcomeBatch | End]) -> None:
        """Raise ParallelError if nobody will ever send anything."""
        # The driver sends the End before it ends.
        if self._driver is not None and not self._driver.is_alive() and received.empty():
            raise ParallelError(
                f"{self._call.caller}: this process is a fork of the one that runs the stream. "
                "Take the results there, or start another stream here"
            )

    def start(self, send: Callable[[OutcomeBatch | End], object]) -> None:
        """Start the reader, and the driver, which sends each batch and, as the last thing, the End.

        With a checkpoint, batches come from the thread that writes it too.

        Raises:
            ParallelError: if there are no threads for that, or the checkpoint can't be used.
        """
        caller = self._call.caller
        recorder, engine = self.make_engine(send)
        driver = threading.Thread(
            target=self._context.run,
            args=(self._drive, recorder, engine, send),
            name=f"{caller} driver",
            daemon=DAEMON,
        )
        try:
            self._source.start(caller)
            launch(driver, caller)
        except BaseException:
            recorder.close()
            raise
        self._driver = driver

    def make_engine(self, send: Callable[[OutcomeBatch], object]) -> tuple[Recorder, Engine]:
        """Return the engine, and the recorder that sends its outcomes."""
        recorder = self._recorder = make_stream_recorder(self._call, self._source, send)
        engine = self._engine = Engine(
            self._call,
            recorder.source,
            self._backend,
            poll_interval=POLL_INTERVAL,
            max_chunk=self._source.max_chunk,
            observers=[*self._observers, *recorder.observers],
            is_stream=True,
        )
        if self._is_aborted:  # it may not have seen these
            engine.abort()
            recorder.leave()
        return recorder, engine

    def take(self, batch: OutcomeBatch) -> Iterator[OutcomeBatch]:
        """Yield what can be delivered now that `batch` has arrived. Called by the consumer."""
        announce(batch, self._call.options.on_complete)
        for ready in (batch,) if self._order is None else self._order.add(batch):
            self._report_progress()
            count = len(ready.values)  # the list may be consumed
            yield ready
            self._delivered += count
            ready.forget_items(count)
        self._report_progress()

    def _report_progress(self) -> None:
        held = 0 if self._order is None else self._order.held
        self._source.progressed(self._delivered, held)

    def finish(self, end: End) -> None:
        """Raise the reason why the stream is not complete, if it is not."""
        self._recorder = None
        error, end.crash = end.crash, None
        ending, end.ending = end.ending, None
        if error is None and ending is not None:
            raise_failure(ending)
            error = self._error_if_incomplete(ending)
            ending.stop = None
        # No cycle may keep the error, and all that its frames refer to: not this frame, which its
        # traceback will lead to, and not the objects that are reached from here.
        self._source.forget_error()
        if error is not None:
            try:
                raise error
            finally:
                del error

    def _error_if_incomplete(self, ending: Ending) -> BaseException | None:
        """Return the error that says why not everything was delivered; None if it was."""
        source, stop, first = self._source, ending.stop, ending.unfinished
        if stop is not None:
            if first is None and not source.is_complete:
                first = Unfinished(source.taken, "not read")
            return stop.error(first) or source.error
        if ending.kind != "completed":
            return ParallelError(
                f"{self._call.caller}: the stream was closed before its results were complete"
            )
        return source.error

    # From any thread

    def abort(self) -> None:
        """Let the map end soon, without more outcomes."""
        self._is_aborted = True
        # While the interpreter exits, the driver does not get to run any more, and nothing could be
        # woken.
        if self._engine is not None and not self._is_exit():
            self._engine.abort()
        recorder = self._recorder  # the consumer may set it to None at any time
        if recorder is not None:
            recorder.leave()
        self._source.close()

    def join(self) -> None:
        """Wait until the map has ended, except tasks in flight, but no longer than a second."""
        driver = self._driver
        if driver is None or driver is threading.current_thread():
            return
        if not self._is_exit():  # else the driver does not get to run any more
            driver.join(_LONGEST_CLOSE)

    @property
    def workers(self) -> Workers:
        """The place where the map runs."""
        return self._call.workers

    @property
    def has_checkpoint(self) -> bool:
        """Whether `start` opens a file."""
        return self._call.options.checkpoint is not None

    @property
    def is_consumed_elsewhere(self) -> bool:
        """Whether another thread was the last one to ask for results."""
        return self._consumer not in (None, threading.get_ident())

    # The driver

    def _drive(
        self, recorder: Recorder, engine: Engine, send: Callable[[OutcomeBatch | End], object]
    ) -> None:
        ending: Ending | None = None
        crash: BaseException | None = None
        try:
            ending = run_recorded(engine, recorder)
        except BaseException as error:
            crash = error
        finally:
            self._source.close()
            send(End(ending, crash))
            del ending, crash


def make_stream(
    caller: str,
    func: Callable[..., Any],
    items: Iterable[Any],
    workers: Workers,
    options: Mapping[str, object],
    *,
    buffer_size: object = None,
    keep_times: bool = False,
    **arguments: object,
) -> Stream:
    """Check the arguments of a lazy map and return it, not started; see `make_call`."""
    call = as_it_runs(make_call(caller, func, workers, options, **arguments))
    size = validate.optional_whole(caller, "buffer_size", buffer_size)
    read = validate.check_items(caller, items, star=call.options.star)
    total = len(items) if isinstance(items, Sized) else None
    kind = Stream
    if call.workers.kind == "serial":
        from .serial_stream import SerialStream  # needed only by those who ask for it

        kind = SerialStream
    return kind(call, read, size, total=total, keep_times=keep_times)
