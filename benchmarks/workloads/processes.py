"""Processes: what starting, feeding and losing them costs."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ..harness.workload import Contender, Group, Workload
from ..peers import ours, processes, scripts
from ..peers.table import library, peers
from ..tasks import compute, deadly, kmers, same, sequences, shifted, total

_WORKERS = 2
_HALF = "half of the plain loop, for 2 processes"


def _tiny(_: ExitStack) -> list[Contender]:
    items = list(range(100_000))
    return [
        ours.plain_loop(same, items),
        *ours.processes(same, items, _WORKERS),
        *peers(processes.TINY_MAPS, same, items, _WORKERS),
    ]


def _first_call(_: ExitStack) -> list[Contender]:
    return [
        ours.ours(scripts.inside_process(scripts.NO_OPS_OURS)),
        *peers(scripts.inside(scripts.NO_OPS)),
    ]


def _script(_: ExitStack) -> list[Contender]:
    return [
        scripts.empty_interpreter(),
        ours.ours(scripts.whole_process(scripts.NO_OPS_OURS)),
        *peers(scripts.whole(scripts.NO_OPS)),
    ]


def _imports(calls: int, stack: ExitStack) -> list[Contender]:
    folder = Path(stack.enter_context(TemporaryDirectory()))
    return [
        ours.ours(scripts.slow_import(folder, scripts.SLOW_IMPORT_OURS, calls)),
        *peers(
            {
                name: scripts.slow_import(folder, script, calls)
                for name, script in scripts.SLOW_IMPORT.items()
            }
        ),
    ]


def _compute(_: ExitStack) -> list[Contender]:
    items = list(range(400))
    return [
        ours.plain_loop(compute, items),
        *ours.processes(compute, items, _WORKERS),
        *peers(processes.MAPS, compute, items, _WORKERS),
    ]


def _kmers(_: ExitStack) -> list[Contender]:
    items = sequences() * 20
    return [
        ours.plain_loop(kmers, items),
        *ours.processes(kmers, items, _WORKERS),
        *peers(processes.MAPS, kmers, items, _WORKERS),
    ]


def _arrays(count: int) -> list[object]:
    numpy = library("numpy")
    return [numpy.full(2**20, number, "float64") for number in range(count)]


def _arrays_in(_: ExitStack) -> list[Contender]:
    arrays = _arrays(200)

    def copy() -> None:
        for array in arrays:
            array.copy()  # type: ignore[attr-defined]

    return [
        Contender("memory copy", "limit", copy),
        *ours.processes(total, arrays, _WORKERS),
        *peers(processes.MAPS, total, arrays, _WORKERS),
    ]


def _arrays_both_ways(_: ExitStack) -> list[Contender]:
    arrays = _arrays(100)

    def copy() -> list[object]:
        return [array.copy().copy() for array in arrays]  # type: ignore[attr-defined]

    return [
        Contender("memory copy", "limit", copy),
        *ours.processes(shifted, arrays, _WORKERS),
        *peers(processes.MAPS, shifted, arrays, _WORKERS),
    ]


def _deaths(_: ExitStack) -> list[Contender]:
    items = list(range(1000))
    return [
        *ours.processes(deadly, items, _WORKERS),
        *peers(processes.DEATHS, deadly, items, _WORKERS),
    ]


GROUP = Group(
    "processes",
    "Processes",
    [
        Workload(
            "process-tiny",
            "No-op, 100,000 items, 2 processes",
            _tiny,
            limit="the plain loop `list(map(f, items))`",
            note="concurrent.futures, loky and pebble get chunks of 1,000 items. metainformant's "
            "workers note each outcome in shared memory before they start the next item, so that "
            "one that dies takes no other item with it, and get new items once they are done with "
            "those that they had.",
            needs="process_map",
        ),
        Workload(
            "process-first-call",
            "No-op, 100,000 items, 2 processes, import and first call in a fresh interpreter",
            _first_call,
            rounds=25,
            seconds=30,
            own=True,
            note="From the line that imports the library to the end of the call, which starts and "
            "ends the processes. The start and the exit of the interpreter are not counted.",
            needs="process_map",
        ),
        Workload(
            "process-script",
            "No-op, 100,000 items, 2 processes, import and one call, as whole processes",
            _script,
            rounds=25,
            seconds=30,
            limit="an interpreter that imports nothing",
            note="The same, from the start of the interpreter to its exit.",
            needs="process_map",
        ),
        Workload(
            "process-imports-first",
            "No-op, 100 items, 2 processes, first call of a script with an import of 0.5 s",
            partial(_imports, 1),
            rounds=9,
            own=True,
            note="The function that is called is in the module that takes half a second to import, "
            "so no library can do without importing it. The start method is the default one; with "
            "concurrent.futures it is forkserver, which is the default from CPython 3.14 on.",
            needs="process_map",
        ),
        Workload(
            "process-imports-again",
            "The second call of that script",
            partial(_imports, 2),
            rounds=9,
            own=True,
            note="metainformant starts new processes, as copies of one that has imported the "
            "script. joblib keeps its processes from the first call.",
            needs="process_map",
        ),
        Workload(
            "process-compute",
            "400 computations of one or a few ms, 2 processes",
            _compute,
            rounds=5,
            limit=_HALF,
            parts=2,
            needs="process_map",
        ),
        Workload(
            "process-kmers",
            "Count 6-mers in 2,860 real sequences, 2 processes",
            _kmers,
            rounds=5,
            limit=_HALF,
            parts=2,
            note="94 orchid genes and the genome of phage lambda in 49 pieces, twenty times. Each "
            "result is a dictionary of some 700 words and their counts; to pickle and unpickle it "
            "takes about as long as to count.",
            needs="process_map",
        ),
        Workload(
            "process-arrays-in",
            "200 arrays of 8 MiB in, a number out, 2 processes",
            _arrays_in,
            rounds=5,
            seconds=15,
            limit="copying each array once",
            needs="process_map",
        ),
        Workload(
            "process-arrays-both",
            "100 arrays of 8 MiB in and out, 2 processes",
            _arrays_both_ways,
            rounds=5,
            seconds=15,
            limit="copying each array twice",
            needs="process_map",
        ),
        Workload(
            "process-deaths",
            "1,000 tasks, 100 of which kill their worker, 2 processes",
            _deaths,
            rounds=3,
            expected=(1000, 100),
            note="Each of the 100 must get an exception of its own, the other 900 their results.",
            needs="process_map",
        ),
    ],
    "Every round includes the start and the end of the processes. They are forked where the "
    "library lets its caller choose; loky, and joblib which uses it, start fresh interpreters.",
)
