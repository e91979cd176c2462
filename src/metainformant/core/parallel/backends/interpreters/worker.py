"""The worker's side of an interpreter: its calls can be ended, and it tells where they are.

Besides the thread that works there is one that listens to what concerns the call in flight:

Messages to it:    ("end", number)      end the call of that job
                   ("exit",)           end the call, whichever it is, and then the worker
                   ("stack",)           it answers with where the call is
                   ("stop listening",)   the last; it answers with whether the worker is blocked

Before each there is its number, which is also before the answer.
"""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import os
import pickle
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import process, spawn
from types import FrameType, ModuleType
from typing import Any

from ...worker import context, interrupt
from ...worker.interrupt import Interruptible, TaskEnded
from ...worker.stacks import stack_of
from ..ipc.channel import Channel
from ..ipc.payload import Packed
from ..ipc.records import RecordReader, RecordWriter
from ..ipc.shared_memory import Segment
from ..isolated.result_buffer import Header, ResultBuffer
from ..isolated.worker import Worker

# Seconds in which a thread that runs gets on, so that it is seen not to be blocked.
_GETS_ON = 0.01


class InterpreterWorker(Worker):
    """A worker whose calls are ended by an exception that another thread sets in its own."""

    def __init__(self, channel: Channel, buffer: ResultBuffer) -> None:
        super().__init__(channel, buffer)
        self._thread = threading.current_thread()
        # What is in flight: number of the job, and what ends its call. Set by the worker.
        self._flight = (0, Interruptible(self._thread))
        self._exit_requested = False  # set by the listener

    def _run_items(
        self, func: Callable[[Any], Any], permitted: Iterator[Any], fail_fast: bool
    ) -> None:
        self._allow_end()
        header = self._buffer.header
        if self._exit_requested or header[Header.END_JOB] == header[Header.JOB]:
            raise TaskEnded  # the listener may have looked before there was something to end
        super()._run_items(func, permitted, fail_fast)
        self._flight[1].settle()

    def _send_out_of_band(self, position: int, kind: int, packed: Packed) -> None:
        self._flight[1].settle()  # or half a message might be sent
        super()._send_out_of_band(position, kind, packed)
        self._allow_end()

    def _allow_end(self) -> None:
        self._flight = (self._buffer.header[Header.JOB], Interruptible(self._thread))

    # The listener's side

    def listen(self, control: Any) -> None:
        questions, answers = RecordReader(control, waits=True), RecordWriter(control, waits=True)
        with contextlib.suppress(EOFError, OSError):
            while (question := questions.read()) is not None:
                asked, what, *message = pickle.loads(question)
                if what == "stack":
                    answers.write(pickle.dumps((asked, stack_of(self._thread.ident))))
                elif what == "stop listening":
                    answers.write(pickle.dumps((asked, self._is_blocked())))
                    return
                else:
                    self._exit_requested = what == "exit"
                    number, call = self._flight
                    if self._exit_requested or number == message[0]:
                        call.send()

    def _is_blocked(self) -> bool:
        """Return whether this interpreter can do nothing until a blocking call returns."""
        before = self._signs()
        time.sleep(_GETS_ON)
        return len(before) == 1 and self._signs() == before

    def _signs(self) -> list[tuple[FrameType, int, float]]:
        """Return where the other threads are, and how much they have computed if that is known."""
        signs = []
        for ident, frame in sys._current_frames().items():
            if ident != threading.get_ident():
                signs.append((frame, frame.f_lasti, _computed(ident)))
        return signs


def _computed(ident: int) -> float:
    """Return the seconds of CPU time of a thread, where the system tells."""
    if hasattr(time, "pthread_getcpuclockid"):
        return time.clock_gettime(time.pthread_getcpuclockid(ident))
    return 0.0


def main(
    pipes: tuple[int, int, int],
    fd_socket: int | None,
    size: int,
    memory: Any,
    start: dict[str, Any],
) -> None:
    """Run a worker in an interpreter, which owns the handles from now on."""
    context.is_worker = True
    interrupt.is_subinterpreter = True
    if sys.platform == "win32":
        connect: Any = multiprocessing.connection.PipeConnection
    else:
        connect = multiprocessing.connection.Connection
    reader, writer, control = (connect(pipe) for pipe in pipes)
    channel = Channel(
        reader, writer, None if fd_socket is None else socket.socket(fileno=fd_socket)
    )
    segment = Segment(size, memory)
    worker = InterpreterWorker(channel, ResultBuffer(segment))
    segment.close()
    threading.Thread(target=worker.listen, args=(control,), name="control").start()
    sys.modules["__main__"] = _Script(start)
    try:
        worker.serve()
    finally:
        channel.close()


class _Script(ModuleType):
    """A stand-in for `__main__`, until something of it is needed: then the script is imported.

    That is done as `multiprocessing` does it, with `__name__` being "__mp_main__".
    """

    def __init__(self, start: dict[str, Any]) -> None:
        super().__init__("__main__")
        self.__start = start

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # many ask for these without needing the script
            raise AttributeError(name)
        current: Any = process.current_process()
        current._inheriting = True  # so that a script that is not guarded is noticed
        context.is_worker = False
        try:
            spawn.prepare(self.__start)
        finally:
            context.is_worker = True
            del current._inheriting
        script = sys.modules["__main__"]
        if script is self:  # there is none: this is an interactive session
            raise AttributeError(f"{name!r}, which was defined in an interactive session")
        return getattr(script, name)


def handles(*connections: Any) -> list[int]:
    """Copy what connections are made of, to be passed to another interpreter."""
    if sys.platform == "win32":
        from multiprocessing.reduction import duplicate

        return [duplicate(connection.fileno()) for connection in connections]
    return [os.dup(connection.fileno()) for connection in connections]
