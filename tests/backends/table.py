"""The kinds of workers, and what each of them cannot do. Add a line here to test another."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL

# What some kinds of workers can't do, by the tests that need it:
CONTEXT = "see the caller's context variables"
IDENTITY = "hand over the very same objects"
KILL = "end any call"
COPIES = "refuse what can't be pickled"  # workers that share objects never have to
FRAMES = "tell the frames of a call"  # threads without the GIL: reading them would crash
NUMPY = "import NumPy"  # which refuses to be loaded in subinterpreters


class Kind(NamedTuple):
    """A kind of worker."""

    name: str
    map: Callable[..., list[Any]]
    options: dict[str, Any]  # for `map`
    stream_options: dict[str, Any]  # for `imap`, `outcomes` and `aimap`
    cannot: frozenset[str]

    def run(self, func: Callable[..., Any], items: Any, max_workers: int = 1, **more: Any) -> Any:
        return self.map(func, items, max_workers, **self.options, **more)

    def require(self, ability: str) -> None:
        if ability in self.cannot:
            pytest.skip(f"{self.name} can't {ability}")


def _processes(method: str) -> Kind:
    options = {"start_method": method}
    return Kind(
        method,
        parallel.process_map,
        options,
        {"backend": "process", **options},
        frozenset({CONTEXT, IDENTITY}),
    )


KINDS = [
    Kind(
        "threads",
        parallel.thread_map,
        {},
        {},
        frozenset({KILL, COPIES} if HAS_GIL else {KILL, COPIES, FRAMES}),
    ),
    *map(_processes, multiprocessing.get_all_start_methods()),
]
if sys.version_info >= (3, 14):
    KINDS.append(
        Kind(
            "interpreters",
            parallel.interpreter_map,
            {},
            {"backend": "interpreter"},
            frozenset({CONTEXT, IDENTITY, KILL, NUMPY}),
        )
    )

# A process that other tests have left threads in may still be forked, in a test.
FORKS = [
    pytest.mark.filterwarnings("ignore:.*start_method='fork' copies:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]
every_kind = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=FORKS, id=kind.name) for kind in KINDS]
)
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
