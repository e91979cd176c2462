"""The kinds of workers, and what each of them can't do. Add a line to `KINDS` to test another."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

import loky
import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL
from tests.backends.tasks import awaited

# Those of this platform; loky has added some of its own.
START_METHODS = [
    name
    for name in ("fork", "spawn", "forkserver")
    if name in multiprocessing.get_all_start_methods()
]

# What some kinds of workers can't do, for the tests that need it:
CONTEXT = "see the caller's context variables"
COPIES = "refuse what can't be pickled"  # workers that share objects never have to
IDENTITY = "hand over the very same objects"
KILL = "end any call"
EACH = "prepare each worker by itself"
FRAMES = "tell the frames of a call"  # threads without the GIL: reading them would crash
LEAVE = "leave a state behind whose end blocks"  # it would block the caller
LOG = "log slow items in this process"
NAMES = "name its workers after the map"
NUMPY = "import NumPy"  # which refuses to be loaded in subinterpreters
PARTS = "hand over or take back a part of what a worker has begun"
PREPARE = "have an initializer and a worker_state"
TOGETHER = "run two tasks at the same time"
WRITE = "write into large arrays"  # which are views of a store that all share
WATCH = "see that a call takes long before it returns"
SEND = "send functions"  # workers that inherit them never have to


class Kind(NamedTuple):
    """A kind of worker: that of a function that maps into a list, or that of an executor."""

    name: str
    cannot: frozenset[str]
    list_map: Callable[..., list[Any]] | None = None
    options: dict[str, Any] = {}  # noqa: RUF012  # for `list_map`
    stream_options: dict[str, Any] = {}  # noqa: RUF012  # for `imap`, `outcomes` and `aimap`
    make_executor: Callable[[], Executor] | None = None
    needs: str | None = None  # the fixture that starts its workers, and keeps them

    is_awaited: bool = False  # whether its functions are async

    def task(self, func: Callable[..., Any]) -> Any:
        """What is passed for a plain function: an async one, if this kind awaits."""
        return awaited(func) if self.is_awaited else func

    @contextmanager
    def ready(self, get_fixture: Callable[[str], Any]) -> Iterator[Kind]:
        """The kind, with an executor if it needs one: as long as the tests of a file take."""
        if self.needs is not None:
            client = get_fixture(self.needs)
            yield self._replace(options={"cluster": client}, stream_options={"backend": client})
            return
        if self.make_executor is None:
            yield self
            return
        with self.make_executor() as executor:
            yield self._replace(stream_options={"backend": executor})

    def run(self, func: Callable[..., Any], items: Any, max_workers: int = 1, **more: Any) -> Any:
        """Map into a list: for an executor, a pool does that."""
        func = self.task(func)
        if self.list_map is not None:
            return self.list_map(func, items, max_workers=max_workers, **self.options, **more)
        with parallel.Pool(max_workers=max_workers, **self.stream_options) as pool:
            return pool.map(func, items, **more)

    def require(self, ability: str) -> None:
        if ability in self.cannot:
            pytest.skip(f"{self.name} can't {ability}")


def _processes(method: str | None) -> Kind:
    options = {"start_method": method}
    cannot = {CONTEXT, IDENTITY, *([SEND] if method == "fork" else [])}
    stream_options = {"backend": "process", **options}
    return Kind(
        method or "processes", frozenset(cannot), parallel.process_map, options, stream_options
    )


# More than most tests need: whoever takes longer than others must not hold them up.
_COUNT = 3
_THREADS = frozenset[str]() if HAS_GIL else frozenset({FRAMES})
_EXECUTORS = _THREADS | {CONTEXT, KILL, NAMES, PARTS, PREPARE}
_ISOLATED = _EXECUTORS | {IDENTITY, LOG}
_DASK = frozenset({CONTEXT, IDENTITY, KILL, LOG, NAMES})
_RAY = _DASK | {WRITE}

KINDS = [
    Kind("threads", _THREADS | {COPIES, KILL, SEND}, parallel.thread_map),
    *map(_processes, [None, *START_METHODS]),
    Kind(
        "ThreadPoolExecutor",
        _EXECUTORS | {COPIES, SEND},
        make_executor=lambda: ThreadPoolExecutor(_COUNT),
    ),
    Kind(
        "ProcessPoolExecutor",
        _ISOLATED,
        make_executor=lambda: ProcessPoolExecutor(_COUNT, multiprocessing.get_context("spawn")),
    ),
    Kind("loky", _ISOLATED, make_executor=lambda: loky.ProcessPoolExecutor(_COUNT)),
]
if "mpi4py.futures" in sys.modules:  # started by `python -m mpi4py.futures`, see test_mpi.py
    from mpi4py.futures import MPIPoolExecutor

    KINDS.append(Kind("MPIPoolExecutor", _ISOLATED, make_executor=MPIPoolExecutor))
if find_spec("distributed") is not None:
    KINDS.append(Kind("dask", _DASK, parallel.cluster_map, needs="dask_client"))
if find_spec("ray") is not None:
    KINDS.append(Kind("ray", _RAY, parallel.cluster_map, needs="ray_cluster"))
if sys.version_info >= (3, 14):
    from concurrent.futures import InterpreterPoolExecutor

    KINDS += [
        Kind(
            "interpreters",
            frozenset({CONTEXT, IDENTITY, KILL, NUMPY}),
            parallel.interpreter_map,
            stream_options={"backend": "interpreter"},
        ),
        Kind(
            "InterpreterPoolExecutor",
            _ISOLATED | {NUMPY},
            make_executor=lambda: InterpreterPoolExecutor(_COUNT),
        ),
    ]


def aiomap(*arguments: Any, **options: Any) -> list[Any]:
    """Map in a loop of the caller's."""
    return asyncio.run(parallel.aiomap(*arguments, **options))


# Calls that wait do so in a thread beside the loop, so there are no frames of theirs to be seen.
_ASYNCIO = frozenset({COPIES, EACH, FRAMES, KILL, SEND})
_own_loop = Kind(
    "asyncio",
    _ASYNCIO,
    parallel.async_map,
    stream_options={"backend": "asyncio"},
    is_awaited=True,
)
KINDS += [
    _own_loop,
    _own_loop._replace(name="the caller's loop", cannot=_ASYNCIO | {LEAVE}, list_map=aiomap),
]


def serial_map(*arguments: Any, **options: Any) -> list[Any]:
    """Map in the caller's own thread, with what looks like processes."""
    with parallel.serial():
        return parallel.process_map(*arguments, **options)


KINDS.append(
    Kind(
        "serial",
        _THREADS | {COPIES, KILL, LOG, NAMES, PARTS, SEND, TOGETHER, WATCH},
        serial_map,
        stream_options={"backend": "serial"},
    )
)

# A process that other tests have left threads in may still be forked, in a test.
FORKS = [
    pytest.mark.filterwarnings("ignore:.*start_method='fork' copies:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def marks(kind: Kind) -> list[pytest.MarkDecorator]:
    """Return the marks of the tests of a kind of workers."""
    return [*FORKS, pytest.mark.ray] if kind.name == "ray" else FORKS
