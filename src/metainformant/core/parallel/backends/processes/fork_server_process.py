"""The server's side of our fork server: it imports the script once, and copies itself.

There are two processes. The keeper imports nothing of the script. Its child, the template, does,
and then starts workers by forking, if its copies are as good as new processes; see `template.py`.
Where they are not, or the import fails, the keeper starts workers itself, which import the script
each. Both read requests from the same socket, so none is lost when the template ends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import select
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from multiprocessing import forkserver, resource_tracker, spawn, util
from typing import Any, NoReturn

from .records import ServerRecord, WorkerRecord

# The descriptors that come with a request before the caller's outputs and those of the worker's
# arguments. The request itself is a byte, the sum of the numbers of the outputs.
_OWN = 4
_MOST_DESCRIPTORS = 253  # that Linux sends at once
# Seconds that the template has to end by itself when the caller is gone.
_EXIT_SECONDS = 1.0


# The keeper


def serve(control: int, record_fd: int, alive: int) -> NoReturn:
    """Serve until nobody can ask any more. What a new interpreter runs."""
    os.setsid()  # away from the terminal, whose Ctrl-C is for the caller
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGCHLD])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it was ignored, no child could be waited for
    for fd in (control, record_fd, alive):
        os.set_inheritable(fd, False)
    util._close_stdin()  # type: ignore[attr-defined]
    from . import fork_server, pool  # noqa: F401 - what all workers need

    record = ServerRecord(record_fd)
    preparation = pickle.loads(os.pread(record_fd, 1 << 24, ServerRecord.START))
    requests = socket.socket(fileno=control)
    while True:
        news, theirs = os.pipe()
        template = os.fork()
        if not template:
            os.close(news)
            _be_template(requests, record, alive, preparation, theirs)
        os.close(theirs)
        has_served, status = _watch(template, news, alive)
        os.close(news)
        if not has_served:
            break
        if status == 0:
            os._exit(0)  # there will be no more requests
        # It was killed. Its successor does the same.
    if not record.is_serving():
        record.set_report({}, "importing the script has failed")
    _serve(requests, alive, lambda: None, (record.fd, alive))
    os._exit(0)


def _watch(template: int, news: int, alive: int) -> tuple[bool, int]:
    """Wait for the end of the template; return whether it has ever served, and its status."""
    has_served = False
    poll = select.poll()
    poll.register(news, select.POLLIN)
    poll.register(alive, select.POLLIN)
    timeout: float | None = None
    while True:
        ready = [fd for fd, _ in poll.poll(timeout)]
        if not ready:  # time is over
            os.killpg(0, signal.SIGKILL)
        if news in ready:
            if not os.read(news, 1):
                return has_served, os.waitstatus_to_exitcode(os.waitpid(template, 0)[1])
            has_served = True
        if alive in ready:
            poll.unregister(alive)
            timeout = _EXIT_SECONDS * 1000


# The template


def _be_template(
    requests: socket.socket,
    record: ServerRecord,
    alive: int,
    preparation: dict[str, Any],
    news: int,
) -> NoReturn:
    from .template import CannotBeCopiedError, import_script

    status = 1
    try:
        files, renew = import_script(preparation)
        record.set_report(files)
        os.write(news, b"+")
        _serve(requests, alive, renew, (news, record.fd, alive))
        status = 0
    except CannotBeCopiedError as error:
        record.set_report({}, str(error))
    except BaseException:  # its workers will say what is wrong with the script
        pass
    finally:
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        with contextlib.suppress(BaseException):
            util._flush_std_streams()  # type: ignore[attr-defined]
        os._exit(status)


# Both


def _serve(
    requests: socket.socket, alive: int, renew: Callable[[], object], private: tuple[int, ...]
) -> None:
    """Start a worker at each request, and tell how it ended."""
    ended, wake = os.pipe()
    os.set_blocking(ended, False)
    os.set_blocking(wake, False)
    handlers = {
        signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
    }
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    workers: dict[int, int] = {}  # pid: where to tell its exit code
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    poll.register(ended, select.POLLIN)
    poll.register(alive, select.POLLIN)
    is_over = False
    while not is_over or workers:
        ready = [fd for fd, _ in poll.poll()]
        if alive in ready:
            return  # the caller is gone, and with it its workers
        if ended in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(ended, 65536)
            _reap(workers)
        if requests.fileno() not in ready:
            continue
        message, fds, flags, _ = socket.recv_fds(
            requests, 1, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        if not message:
            poll.unregister(requests)
            is_over = True
        elif flags & socket.MSG_CTRUNC or len(fds) < _OWN:  # no descriptors are left
            _close(fds)
        else:
            record = WorkerRecord(fds[0])
            pid = 0 if record.is_cancelled() else _fork()
            if pid is None:
                ours = (requests.fileno(), ended, wake, *private, *workers.values())
                _be_worker(record, fds, message[0], handlers, renew, ours)
            if pid:
                workers[pid] = os.dup(fds[1])
            _close(fds)


def _fork() -> int | None:
    """Return the pid of a child; None in the child; 0 if there can't be one."""
    try:
        with warnings.catch_warnings(action="ignore"):  # there are no threads; see `template.py`
            return os.fork() or None
    except OSError as error:
        print(f"no worker can be started: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 0


def _reap(workers: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            fd = workers.pop(pid, None)
            if fd is not None:
                with contextlib.suppress(BrokenPipeError):
                    forkserver.write_signed(fd, os.waitstatus_to_exitcode(status))
                os.close(fd)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


# The worker


def _be_worker(
    record: WorkerRecord,
    fds: list[int],
    outputs: int,
    handlers: dict[signal.Signals, Any],
    renew: Callable[[], object],
    not_ours: tuple[int, ...],
) -> NoReturn:
    code = 1
    try:
        record.set_pid(os.getpid())
        if record.is_cancelled():
            os._exit(0)
        signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for fd in not_ours:
            os.close(fd)
        # It keeps the pipe of its sentinel, so that it outlives the one that has started it.
        body, _, parent, tracker, *inherited = fds
        for output in (1, 2):
            if outputs & output:
                fd = inherited.pop(0)
                os.dup2(fd, output)
                os.close(fd)
        resource_tracker._resource_tracker._fd = tracker  # type: ignore[attr-defined]
        forkserver._forkserver._inherited_fds = inherited  # type: ignore[attr-defined]
        atexit._clear()
        atexit.register(util._exit_function)  # type: ignore[attr-defined]
        renew()
        os.lseek(body, WorkerRecord.START, os.SEEK_SET)
        _change_environment(body)
        code = spawn._main(body, parent)
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        sys.stderr.flush()
    finally:
        if sys.version_info >= (3, 13):  # as with the server of multiprocessing
            atexit._run_exitfuncs()
        os._exit(code)


def _change_environment(body: int) -> None:
    """Read, unbuffered, what has changed in the environment of the caller, and change ours."""
    with os.fdopen(os.dup(body), "rb", buffering=0) as file:
        changes = pickle.load(file)
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
