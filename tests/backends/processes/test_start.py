"""How worker processes are started, beside threads and where they can't be."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.backends.processes.start import main_can_be_imported, starting
from metainformant.core.parallel.backends.processes.start import start as start_process
from tests.backends import tasks
from tests.backends.processes.support import METHODS
from tests.backends.table import FORKS


class TestThreads:
    @pytest.mark.filterwarnings(FORKS[0].args[0], FORKS[1].args[0])
    def test_maps_in_several_threads_at_once(self) -> None:
        results: dict[int, Any] = {}

        def caller(number: int) -> None:
            method: Any = METHODS[number % len(METHODS)]
            items = range(number, number + 200)
            results[number] = parallel.process_map(tasks.double, items, 1, start_method=method)

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for number in range(5):
            assert results[number] == [2 * n for n in range(number, number + 200)]

    def test_the_default_never_forks(self) -> None:
        from metainformant.core.parallel.backends.processes.pool import default_start_method

        assert default_start_method() in ("spawn", "forkserver")
        assert parallel.process_map(abs, [-1]) == [1]  # a warning would be an error

    @pytest.mark.skipif("fork" not in METHODS, reason="needs fork")
    @pytest.mark.filterwarnings(FORKS[1].args[0])
    def test_a_stream_that_forks_does_so_beside_its_own_threads(self) -> None:
        items = (n for n in [1])
        with pytest.warns(RuntimeWarning, match="has the threads of the stream"):
            results = list(
                parallel.imap(tasks.double, items, backend="process", start_method="fork")
            )
        assert results == [2]

    @pytest.mark.skipif("fork" not in METHODS, reason="needs fork")
    @pytest.mark.filterwarnings(FORKS[1].args[0])
    def test_forking_beside_threads_warns_in_the_line_that_calls(self) -> None:
        release = threading.Event()
        thread = threading.Thread(target=release.wait)
        thread.start()
        try:
            with pytest.warns(RuntimeWarning, match="leave start_method out") as caught:
                parallel.process_map(abs, [-1], 1, start_method="fork")
        finally:
            release.set()
            thread.join()
        assert [Path(one.filename).name for one in caught if one.category is RuntimeWarning] == [
            "test_start.py"
        ]


def test_a_fork_server_that_ends_again_and_again() -> None:
    class Process:
        starts = 0

        def start(self) -> None:
            self.starts += 1
            raise ConnectionResetError if self.starts % 2 else EOFError

    process = Process()
    with pytest.raises(OSError, match=r"ends again and again.*if __name__ == '__main__'"):
        start_process(process)
    assert process.starts == 3


def test_a_daemonic_process_has_no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    process: Any = multiprocessing.current_process()
    monkeypatch.setitem(process._config, "daemon", True)
    with pytest.raises(parallel.ParallelError, match="process_map can't start processes in"):
        parallel.process_map(abs, [-1])


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ({"__spec__": ModuleSpec("package.script", None)}, True),
        ({"__spec__": ModuleSpec("package.__main__", None), "__file__": __file__}, False),
        ({"__spec__": ModuleSpec("__main__", None), "__file__": __file__}, False),
        ({"__spec__": None, "__file__": __file__}, True),
        ({"__spec__": None, "__file__": "<stdin>"}, False),
        ({"__spec__": None}, False),
    ],
)
def test_whether_workers_find_what_is_in_main(
    attributes: dict[str, Any], found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = ModuleType("__main__")
    vars(main).update(attributes)
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert main_can_be_imported() is found
    with starting("spawn"):  # what is started here must not look for what is not there
        assert ("__file__" in vars(main)) == (found and "__file__" in attributes)
    assert vars(main).get("__file__") == attributes.get("__file__")


def test_start_methods_of_loky_are_none_of_ours() -> None:
    """From Python 3.14 on, multiprocessing lists them once loky is imported."""
    import loky  # noqa: F401

    with pytest.raises(ValueError, match="start_method='loky' must be one that this platform has"):
        parallel.process_map(abs, [-1], start_method="loky")  # type: ignore[call-overload]
