"""The caller's side of a fork server that has imported what the script imports.

The fork server of `multiprocessing` imports the script in every worker anew, at least before
CPython 3.14. This one does so once, in a process of its own, of which workers are copies. What is
started is a `multiprocessing.Process` all the same. Starting one waits for nothing, not even for
the server: until that has imported the script, workers have no pid.

Linux only. The server's side is in `fork_server_process.py`.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import multiprocessing.context as context
import os
import pickle
import signal
import socket
import threading
from multiprocessing import (
    popen_forkserver,
    reduction,
    resource_tracker,
    spawn,
    util,
)
from time import monotonic, sleep
from typing import Any, ClassVar

from ...host import programs
from .records import ServerRecord, WorkerRecord
from .template import stamp

# Seconds that a server has to end at exit, before it is killed.
_EXIT_SECONDS = 1.0

# Starting and ending servers. What the garbage collector calls may start a worker.
_lock = threading.RLock()
_current: ForkServer | None = None  # under the lock
_retired: list[ForkServer] = []  # under the lock: they may have workers yet
# The descriptors of the workers' records. Any thread may ask for the pid of a worker.
_records_lock = threading.RLock()
# Both ends of a pipe that is closed when this process is gone, however it ended.
_alive: tuple[int, int] | None = None


class ForkServer:
    """One server, which has imported the script as it was at a time."""

    def __init__(self, preparation: dict[str, Any]) -> None:
        self._imports = _imports(preparation)
        self._environment = dict(os.environ)
        self._outputs = _outputs()
        self._files: dict[str, Any] | None = None  # what it has imported; None: not known yet
        self._record = ServerRecord.filled(pickle.dumps(_without_key(preparation)))
        try:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError:
            self._record.close()
            raise
        self._control.setblocking(False)
        try:
            with theirs:
                handed_down = theirs.fileno(), self._record.fd, alive()[0]
                self._pid = _spawn(preparation["sys_path"], *handed_down)
                programs.share(self._pid)
        except BaseException:
            self.forget()
            raise

    def imports(self, preparation: dict[str, Any]) -> bool:
        """Return whether it has imported what a new process would."""
        return self._imports == _imports(preparation)

    def is_fresh(self) -> bool:
        """Return whether no file has changed since it was imported."""
        if self._files is None and (report := self._record.report()) is not None:
            self._files, reason = report
            if reason:
                logging.getLogger("metainformant.parallel").info(
                    "each worker process imports the script, which takes longer: %s", reason
                )
        return all(stamp(path) == known for path, known in (self._files or {}).items())

    def environment_changes(self) -> dict[str, str | None]:
        """Return what has changed in the environment since; None for what is gone."""
        now = dict(os.environ)
        changes: dict[str, str | None] = dict.fromkeys(self._environment.keys() - now.keys())
        changes.update(
            (name, value) for name, value in now.items() if self._environment.get(name) != value
        )
        return changes

    def send(self, own: list[int], inherited: list[int]) -> None:
        """Let it start a worker, which gets these descriptors, and our outputs of now.

        ConnectionError if it is gone, OSError if it has no room.
        """
        outputs = self._outputs & _outputs()
        fds = [*own, *sorted(outputs), *inherited]
        socket.send_fds(self._control, [bytes([sum(outputs)])], fds)

    def retire(self) -> None:
        """Let it end when it has no workers any more."""
        self._control.close()

    def is_gone(self) -> bool:
        """Return whether it has ended, and was waited for."""
        try:
            if not os.waitpid(self._pid, os.WNOHANG)[0]:
                return False
        except ChildProcessError:  # somebody else has waited for it
            pass
        programs.forget(self._pid)
        self._record.close()
        return True

    def end(self) -> None:
        """End it, soon or by force."""
        self.retire()
        if self.is_gone():
            return
        # One that still imports the script does not listen.
        if not (self._record.is_serving() and self._ends_within(_EXIT_SECONDS)):
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(OSError):
                    kill(self._pid, signal.SIGKILL)
            self._ends_within(_EXIT_SECONDS)

    def _ends_within(self, seconds: float) -> bool:
        until = monotonic() + seconds
        while not self.is_gone():
            if monotonic() >= until:
                return False
            sleep(0.001)
        return True

    def forget(self) -> None:
        """Close what is open here; for a fork of the process that has started it."""
        self._control.close()
        self._record.close()


def _outputs() -> set[int]:
    """Return which of standard output and standard error there are.

    Where one was closed, something of ours may have its number, which nobody inherits.
    """
    found = set()
    for number in (1, 2):
        with contextlib.suppress(OSError):
            if os.get_inheritable(number):
                found.add(number)
    return found


def _imports(preparation: dict[str, Any]) -> tuple[Any, ...]:
    """Return what decides which code is imported."""
    return (
        preparation.get("init_main_from_name"),
        preparation.get("init_main_from_path"),
        tuple(preparation["sys_path"]),
    )


def _without_key(preparation: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in preparation.items() if key != "authkey"}


def _spawn(path: list[str], *fds: int) -> int:
    """Start the process of a server, which looks for modules there, and gets these descriptors."""
    # Nothing is imported before, lest it be found in the working folder.
    code = (
        f"import sys; sys.path[:] = {path!r}; "
        f"from {__package__}.fork_server_process import serve; serve{fds!r}"
    )
    executable = spawn.get_executable()
    command = [executable, *util._args_from_interpreter_flags(), "-c", code]  # type: ignore[attr-defined]
    resource_tracker.ensure_running()  # which would change the mask
    # Until it is in a session of its own, Ctrl-C must not reach it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        return util.spawnv_passfds(os.fsencode(executable), command, fds)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def alive() -> tuple[int, int]:
    """Both ends of the pipe that tells servers and workers that this process is gone."""
    global _alive
    with _lock:
        if _alive is None:
            _alive = os.pipe()
        return _alive


def is_fresh() -> bool:
    """Return whether no file has changed since the server has imported it."""
    with _lock:
        return _current is None or _current.is_fresh()


def retire() -> None:
    """Let go of the server. It ends with the last of its workers."""
    global _current
    with _lock:
        if _current is not None:
            _current.retire()
            _retired.append(_current)
            _current = None


def _running(preparation: dict[str, Any]) -> ForkServer:
    """Return a server whose copies are as good as new processes. Under the lock."""
    global _current
    if _current is not None and not _current.imports(preparation):
        retire()
    if _current is None:
        _retired[:] = [server for server in _retired if not server.is_gone()]
        _current = ForkServer(preparation)
    return _current


class Popen(popen_forkserver.Popen):
    """A worker that is a copy of the server."""

    pid: Any
    returncode: int | None
    sentinel: int
    finalizer: util.Finalize[Any]
    _record: WorkerRecord

    def _launch(self, process_obj: Any) -> None:
        preparation = spawn.get_preparation_data(process_obj._name)
        body = io.BytesIO()
        context.set_spawning_popen(self)
        try:
            reduction.dump(preparation, body)
            reduction.dump(process_obj, body)
        finally:
            context.set_spawning_popen(None)
        with _lock, contextlib.ExitStack() as on_failure:
            server = _running(preparation)
            tracker: Any = resource_tracker.getfd()
            changes = pickle.dumps(server.environment_changes())
            self._record = WorkerRecord.filled(changes, body.getbuffer())
            on_failure.callback(self._record.close)
            self.sentinel, theirs = os.pipe()
            on_failure.callback(os.close, self.sentinel)
            try:
                own = [self._record.fd, theirs, alive()[0], tracker]
                server.send(own, self._fds)
            except ConnectionError:
                retire()
                raise
            finally:
                os.close(theirs)
            on_failure.pop_all()
        self.finalizer = util.Finalize(self, _close, (self._record, self.sentinel))

    def __getattr__(self, name: str) -> Any:
        if name != "pid":
            raise AttributeError(name)
        with _records_lock:
            if "pid" in vars(self):  # another thread has asked at the same time
                return self.pid
            pid = self._record.pid()
            if not pid:
                return None
            self._record.close()
            self.pid = pid
            return pid

    def _send_signal(self, sig: int) -> None:
        if self.returncode is not None:
            return
        if self.pid is None:
            # It has not been started yet. Either it sees this when it is, or it has a pid now.
            with _records_lock:
                self._record.cancel()
            if self.pid is None:
                self.returncode = -sig
                return
        super()._send_signal(sig)  # type: ignore[misc]


def _close(record: WorkerRecord, sentinel: int) -> None:
    with _records_lock:
        record.close()
    os.close(sentinel)


class Process(context.ForkServerProcess):
    """A process that our server starts."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - the name of multiprocessing
        return Popen(process_obj)


class ForkServerContext(context.ForkServerContext):
    """The context of `multiprocessing`, with our server."""

    Process: ClassVar[type[context.ForkServerProcess]] = Process


@atexit.register
def _end_all() -> None:
    with _lock:
        retire()
        servers, _retired[:] = list(_retired), []
    for server in servers:
        server.end()


def _forget_all() -> None:
    """In the child of a fork: the servers are its parent's, and so is whoever holds the lock."""
    global _lock, _records_lock, _current, _alive
    _lock, _records_lock = threading.RLock(), threading.RLock()
    if _current is not None:
        _current.forget()
    for server in _retired:
        server.forget()
    for fd in _alive or ():
        os.close(fd)
    _retired.clear()
    _current = _alive = None


os.register_at_fork(after_in_child=_forget_all)
