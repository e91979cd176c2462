"""What `__main__` defines is pickled by value, where cloudpickle is installed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from metainformant.core.parallel.backends.ipc import pickling
from metainformant.core.parallel.backends.processes import pool as pools
from metainformant.core.parallel.backends.processes.pool import ProcessPool
from metainformant.core.parallel.calls import Workers, make_call
from tests.backends.processes.support import Child

BY_VALUE = """
    import sys
    from metainformant.core import parallel
    if "without" in sys.argv:
        sys.modules["cloudpickle"] = None

    class Thing:
        def __init__(self, number):
            self.number = number

    class OwnError(Exception):
        def __init__(self, thing, *, more):
            super().__init__("not two")
            self.more = more

    def task(thing):
        if thing.number == 2:
            raise OwnError(thing, more=[2])
        return Thing(thing.number + 1)

    if __name__ == "__main__":
        options = {"start_method": sys.argv[1]}
        add = 10
        try:
            results = parallel.process_map(task, [Thing(1), Thing(2)], 1, **options)
            print(type(results[0]) is Thing, results[0].number, repr(results[1]), results[1].more)
            print(parallel.process_map(lambda number: number + add, range(3), 1, **options))
        except parallel.ParallelError as error:
            print(error)
"""


class TestPicklingByValue:
    @pytest.mark.parametrize("how", ["script", "-c", "stdin"])
    @pytest.mark.parametrize("method", ["forkserver", "spawn"])
    def test_what_is_defined_in_main(
        self, how: str, method: str, start: Callable[..., Child]
    ) -> None:
        pytest.importorskip("cloudpickle")
        out, err, code = start(BY_VALUE, method, how=how).end()
        assert (err, code) == ("", 0)
        assert out.splitlines() == ["True 2 OwnError('not two') [2]", "[10, 11, 12]"]

    @pytest.mark.parametrize("how", ["script", "-c"])
    def test_without_cloudpickle(self, how: str, start: Callable[..., Child]) -> None:
        out, err, code = start(BY_VALUE, "spawn", "without", how=how).end()
        assert (err, code) == ("", 0)
        last = out.splitlines()[-1]
        if how == "script":
            assert out.startswith("True 2 OwnError('not two') [2]\n")
            assert "func=<function <lambda>" in last
            assert "can't be pickled" in last
        else:
            assert "func can't be read in a worker" in last
        assert "pip install 'metainformant[process]'" in last

    def test_what_another_map_finds_out_meanwhile_stays(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pickling, "main_is_ours_alone", False)

        def while_another_map_finds_out() -> bool:
            pickling.main_is_ours_alone = True
            return True

        monkeypatch.setattr(pools, "main_can_be_imported", while_another_map_finds_out)
        ProcessPool(make_call("process_map", abs, Workers("process", 1), {})).abort()
        assert pickling.main_is_ours_alone
