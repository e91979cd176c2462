"""What the tests of all kinds of workers run in them. Workers import this, so it imports little."""

from __future__ import annotations

import contextvars
import enum
import os
import pickle
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metainformant.core import parallel

# Seconds after which whoever waits for another gives up: never, unless something is broken.
LONG = 60.0


# Arranging workers, of whatever kind: by files in a directory that the test passes along


def wait_for(path: str | Path) -> None:
    """Wait until somebody has opened the gate `path`."""
    until = time.monotonic() + LONG
    while not os.path.exists(path):
        assert time.monotonic() < until, f"nobody has opened {path}"
        time.sleep(0.002)


def open_gate(path: str | Path) -> None:
    os.close(os.open(path, os.O_CREAT))


def meet(directory: str | Path, me: object, count: int) -> None:
    """Wait until `count` different ones are here."""
    open_gate(Path(directory) / f"meet-{me}")
    until = time.monotonic() + LONG
    while sum(name.startswith("meet-") for name in os.listdir(directory)) < count:
        assert time.monotonic() < until, "not all have come"
        time.sleep(0.002)


def note(path: str | Path, what: object) -> None:
    """Add a line to a file; many may do that at the same time."""
    file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(file, f"{what}\n".encode())
    os.close(file)


def notes(path: str | Path) -> list[str]:
    return Path(path).read_text().split() if os.path.exists(path) else []


# Plain tasks


def double(number: int) -> int:
    return 2 * number


def same(value: Any) -> Any:
    return value


def fail_on_odd(number: int) -> int:
    if number % 2:
        raise ValueError(f"odd: {number}")
    return number


def noted(item: tuple[str, int]) -> int:
    path, number = item
    note(path, number)
    return number


def fail_noted(item: tuple[str, int]) -> int:
    noted(item)
    raise ValueError("first")


def first_waits_for(item: tuple[int, str, bool]) -> int:
    """The number; the first waits for the gate, and another opens it."""
    number, gate, opens = item
    if number == 0:
        wait_for(gate)
    if opens:
        open_gate(gate)
    return number


def first_waits_for_all(item: tuple[int, str, int]) -> int:
    number, directory, count = item
    if number:
        open_gate(Path(directory) / f"meet-{number}")
    else:
        meet(directory, 0, count)
    return number


def meet_and_tell(item: tuple[int, str, int]) -> str:
    number, directory, count = item
    meet(directory, number, count)
    return worker_name()


worker: contextvars.ContextVar[str] = contextvars.ContextVar("worker")


def worker_name() -> str:
    """Something that is different for each worker."""
    import threading

    if (name := worker.get(None)) is not None:
        return name
    return f"{os.getpid()} {threading.get_ident()}"


def name_of_worker(item: tuple[int, str, bool]) -> str:
    """The name; if that is asked for, once another worker is at such an item too."""
    number, directory, meets = item
    if meets:
        meet(directory, number, 2)
    return worker_name()


# Values


