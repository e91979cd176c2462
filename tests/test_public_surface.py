"""What users can import, and what it costs them."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from metainformant.core import parallel


def test_public_names() -> None:
    assert sorted(parallel.__all__) == [
        "Auto",
        "Checkpoint",
        "CheckpointError",
        "CheckpointWarning",
        "CurrentTask",
        "Failure",
        "Failures",
        "Limit",
        "Outcome",
        "ParallelError",
        "Pool",
        "Progress",
        "RateLimit",
        "RecordedFailureError",
        "RepeatedlyKilledError",
        "Report",
        "Results",
        "TaskCancelledError",
        "TaskTimeoutError",
        "TooManyFailuresError",
        "WorkerDiedError",
        "aimap",
        "aiomap",
        "async_map",
        "cluster_map",
        "cpu_count",
        "current_task",
        "file_key",
        "gather_results",
        "imap",
        "interpreter_map",
        "outcomes",
        "parallel_batch",
        "process_map",
        "process_map_unordered",
        "rate_limited_map",
        "resource_aware_workers",
        "serial",
        "split",
        "thread_map",
        "thread_map_unordered",
    ]


@pytest.mark.parametrize("name", parallel.__all__)
def test_public_objects_are_documented_and_at_home_in_the_root(name: str) -> None:
    """So tracebacks, pickles and documents name what users can import."""
    thing = getattr(parallel, name)
    assert inspect.getdoc(thing)
    assert thing.__module__ == "metainformant.core.parallel"
    assert thing.__name__ == thing.__qualname__ == name


@pytest.mark.parametrize(
    ("name", "positional"),
    [
        (
            "thread_map",
            {
                "max_workers": 8,
                "chunk_size": None,
                "timeout": None,
                "ordered": True,
            },
        ),
        ("thread_map_unordered", {"max_workers": 8, "timeout": None}),
        (
            "async_map",
            {"max_workers": 100, "chunk_size": None, "timeout": None, "ordered": True},
        ),
        (
            "aiomap",
            {"max_workers": 100, "chunk_size": None, "timeout": None, "ordered": True},
        ),
        ("parallel_batch", {"batch_size": 10, "max_workers": 4}),
        ("cpu_count", {}),
        ("imap", {}),
        ("outcomes", {}),
        ("gather_results", {"timeout": None}),
        ("rate_limited_map", {"max_per_second": 10.0, "max_workers": 4, "timeout": None}),
        (
            "resource_aware_workers",
            {"task_type": "io", "max_cap": None, "memory_per_worker_mb": 256},
        ),
    ],
)
def test_positional_order_and_defaults_are_a_promise(
    name: str, positional: dict[str, object]
) -> None:
    parameters = inspect.signature(getattr(parallel, name)).parameters.values()
    found = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and parameter.default is not parameter.empty
    }
    assert found == positional
    assert list(found) == list(positional)


def test_importing_brings_in_nothing_heavy() -> None:
    """Time can't be asserted here, but the modules that would cost it can."""
    code = "import sys, metainformant.core.parallel; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(_source())},
    ).stdout
    heavy = {"asyncio", "concurrent.futures", "dataclasses", "inspect", "logging"}
    heavy |= {"multiprocessing", "traceback", "click", "rich", "numpy"}
    assert heavy.isdisjoint(output.split())


# Of the standard library: this and what it imports itself, which differs between versions.
_FIRST_CALL = "import __future__, collections.abc, contextvars, functools, heapq, math, queue"
if sys.version_info >= (3, 15):  # where signals end blocked calls
    _FIRST_CALL += ", signal"
# Of this package: each file takes about a sixth of a millisecond.
_FIRST_CALL_OWN = """
    backends backends.registry backends.threads backends.threads.backend backends.threads.items
    backends.threads.job backends.threads.thread_group calls describe engine engine.announcer
    engine.assignment engine.backend engine.completion engine.dispatcher engine.ending
    engine.event_queue engine.loop engine.outcome_batch engine.policies engine.policies.chunking
    engine.policies.stealing engine.policies.stopping engine.policies.timeouts engine.source
    engine.supervisor engine.unfinished errors functions host host.gil host.threads maps
    maps.docstrings maps.signatures maps.threads observe observe.registry options public runner
    runner.delivery runner.ending runner.list_map runner.recorder validate worker worker.context
    worker.frames worker.interrupt worker.running worker.setup
"""


def test_a_first_map_of_threads_loads_only_what_it_runs() -> None:
    """A module that is not needed by a map of one item is imported where it is used."""
    code = "from metainformant.core import parallel; parallel.thread_map(abs, [-1])"
    root = "metainformant.core.parallel"
    loaded = _loaded_by(code)
    own = {name for name in loaded if name.split(".")[0] == "metainformant"}
    allowed = {f"{root}.{name}" for name in _FIRST_CALL_OWN.split()}
    assert own <= {"metainformant", "metainformant.core", root, *allowed}
    assert loaded - own <= _loaded_by(_FIRST_CALL)


def _loaded_by(code: str) -> set[str]:
    """Return the modules that are loaded after `code`, without those of coverage."""
    result = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(_source())},
    )
    return set(result.stdout.split())


def _source() -> object:
    from pathlib import Path

    import metainformant

    return Path(metainformant.__file__).parent.parent


def test_the_help_of_the_package_is_a_map_of_it() -> None:
    text = parallel.__doc__ or ""
    maps = [name for name in parallel.__all__ if "map" in name and name != "rate_limited_map"]
    missing = [name for name in [*maps, "outcomes", "Pool", "split"] if f"`{name}`" not in text]
    assert not missing
