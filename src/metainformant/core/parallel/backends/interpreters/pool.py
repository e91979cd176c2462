"""Workers that are interpreters of this process, each with a GIL of its own. For CPython 3.14+.

What a worker process is sent through pipes and shared memory, an interpreter is sent through the
same: all file descriptors are those of the process, so it opens copies of them by number.

An interpreter can't be killed. A call that does not let itself be ended is abandoned, together with
its interpreter and its thread, and counted.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
from importlib import import_module
from multiprocessing import process, spawn
from multiprocessing.connection import Pipe
from time import monotonic
from typing import Any

from ...calls import MapCall
from ...errors import Frame, ParallelError
from ...host.threads import launch
from ...worker.interrupt import takes_wakes
from ..ipc.channel import channel
from ..ipc.records import RecordReader, RecordWriter
from ..ipc.shared_memory import Segment
from ..isolated.handle import WorkerHandle
from ..isolated.main_guard import unguarded
from ..isolated.result_buffer import SIZE, Header, ResultBuffer
from ..isolated.worker_pool import WorkerPool
from . import worker as subinterpreter
from .exit import end_at_exit

# Seconds to wait at exit for a worker to say whether it is blocked.
_EXIT_WAIT_SECONDS = 0.1


class InterpreterHandle(WorkerHandle):
    """One interpreter. Owned by the engine's thread, except for what is said to be shared."""

    def __init__(self, name: str, start: dict[str, Any], interpreters: Any) -> None:
        self.segment: Segment = Segment(SIZE)
        ours, self._theirs = channel()
        super().__init__(name, ours, ResultBuffer(self.segment))
        self._start = start
        self._interpreters = interpreters
        self._is_killed = False
        self._exit_reason = "ended"
        # Shared by our thread in the interpreter, and whoever talks to its listener.
        self._lock = threading.Lock()
        self._control, self._their_control = Pipe()
        self._asked = 0
        self._questions = RecordWriter(self._control, waits=False)
        self._answers = RecordReader(self._control, waits=False)
        self._sentinel, self._sentinel_writer = Pipe(duplex=False)
        self._is_over = False  # set once, by our thread in the interpreter

    # In our thread in the interpreter

    def run(self) -> None:
        interpreter: Any = None
        try:
            interpreter = self._interpreters.create()
            interpreter.exec(
                f"import sys; sys.path[:] = {self._start['sys_path']!r}\n"
                f"from {subinterpreter.__name__} import main"
            )
            interpreter.exec(f"main(*{self._arguments()!r})")
        except Exception as error:
            self._exit_reason = f"broke down: {error}"
        finally:
            self.close_inner()
            with self._lock:
                self._control.close()  # which ends the listener
            if interpreter is not None:
                with contextlib.suppress(Exception):
                    interpreter.close()
            self._is_over = True
            self._signal_end()

    def close_inner(self) -> None:
        """Close the ends of pipes that the interpreter has copied, or will never get."""
        self._theirs.close()
        self._their_control.close()

    def _arguments(self) -> tuple[Any, ...]:
        reader, writer, fd_socket = self._theirs.parts
        pipes = tuple(subinterpreter.handles(reader, writer, self._their_control))
        memory = self.segment.shared()
        fd_sockets = [] if fd_socket is None else subinterpreter.handles(fd_socket)
        return pipes, fd_sockets[0] if fd_sockets else None, SIZE, memory, self._start

    def _signal_end(self) -> None:
        with self._lock:
            self._sentinel_writer.close()

    # In the engine's thread

    @property
    def pid(self) -> int:
        return os.getpid()

    def sentinels(self) -> list[Any]:
        return [self._sentinel]

    def is_alive(self) -> bool:
        return not self._is_over

    def end_call(self, number: int, position: int) -> None:
        self.buffer.header[Header.END_JOB] = number
        self._ask("end", number)

    def runs(self, number: int) -> bool:
        return self.job is not None and self.job.number == number and self.is_alive()

    def stack(self, timeout: float) -> tuple[Frame, ...]:
        answer: tuple[Frame, ...] | None = self._ask("stack", wait=timeout)
        return answer or ()

    def _ask(self, *message: Any, wait: float | None = None) -> Any:
        """Tell the listener; return its answer if it comes within `wait` seconds."""
        with self._lock, contextlib.suppress(EOFError, OSError):
            self._asked += 1
            self._questions.write(pickle.dumps((self._asked, *message)))
            until = monotonic() + (wait or 0.0)
            while wait is not None and self._control.poll(max(0.0, until - monotonic())):
                record = self._answers.read()
                if record is not None:  # all of it has come
                    number, answer = pickle.loads(record)
                    if number == self._asked:  # else it came too late
                        return answer
        return None

    def kill(self, why: str = "") -> None:
        """Let nobody wait for its end any more. It may still be running."""
        if not self._is_killed:
            self._is_killed = True
            if self.is_alive():
                self._exit_reason = why or "was left behind"
            self._signal_end()
            self.segment.close()

    def exit_reason(self) -> str:
        return self._exit_reason

    # At exit, see `exit.py`

    def is_busy(self) -> bool:
        return self.job is not None or not self.is_ready

    def request_exit(self) -> None:
        self._ask("exit")

    def stop_listening(self) -> bool:
        return bool(self._ask("stop listening", wait=_EXIT_WAIT_SECONDS))


class InterpreterPool(WorkerPool):
    """A pool of subinterpreters.

    Raises:
        ParallelError: if this Python has none.
    """

    def __init__(self, call: MapCall, *, kept: bool = False) -> None:
        super().__init__(call, kept=kept)
        try:
            self._interpreters: Any = import_module("concurrent.interpreters")
        except ImportError:
            raise ParallelError(
                f"{call.caller}: backend='interpreter' needs Python 3.14 or later, and this is "
                f"{sys.version_info.major}.{sys.version_info.minor}; use process_map or "
                "backend='process', which means the same"
            ) from None
        self._packed = self.pack_preparation()
        takes_wakes()

    def start(self, name: str) -> InterpreterHandle:
        if getattr(process.current_process(), "_inheriting", False):
            raise unguarded(self.label)
        data = spawn.get_preparation_data(name)
        wanted = ("sys_path", "sys_argv", "init_main_from_name", "init_main_from_path")
        start = {key: data[key] for key in wanted if key in data}
        handle = InterpreterHandle(name, start, self._interpreters)
        try:
            launch(threading.Thread(target=handle.run, name=name, daemon=True), self.label)
        except BaseException:
            handle.close()
            handle.kill()
            handle.close_inner()
            raise
        end_at_exit(handle)
        self.prepare(handle, self._packed)
        return handle
