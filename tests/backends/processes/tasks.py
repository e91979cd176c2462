"""What the tests of worker processes run in them, beside `backends/tasks.py`."""

from __future__ import annotations

import ctypes
import os
import pickle
import random
import signal
import subprocess
import threading
import time
from typing import Any

from tests.backends.tasks import LONG, NeverPickled, note


def die(how: str) -> None:
    """End this process."""
    if how == "SIGSEGV":
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # pytest's faulthandler has its own
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(7)
    elif how == "abort":
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        os.abort()
    else:
        os.kill(os.getpid(), signal.SIGKILL)


FATES = {
    "SIGSEGV": "was killed by SIGSEGV",
    "exit": "exited with status 7",
    "abort": "was killed by SIGABRT",
    "SIGKILL": "was killed by SIGKILL",
}


def die_if(item: tuple[str, int, str]) -> tuple[int, int]:
    """The number and the process; or die in a certain way, or not if that is empty."""
    path, number, how = item
    note(path, number)
    if how:
        note(f"{path}-died", os.getpid())
        die(how)
    return number, os.getpid()


def die_at_first(item: tuple[str, int]) -> int:
    """Die, but not if somebody did before."""
    path, number = item
    note(f"{path}-{number}", "attempt")
    try:
        os.close(os.open(f"{path}-{number}-died", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return number
    os._exit(1)


def leave(status: int) -> None:
    """End the process at once. By a name of its own: coverage replaces `os._exit`."""
    os._exit(status)


class DiesWhenRead:
    def __reduce__(self) -> Any:
        return leave, (9,)


def exit_at_once() -> None:
    os._exit(3)


class DiesWhenPrepared:
    """As an initializer, something that the worker can't even read."""

    def __call__(self) -> None: ...

    def __reduce__(self) -> Any:
        return leave, (4,)


def start_sleeper(path: str) -> None:
    """Start another process, and hang."""
    child = subprocess.Popen(["sleep", "1000"])
    note(path, child.pid)
    while True:
        try:
            time.sleep(LONG)
        except BaseException:  # what a careless task does
            continue


def leave_a_thread(number: int) -> int:
    """Leave a thread that ends no sooner than its process does."""
    threading.Thread(target=time.sleep, args=(LONG,)).start()
    return number


def fork_and_leave(number: int) -> int:
    """Leave a process that has all that this one has."""
    if os.fork() == 0:
        time.sleep(LONG)
        os._exit(0)
    return number


def faulty(item: tuple[int, str, str]) -> Any:
    number, kind, path = item
    note(path, number)
    if kind == "fail":
        raise ValueError(number)
    if kind == "return error":
        return KeyError(number)
    if kind == "unpicklable":
        return NeverPickled()
    if kind == "large":
        return bytes(200_000)
    if kind == "die":
        die(random.choice(["exit", "SIGKILL"]))
    if kind == "hang":
        time.sleep(LONG)
    while kind == "busy":
        time.monotonic()
    while kind == "swallow":
        try:
            time.sleep(LONG)
        except BaseException:
            continue
    return number


_kept: list[bytearray] = []


def hoard(mib: int) -> int:
    """Use so many more MiB from now on, and say which process that is."""
    _kept.append(bytearray(b"x") * (mib * 2**20))
    time.sleep(0.01)
    return os.getpid()


def explode(number: int) -> int:
    while number == 1:
        _kept.append(bytearray(b"x") * (2**20))
        time.sleep(0.001)
    return number


def thread_variables(_: object) -> set[str | None]:
    return {os.environ.get(f"{name}_NUM_THREADS") for name in ("OMP", "OPENBLAS", "MKL")}


def blas_threads(_: object) -> set[int]:
    import numpy  # noqa: F401  # loads the library
    from threadpoolctl import threadpool_info

    return {entry["num_threads"] for entry in threadpool_info()}


def large_or_fails(size: int) -> bytes:
    if size < 0:
        raise ValueError("x" * -size)
    return bytes(size)


class InPieces:
    """An object of so many buffers that what is said of them fills the pipe of a worker."""

    def __init__(self, *buffers: bytes) -> None:
        self._buffers = buffers or [bytes(4096)] * 6_000

    def __reduce__(self) -> Any:
        return InPieces, tuple(map(pickle.PickleBuffer, self._buffers))

    def __len__(self) -> int:
        return len(self._buffers)


def count_pieces(*objects: InPieces) -> int:
    return sum(map(len, objects))


def stop_while_sending(number: int) -> Any:
    """Stop this process when it has sent half of the result, if the number is 1."""
    if number != 1:
        return number
    write = os.write

    def write_half(descriptor: int, record: bytes) -> int:
        if len(record) > 65536:
            write(descriptor, record[: len(record) // 2])  # or as much as there is room for
            os.kill(os.getpid(), signal.SIGSTOP)
        return write(descriptor, record)

    os.write = write_half  # type: ignore[assignment]  # nobody else writes
    return InPieces()


def stop_before_reading(item: Any) -> int:
    """Stop this process when it is about to read its next message."""
    read = os.read

    def stop(descriptor: int, size: int) -> bytes:
        os.kill(os.getpid(), signal.SIGSTOP)
        return read(descriptor, size)

    os.read = stop
    return 0
