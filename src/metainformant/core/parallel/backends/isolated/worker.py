"""The worker's side of a process or an interpreter: it runs items and records their outcomes."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Iterator
from time import monotonic
from types import FrameType
from typing import Any

from ...describe import error_in_words
from ...errors import FATAL, ParallelError
from ...host.usage import usage_of_process
from ...worker import running
from ...worker.current_task import CurrentTask
from ...worker.fork import ForkSign, leave_fork
from ...worker.frames import own_frame
from ...worker.interrupt import TaskEnded
from ...worker.setup import Preparation
from ..ipc.channel import Attachment, Channel
from ..ipc.exceptions import pack, refused_module, unpicklable
from ..ipc.items import SealedItem, opening
from ..ipc.payload import LARGE, Packed, Payload, PayloadBuilder
from ..ipc.pickling import names_connections
from .messages import (
    Broken,
    Closed,
    Done,
    End,
    FromWorker,
    NoFunction,
    OutOfBand,
    Prepare,
    Ready,
    RunChunk,
    SetFunction,
    ToWorker,
    Unread,
    receive,
    send,
)
from .result_buffer import Header, Kind, ResultBuffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...worker.setup import Bind


class Worker:
    """Owned by the main thread of its process, or by the only thread of its interpreter."""

    def __init__(self, channel: Channel, buffer: ResultBuffer) -> None:
        self._channel = channel
        self._buffer = buffer
        self._job: RunChunk | None = None
        self._unread = b""  # why there is no function
        # Whether a message is on its way, of which the other side must not get one half.
        self._is_sending = False
        self._fork = ForkSign()  # a fork that a task has made must not pass for this worker
        self._ended = 0  # number of the last job in which a call was ended

    def serve(self, preparation: Preparation | None = None, func: Any = None) -> None:
        """Do what messages say until one says that it is enough, or the other side is gone.

        A worker that is a copy of its parent gets what the others are sent.
        """
        try:
            if preparation is None:
                first: Prepare = receive(self._channel)
                sent = self._read("initializer", first.caller, first.preparation)
                preparation = Preparation(*sent)
            with preparation.performed() as bind:
                self._send(Ready())
                self._follow(bind, func)
            self._send(Closed())
        except (EOFError, ConnectionError):  # the other side is gone
            return
        except BaseException as error:
            if self._fork.is_fork:
                leave_fork(error)
            with contextlib.suppress(OSError):
                self._send(Broken(pack(error)))

    def _send(self, message: FromWorker) -> None:
        if self._fork.is_fork:
            leave_fork()
        send(self._channel, message)

    def _follow(self, bind: Bind, func: Any) -> None:
        call = None if func is None else bind(func)
        while True:
            message: ToWorker = receive(self._channel)
            match message:
                case RunChunk():
                    self._run(call, message)
                case SetFunction(caller, attachment):
                    call = None
                    try:
                        call = bind(*self._read("func", caller, attachment))
                    except Exception as error:
                        # The map that wants something done with it is told. The one that sent it
                        # may be over by now.
                        self._unread = pack(error)
                case End():
                    return

    def _read(self, name: str, label: str, attachment: Attachment) -> Any:
        payload, memory = self._channel.open(attachment)
        try:
            (something,) = payload.unpack(memory)
        except Exception as error:
            fix = refused_module(error) or (
                ". Define it at the top level of a module that the worker can import, "
                "or pip install 'metainformant[process]'."
            )
            raise ParallelError(
                f"{label}: {name} can't be read in a worker: {error_in_words(error)}{fix}"
            ) from error
        return something

    def _run(self, func: Callable[[Any], Any] | None, job: RunChunk) -> None:
        buffer = self._buffer
        try:
            opened, memory = self._channel.open(job.items)
            items = [item for part in opened.unpack(memory) for item in part]
        except Exception:
            self._send(Unread(job.number))
            return
        del memory, opened
        if func is None:
            self._send(NoFunction(job.number, self._unread))
            return
        if job.one_by_one:
            items, func = list(map(SealedItem, items)), opening(func)
        outer = running.begin(self._describe)
        ended = 0.0
        try:
            try:
                self._job = job
                buffer.header[Header.ARENA] = 0
                buffer.header_times[Header.ENDED] = 0.0
                before = usage_of_process() if job.measured else None
                buffer.header_times[Header.STARTED] = monotonic()
                buffer.header[Header.JOB] = job.number  # from here on its calls may be ended
                self._run_items(func, buffer.permitted(items, job.timed), job.fail_fast)
                ended = monotonic()  # measuring may take longer than the items
                if before is not None:
                    buffer.write_usage(usage_of_process().since(before))
            finally:  # a call that was just over may be ended even here, but only once
                self._job = None
        except TaskEnded:
            self._job = None
        running.end(outer)
        buffer.header_times[Header.ENDED] = ended or monotonic()
        self._send(Done(job.number))

    @own_frame
    def _run_items(
        self, func: Callable[[Any], Any], permitted: Iterator[Any], fail_fast: bool
    ) -> None:
        """Run the items, until one fails: the loop that all speed depends on."""
        column, kinds, note = self._buffer.column, self._buffer.kinds, self._note
        fork = self._fork
        position = 0
        while True:
            try:
                for item in permitted:
                    value = func(item)
                    if fork.is_fork:
                        leave_fork()
                    if type(value) is int:
                        try:
                            column[position] = value
                            kinds[position] = 1  # Kind.INT
                        except ValueError:  # it needs more than 64 bits
                            note(position, value)
                    else:
                        note(position, value)
                    position += 1
                return
            except TaskEnded:
                raise
            except BaseException as error:
                if fork.is_fork:
                    leave_fork(error)
                self._note_failure(position, error)
                position += 1
                if fail_fast or isinstance(error, FATAL):
                    return

    @own_frame
    def _note(self, position: int, value: Any) -> None:
        buffer, kind = self._buffer, type(value)
        if kind is float:
            buffer.floats[position] = value
            buffer.kinds[position] = Kind.FLOAT
        elif kind is str:
            self._note_text(position, value)
        elif value is None:
            buffer.kinds[position] = Kind.NONE
        elif value is True:
            buffer.kinds[position] = Kind.TRUE
        elif value is False:
            buffer.kinds[position] = Kind.FALSE
        else:
            self._note_pickled(position, value)

    @own_frame
    def _note_text(self, position: int, value: str) -> None:
        try:
            record = value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            record = _TOO_LARGE
        if len(record) < LARGE:
            self._write(position, Kind.TEXT, record)
        else:
            self._note_pickled(position, value)

    @own_frame
    def _note_pickled(self, position: int, value: Any) -> None:
        buffers: list[pickle.PickleBuffer] = []
        record = None
        with contextlib.suppress(Exception):  # what fails is tried again, with all means
            record = pickle.dumps(value, 5, buffer_callback=buffers.append)
        if record is not None and not buffers and not names_connections(record):
            if len(record) < LARGE:
                self._write(position, Kind.PICKLED, record)
            else:
                payload = Payload(None, len(record), ((len(record), ()),))
                self._send_out_of_band(position, Kind.OUT_OF_BAND, (payload, [record]))
            return
        builder = PayloadBuilder()
        try:
            builder.add(value)
        except Exception as error:
            raise unpicklable(f"the result {type(value).__name__!r}", error) from error
        packed = builder.pack()
        payload, _ = packed
        if payload.body is not None and not payload.objects[0][1]:
            self._write(position, Kind.PICKLED, payload.body)
        else:
            self._send_out_of_band(position, Kind.OUT_OF_BAND, packed)

    def _note_failure(self, position: int, error: BaseException) -> None:
        record = pack(error)
        if len(record) < LARGE:
            self._write(position, Kind.FAILED, record)
            return
        builder = PayloadBuilder()
        builder.add(record)
        self._send_out_of_band(position, Kind.FAILED_OUT_OF_BAND, builder.pack())

    def _send_out_of_band(self, position: int, kind: int, packed: Packed) -> None:
        if self._fork.is_fork:
            leave_fork()
        self._is_sending = True
        try:
            self._send(OutOfBand(position, self._channel.attach(packed)))
        finally:
            self._is_sending = False
        self._buffer.kinds[position] = kind

    def _write(self, position: int, kind: int, record: bytes) -> None:
        if self._fork.is_fork:  # pickling it has forked
            leave_fork()
        buffer, job = self._buffer, self._job
        buffer.write(position, kind, record)
        if job is not None and not buffer.has_room():
            buffer.forbid(position + 1, job.size)  # the rest comes back as another job

    def _position(self) -> int:
        job = self._job
        return 0 if job is None else self._buffer.finished(0, job.size)

    def _describe(self) -> CurrentTask:
        job, header = self._job, self._buffer.header
        assert job is not None  # noqa: S101
        position, left = self._position(), job.timeout
        if left is not None:
            if header[Header.EXPIRES_POSITION] == position:
                left = max(0.0, self._buffer.header_times[Header.EXPIRES_AT] - monotonic())
            elif position == 0:
                left = max(0.0, self._buffer.header_times[Header.STARTED] + left - monotonic())
        return CurrentTask(job.first + position, job.attempt, left, self._is_cancelled)

    def _is_cancelled(self) -> bool:
        job = self._job
        return job is None or self._buffer.header[Header.CANCELLED] == job.number

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """End the call in flight if it is the one that was abandoned: once in a job.

        If it is just sending its result it will be over at once, and nothing behind it is started.
        Before the job is seen to be running no call of it is, and no item is permitted.
        """
        job, header = self._job, self._buffer.header
        if (
            job is not None
            and not self._is_sending
            and self._ended != job.number
            and header[Header.JOB] == job.number
            and header[Header.END_JOB] == job.number
            and header[Header.END_POSITION] == self._position()
        ):
            self._ended = job.number
            raise TaskEnded


_TOO_LARGE = bytes(LARGE)