class Color(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ("more",)


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    __hash__ = None  # type: ignore[assignment]


def array_of(count: int) -> Any:
    import numpy

    return numpy.arange(count, dtype=numpy.float32).reshape(2, -1)


def twice_in_place(array: Any) -> Any:
    array *= 2
    return array, array[0, :3].copy(), array.flags.writeable


class NeverPickled:
    def __reduce__(self) -> Any:
        raise TypeError("this is never pickled")


class NeverRead:
    """What can be pickled, but not read."""

    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise RuntimeError("this is never read")


class ReadOnlyInWorkers:
    """What can be read everywhere but in one process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def __reduce__(self) -> Any:
        return _refuse_in, (self.pid,)


def _refuse_in(pid: int) -> ReadOnlyInWorkers:
    if os.getpid() == pid:
        raise RuntimeError("this is not read here")
    return ReadOnlyInWorkers(pid)


def make(what: tuple[str, int]) -> Any:
    kind, number = what
    if kind == "never pickled":
        return NeverPickled()
    if kind == "not read here":
        return ReadOnlyInWorkers(number)
    if kind == "bytes":
        return bytes(number)
    return number


_used_again = bytearray()


def scratch(what: tuple[int, int]) -> pickle.PickleBuffer:
    """Return a buffer that each task uses again, as one of NumPy."""
    number, size = what
    if len(_used_again) != size:
        _used_again[:] = bytes(size)
    _used_again[:] = bytes([number]) * size
    return pickle.PickleBuffer(_used_again)


# Failures


class OddError(Exception):
    """Its constructor wants something else than what it passes on."""

    def __init__(self, name: str, *, line: int) -> None:
        super().__init__(f"no file {name}")
        self.name = name
        self.line = line


class SlotsError(ValueError):
    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


class FrozenError(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class RefusesNotesError(Exception):
    def add_note(self, note: str) -> None:
        raise RuntimeError(note)


class UnpicklableError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.held = NeverPickled()


def _cancelled() -> BaseException:
    import asyncio  # slow

    return asyncio.CancelledError()


ERRORS: dict[str, Any] = {
    "StopIteration": lambda: StopIteration("stop"),
    "StopAsyncIteration": StopAsyncIteration,
    "GeneratorExit": GeneratorExit,
    "TimeoutError": lambda: TimeoutError("mine"),
    "CancelledError": _cancelled,
    "MemoryError": MemoryError,
    "OSError": lambda: OSError(2, "no such file", "here"),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"x" * 200_000, 1, 2, "bad"),
    "ExceptionGroup": lambda: ExceptionGroup("two", [ValueError(1), KeyError(2)]),
    "odd": lambda: OddError("genome.fa", line=7),
    "slots": lambda: SlotsError(5),
    "frozen": lambda: FrozenError("ice"),
    "silent": SilentError,
    "refuses notes": RefusesNotesError,
    "unpicklable": lambda: UnpicklableError("holds a lock"),
    "unpicklable argument": lambda: ValueError(NeverPickled()),
    "large": lambda: ValueError("x" * 1_000_000),
}


class UnavailableError(OSError):
    """An exception with a constructor of its own."""

    def __init__(self, host: str, status: int) -> None:
        super().__init__(f"{host} answered {status}")
        self.status = status


def failures_in_a_value(item: UnavailableError) -> tuple[Any, ...]:
    return item, [UnavailableError("here", 503), UnavailableError], {"error": item}


def fail_as(kind: str) -> str:
    if kind in ERRORS:
        raise ERRORS[kind]()
    return kind


def fail_deep(number: int) -> None:
    try:
        _inner(number)
    except KeyError as error:
        raise ValueError("outer") from error


def _inner(number: int) -> None:
    try:
        raise OSError("innermost")
    except OSError:
        raise KeyError(number)  # noqa: B904  # its context is what is tested


def wait_or_fail(item: tuple[str, str]) -> None:
    what, gate = item
    if what == "fails":
        wait_for(f"{gate} is waited for")
        raise ValueError("now")
    open_gate(f"{gate} is waited for")
    wait_for(gate)


def exit_noted(item: tuple[str, int, str]) -> int:
    path, number, kind = item
    note(path, number)
    raise {"KeyboardInterrupt": KeyboardInterrupt, "SystemExit": SystemExit}[kind](3)


# Tasks that hang


def stuck(item: tuple[str, str, int]) -> int:
    """The number; or hang in a certain way, but no longer than until the gate is opened."""
    kind, gate, number = item
    if kind == "waits":
        wait_for(gate)
    elif kind == "sleeps":
        time.sleep(LONG)
    elif kind == "loops":
        while not os.path.exists(gate):
            pass
    elif kind == "swallows":
        while not os.path.exists(gate):
            try:
                wait_for(gate)
            except BaseException:  # what a careless task does
                continue
    elif kind == "is deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(LONG)
    elif kind == "computes in C":
        sum(range(10**12))
    return number


def stuck_noted(item: tuple[str, str, int, str]) -> int:
    kind, gate, number, path = item
    note(path, number)
    return stuck((kind, gate, number))


# What a task can ask


def describe_me(_: object) -> tuple[int, int, bool, bool]:
    me = parallel.current_task()
    assert me is not None
    return me.index, me.attempt, me.seconds_left is not None, me.cancelled()


def succeed_at_third(path: str) -> int:
    me = parallel.current_task()
    assert me is not None
    note(path, me.attempt)
    if me.attempt < 3:
        raise ConnectionError(me.attempt)
    return me.attempt


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def see_variable(_: object) -> str:
    return variable.get()


# Preparation

_prepared: dict[str, Any] = {}


def prepare(*arguments: Any) -> None:
    _prepared[worker_name()] = arguments


def what_was_prepared(item: tuple[int, str, int]) -> Any:
    meet_and_tell(item)
    return _prepared[worker_name()]


def prepare_only_one(first: str, working: str) -> None:
    """Fail in all workers but one, once that is at work."""
    try:
        os.close(os.open(first, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        wait_for(working)
        raise PermissionError("no license") from None


def last_is_stuck(item: tuple[int, str, str]) -> int:
    number, working, gate = item
    if number == 3:
        open_gate(working)
        wait_for(gate)
    return number


def fail_to_prepare() -> None:
    raise FileNotFoundError("no index")


class State:
    def __init__(self, path: str) -> None:
        self.path = path
        self.is_closed = False
        note(path, "opened")

    def close(self) -> None:
        self.is_closed = True
        note(self.path, "closed")


class Opens:
    """Makes states; it has to be picklable."""

    def __init__(self, path: str, kind: str = "") -> None:
        self.path = path
        self.kind = kind

    def __call__(self) -> Any:
        if self.kind == "fails":
            raise FileNotFoundError("no index")
        if self.kind == "stuck":
            return Stuck(self.path)
        return Full() if self.kind == "full" else State(self.path)


class Stuck:
    def __init__(self, gate: str) -> None:
        self.gate = gate

    def close(self) -> None:
        open_gate(f"{self.gate}-closing")
        wait_for(self.gate)


class Full:
    def close(self) -> None:
        raise OSError("disk full")


def with_state(item: tuple[int, str, int], state: State) -> int:
    meet_and_tell(item)
    assert not state.is_closed
    return item[0]


def ignore_state(item: int, _: object) -> int:
    return item


# Maps in workers


def nested(depth: int) -> int:
    if depth == 0:
        return 1
    map_it: Any = parallel.process_map if depth % 2 else parallel.thread_map
    return int(sum(map_it(nested, [depth - 1] * 2, 2, on_error="raise")))


def stream_inside(count: int) -> int:
    return int(sum(parallel.imap(double, range(count), backend="process", on_error="raise")))


def endless() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


# Several arguments, and constants


def weighted(x: int, y: int = 0, *, weight: int = 1) -> int:
    return (x + y) * weight


def weighted_with_state(x: int, y: int, state: State, *, weight: int) -> tuple[int, bool]:
    return (x + y) * weight, isinstance(state, State)


def sums(batch: list[int], *, plus: int) -> list[int]:
    return [number + plus for number in batch]


class NotesReads:
    """Something with a large buffer that notes each time when it is read from a pickle."""

    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self.content = pickle.PickleBuffer(content)

    def __reduce__(self) -> Any:
        return _read_noted, (self.path, self.content)


def _read_noted(path: str, content: Any) -> NotesReads:
    note(path, "read")
    return NotesReads(path, content)


def element(position: int, *, data: NotesReads) -> int:
    return memoryview(data.content)[position]


# Random numbers


def _random() -> random.Random:
    task = parallel.current_task()
    assert task is not None
    return task.random


def two_numbers(_: object) -> list[float]:
    return [_random().random(), _random().random()]


def numbers_at_third(path: str) -> list[float]:
    numbers = two_numbers(path)
    succeed_at_third(path)
    return numbers


def number_of_numpy(_: object) -> float:
    task = parallel.current_task()
    assert task is not None
    return float(task.rng.random())


def nested_numbers(item: object) -> list[Any]:
    return parallel.thread_map(two_numbers, [item])


# What is left out


def fail_if_seven(batch: list[int]) -> list[int]:
    if 7 in batch:
        raise ValueError
    return batch


def none_for_thirds(number: int) -> int | None:
    return number if number % 3 else None


def none_or_failure(number: int) -> None:
    if number % 2:
        raise ValueError


class RefusedError(Exception):
    """The answer of a service that wants fewer calls."""

    status_code = 429


def refused_once(item: tuple[int, bool]) -> int:
    """Return the number, if need be in the second attempt."""
    task = parallel.current_task()
    assert task is not None
    if item[1] and task.attempt == 1:
        raise RefusedError
    return item[0]


# Async functions

WAITING: set[Any] = {
    first_waits_for,
    first_waits_for_all,
    last_is_stuck,
    meet_and_tell,
    name_of_worker,
    stuck,
    stuck_noted,
    wait_or_fail,
    what_was_prepared,
    with_state,
}


def awaited(func: Any) -> Any:
    """An async function that does the same, and lets other calls run while it waits."""

    async def call(*arguments: Any, **constants: Any) -> Any:
        import asyncio

        task = asyncio.current_task()
        assert task is not None
        worker.set(task.get_name())
        if func in WAITING:
            return await _in_thread(func, *arguments)
        return func(*arguments, **constants)

    return call


async def _in_thread(func: Any, *arguments: Any) -> Any:
    """Call a function in a thread, for which no exit of a loop or of the interpreter waits."""
    import asyncio
    import threading

    loop = asyncio.get_running_loop()
    future: Any = loop.create_future()

    def end(finish: Any, value: Any) -> None:
        if not future.done():
            finish(value)

    def run() -> None:
        try:
            what = future.set_result, func(*arguments)
        except BaseException as error:
            what = future.set_exception, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(end, *what)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), daemon=True).start()
    return await future
