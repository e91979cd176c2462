"""What a map means, with every kind of workers: see `table.py` for what some can't do."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel

from . import tasks
from .table import (
    CONTEXT,
    COPIES,
    EACH,
    FRAMES,
    IDENTITY,
    KILL,
    LEAVE,
    LOG,
    NAMES,
    NUMPY,
    PARTS,
    PREPARE,
    SEND,
    TOGETHER,
    WATCH,
    WRITE,
    Kind,
)

# Long enough for a task that does nothing, however busy the machine is.
TIMEOUT = 0.3


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[str]:
    """What hung tasks wait for; opened at the end, so that their threads end too."""
    path = tmp_path / "gate"
    yield str(path)
    tasks.open_gate(path)


class TestOrder:
    def test_results_are_in_input_order(self, kind: Kind) -> None:
        for count, chunk_size in [(0, None), (1, 1), (8, None), (9, 3), (5000, None), (500, 1000)]:
            results = kind.run(tasks.double, range(count), 2, chunk_size=chunk_size)
            assert results == [2 * number for number in range(count)]

    def test_a_hundred_thousand_tiny_items(self, kind: Kind) -> None:
        results = kind.run(tasks.same, range(100_000), 2)
        assert results == list(range(100_000))

    def test_the_first_item_may_be_the_last_to_finish(self, kind: Kind, gate: str) -> None:
        kind.require(TOGETHER)
        items = [(number, gate, number == 19) for number in range(20)]
        assert kind.run(tasks.first_waits_for, items, 2) == list(range(20))

    def test_unordered_is_the_order_of_completion(self, kind: Kind, gate: str) -> None:
        kind.require(TOGETHER)

        def tell(index: int, _item: object, _result: object) -> None:
            if index == 4:
                tasks.open_gate(gate)

        items = [(number, gate, False) for number in range(5)]
        results = kind.run(
            tasks.first_waits_for, items, 2, ordered=False, on_complete=tell, chunk_size=1
        )
        assert sorted(results) == list(range(5))
        assert results[-1] == 0

    @pytest.mark.parametrize("chunk_size", [None, 100])
    def test_a_slow_item_never_holds_back_its_neighbours(
        self, kind: Kind, tmp_path: Path, chunk_size: int | None
    ) -> None:
        kind.require(TOGETHER)
        if chunk_size is not None:  # else nothing is in the first one's chunk
            kind.require(PARTS)
        items = [(number, str(tmp_path), 100) for number in range(100)]
        results = kind.run(tasks.first_waits_for_all, items, 2, chunk_size=chunk_size)
        assert results == list(range(100))

    def test_no_item_runs_twice(self, kind: Kind, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        kind.run(tasks.noted, [(path, number) for number in range(3000)], max_workers=3)
        assert sorted(map(int, tasks.notes(path))) == list(range(3000))

    def test_a_given_chunk_goes_to_one_worker(self, kind: Kind, tmp_path: Path) -> None:
        kind.require(TOGETHER)
        # The last items of the two wait for each other: else one might take from the other.
        items = [(number, str(tmp_path), number in (4, 9)) for number in range(10)]
        names = kind.run(tasks.name_of_worker, items, 2, chunk_size=5)
        assert names == [names[0]] * 5 + [names[5]] * 5
        assert names[0] != names[5]


class TestInput:
    def test_any_iterable(self, kind: Kind) -> None:
        for items in [(1, 2), {1: 0, 2: 0}, iter([1, 2]), (n for n in (1, 2))]:
            assert kind.run(tasks.double, items) == [2, 4]

    def test_changing_the_input_list_changes_nothing(self, kind: Kind) -> None:
        items = list(range(300))
        results = kind.run(tasks.double, items, on_complete=lambda *_: items.clear())
        assert results == [2 * number for number in range(300)]


SIMPLE = [None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**63, 10**40, 1.5, math.inf, -0.0]
VALUES = [
    *SIMPLE,
    1j,
    "",
    "text",
    "\udc80",
    "x" * 100_000,
    b"bytes",
    bytearray(b"array"),
    b"x" * 1_000_000,
    [1, [2, {"a": (3, None)}]],
    {1, 2},
    range(5),
    tasks.Color.RED,
    tasks.Text("own"),
    tasks.Point(7),
    tasks.Point,
    len,
    ...,
]


class TestValues:
    def test_they_arrive_as_they_are(self, kind: Kind) -> None:
        for chunk_size in (None, len(VALUES)):
            results = kind.run(tasks.same, VALUES, chunk_size=chunk_size)
            assert results == VALUES
            assert [type(result) for result in results] == [type(value) for value in VALUES]

    def test_floats_keep_their_bits(self, kind: Kind) -> None:
        zero, number = kind.run(tasks.same, [-0.0, math.nan])
        assert math.copysign(1, zero) == -1
        assert math.isnan(number)

    def test_runs_of_one_type_and_all_of_them_mixed(self, kind: Kind) -> None:
        mixed = [SIMPLE[number % len(SIMPLE)] for number in range(2000)]
        words = [f"word {number}" for number in range(2000)]
        results = kind.run(tasks.same, [*words, *mixed, *mixed[::7], *words])
        expected = [*words, *mixed, *mixed[::7], *words]
        assert results == expected
        assert [type(result) for result in results] == [type(value) for value in expected]

    def test_exceptions_may_be_values(self, kind: Kind) -> None:
        value = kind.run(tasks.same, [ValueError("a value")], on_error="raise")[0]
        assert isinstance(value, ValueError)
        assert str(value) == "a value"
        assert not hasattr(value, "__notes__")

    @pytest.mark.parametrize("count", [6_000, 60_000])
    def test_arrays(self, kind: Kind, count: int) -> None:
        kind.require(NUMPY)
        if count > 6_000:
            kind.require(WRITE)
        numpy = pytest.importorskip("numpy")
        small, large = numpy.arange(6.0).reshape(2, 3), numpy.arange(count).reshape(3, -1)
        fortran = numpy.asfortranarray(large)
        arrays = [small, large, fortran, large[:, ::2]]
        results = kind.run(tasks.twice_in_place, [array.copy("K") for array in arrays])
        for array, (result, part, was_writeable) in zip(arrays, results, strict=True):
            assert result.dtype == array.dtype
            assert numpy.array_equal(result, array * 2)
            assert numpy.array_equal(part, (array * 2)[0, :3])
            assert was_writeable
            result += 1  # it is the caller's
        values = [numpy.int64(5), numpy.float64(0.5), numpy.bool_(True), numpy.str_("a")]
        read_only = numpy.frombuffer(b"x" * 100_000, "u1")
        *results, fixed = kind.run(tasks.same, [*values, read_only])
        assert [type(result) for result in results] == [type(value) for value in values]
        assert results == values
        assert not fixed.flags.writeable

    def test_many_large_results_need_few_descriptors(self, kind: Kind) -> None:
        kind.require(NUMPY)
        numpy = pytest.importorskip("numpy")
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        results = kind.run(tasks.array_of, [30_000] * 300, 2)
        assert all(numpy.array_equal(result, tasks.array_of(30_000)) for result in results[::29])
        for result in results:
            result += 1
        assert not before or len(os.listdir("/proc/self/fd")) < before + 150

    def test_the_same_objects(self, kind: Kind) -> None:
        kind.require(IDENTITY)
        thing = tasks.Point(1)
        assert kind.run(tasks.same, [thing])[0] is thing

    def test_an_item_that_cannot_be_pickled(self, kind: Kind) -> None:
        kind.require(COPIES)
        results = kind.run(tasks.same, [0, tasks.NeverPickled(), 2, 3], chunk_size=4)
        assert [results[0], *results[2:]] == [0, 2, 3]
        assert isinstance(results[1], parallel.ParallelError)
        assert "the item <tests.backends.tasks.NeverPickled" in str(results[1])
        assert "can't be pickled" in str(results[1])
        assert "TypeError: this is never pickled" in str(results[1])

    def test_an_item_that_cannot_be_read_in_the_worker(self, kind: Kind) -> None:
        kind.require(COPIES)
        results = kind.run(tasks.same, [0, tasks.NeverRead(), 2, 3], chunk_size=4)
        assert [results[0], *results[2:]] == [0, 2, 3]
        assert isinstance(results[1], parallel.ParallelError)
        assert "can't be read in a worker: RuntimeError: this is never read" in str(results[1])

    def test_results_that_cannot_be_sent_or_read(self, kind: Kind) -> None:
        kind.require(COPIES)
        items = [("", 0), ("never pickled", 1), ("not read here", os.getpid()), ("", 3)]
        results = kind.run(tasks.make, items, chunk_size=4)
        assert (results[0], results[3]) == (0, 3)
        unsent, unread = results[1:3]
        assert isinstance(unsent, parallel.ParallelError)
        assert "the result 'NeverPickled' can't be pickled" in str(unsent)
        assert isinstance(unread, parallel.ParallelError)
        assert "the result can't be read: RuntimeError: this is not read here" in str(unread)
        assert isinstance(unread.__cause__, RuntimeError)
        assert unread.__notes__[0].startswith("item 2 ")

    @pytest.mark.parametrize("size", [8, 2**20])
    def test_a_result_is_what_it_was_when_its_task_returned_it(self, kind: Kind, size: int) -> None:
        kind.require(COPIES)
        results = kind.run(tasks.scratch, [(number, size) for number in range(4)], chunk_size=4)
        assert [set(bytes(result)) for result in results] == [{0}, {1}, {2}, {3}]

    def test_a_function_that_cannot_be_sent_or_read(self, kind: Kind) -> None:
        kind.require(SEND)
        with pytest.raises(parallel.ParallelError, match=r"func=.*can't be pickled"):
            kind.run(CallsNeverPickled(), [1])
        with pytest.raises(parallel.ParallelError, match=r"func.* can't be read in a worker"):
            kind.run(CallsNeverRead(), [1])

    def test_arguments_that_cannot_be_sent(self, kind: Kind) -> None:
        kind.require(SEND)
        kind.require(PREPARE)
        with pytest.raises(parallel.ParallelError, match=r"initargs.*=.*can't be pickled"):
            kind.run(tasks.same, [1], initializer=print, initargs=[tasks.NeverPickled()])


class CallsNeverPickled(tasks.NeverPickled):
    def __call__(self, item: object) -> object:
        return item


class CallsNeverRead(tasks.NeverRead):
    def __call__(self, item: object) -> object:
        return item


class TestFailures:
    def test_a_failure_is_the_value_of_its_slot(self, kind: Kind) -> None:
        for chunk_size in (None, 5):
            results = kind.run(tasks.fail_on_odd, range(5), chunk_size=chunk_size)
            assert results[0::2] == [0, 2, 4]
            for index in (1, 3):
                assert type(results[index]) is ValueError
                assert str(results[index]) == f"odd: {index}"
                assert results[index].__notes__ == [f"item {index} ({index}), attempt 1"]

    def test_it_tells_where_it_was_raised(self, kind: Kind) -> None:
        (error,) = kind.run(tasks.fail_deep, [5])
        text = "".join(traceback.format_exception(error))
        for part in ("in fail_deep", "in _inner", "ValueError: outer", "raise KeyError(number)"):
            assert part in text
        assert "OSError: innermost" in text
        if FRAMES not in kind.cannot:
            assert "_run_items" not in text
            assert "call_with" not in text

    def test_causes_and_contexts_are_kept(self, kind: Kind) -> None:
        (error,) = kind.run(tasks.fail_deep, [5])
        assert type(error) is ValueError
        assert type(error.__cause__) is KeyError
        assert error.__cause__.args == (5,)
        assert type(error.__cause__.__context__) is OSError

    def test_failures_of_all_kinds(self, kind: Kind) -> None:
        names = [*tasks.ERRORS, "no failure"]
        results = kind.run(tasks.fail_as, names, chunk_size=len(names))
        errors = dict(zip(names, results, strict=True))
        assert errors.pop("no failure") == "no failure"
        unpicklable, replaced = errors.pop("unpicklable"), errors.pop("unpicklable argument")
        assert type(unpicklable) is tasks.UnpicklableError
        assert str(unpicklable) == "holds a lock"
        if COPIES in kind.cannot:
            assert type(replaced) is ValueError
        else:
            assert unpicklable.held is None
            assert type(replaced) is parallel.ParallelError
            assert "ValueError: <tests.backends.tasks.NeverPickled" in str(replaced)
            assert "could not be pickled" in str(replaced)
        if kind.is_awaited:  # no coroutine can raise it (PEP 479)
            assert type(errors.pop("StopIteration")) is RuntimeError
        for name, error in errors.items():
            expected = tasks.ERRORS[name]()
            assert type(error) is type(expected)
            if name not in ("ExceptionGroup", "silent"):
                assert error.args == expected.args
                assert str(error) == str(expected)
        assert vars(errors["odd"])["name"] == "genome.fa"
        assert errors["odd"].line == 7
        assert errors["slots"].code == 5
        assert [type(e) for e in errors["ExceptionGroup"].exceptions] == [ValueError, KeyError]
        assert errors["OSError"].filename == "here"
        assert not isinstance(errors["TimeoutError"], parallel.TaskTimeoutError)

    def test_failures_in_values_and_items(self, kind: Kind) -> None:
        """As nested maps return them. Their constructors, which want more, are not called."""
        results = kind.run(tasks.failures_in_a_value, [tasks.UnavailableError("here", 503)])
        (item, in_a_list, in_a_dict) = results[0]
        for error in (item, in_a_list[0], in_a_dict["error"]):
            assert type(error) is tasks.UnavailableError
            assert (str(error), error.status) == ("here answered 503", 503)
        assert in_a_list[1] is tasks.UnavailableError

    def test_many_failures(self, kind: Kind) -> None:
        results = kind.run(tasks.fail_on_odd, range(4000), 2)
        assert results[::2] == list(range(0, 4000, 2))
        assert [str(error) for error in results[1::2]] == [f"odd: {n}" for n in range(1, 4000, 2)]

    def test_skip_leaves_failures_out(self, kind: Kind) -> None:
        assert kind.run(tasks.fail_on_odd, range(6), on_error="skip") == [0, 2, 4]
        unordered = kind.run(tasks.fail_on_odd, range(6), on_error="skip", ordered=False)
        assert sorted(unordered) == [0, 2, 4]

    def test_raise_stops_and_raises_the_failure(self, kind: Kind, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        with pytest.raises(ValueError, match="first") as caught:
            kind.run(tasks.fail_noted, [(path, n) for n in range(500)], on_error="raise")
        assert caught.value.__notes__[0].startswith("item 0 ")
        assert tasks.notes(path) == ["0"]

    def test_raise_does_not_wait_for_tasks_in_flight(self, kind: Kind, gate: str) -> None:
        kind.require(TOGETHER)
        items = [("waits", gate), ("fails", gate)]
        with pytest.raises(ValueError, match="now"):
            kind.run(tasks.wait_or_fail, items, 2, on_error="raise")
        assert not os.path.exists(gate)

    @pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
    def test_an_exit_stops_the_map(
        self, kind: Kind, tmp_path: Path, fatal: type[BaseException]
    ) -> None:
        path = str(tmp_path / "runs")
        with pytest.raises(fatal) as caught:
            kind.run(tasks.exit_noted, [(path, n, fatal.__name__) for n in range(100)])
        assert caught.value.args == (3,)
        assert tasks.notes(path) == ["0"]


class TestTimeouts:
    def test_a_hung_task_becomes_an_error_in_its_slot(
        self, kind: Kind, gate: str, tmp_path: Path
    ) -> None:
        kind.require(WATCH)
        path = str(tmp_path / "runs")
        items = [("waits" if number == 2 else "", gate, number, path) for number in range(6)]
        results = kind.run(tasks.stuck_noted, items, chunk_size=6, timeout=TIMEOUT)
        error = results.pop(2)
        assert results == [0, 1, 3, 4, 5]
        assert sorted(tasks.notes(path)) == list("012345")
        assert isinstance(error, parallel.TaskTimeoutError)
        assert isinstance(error, TimeoutError)
        assert isinstance(error, parallel.ParallelError)
        assert (error.index, error.seconds) == (2, TIMEOUT)
        assert error.item.startswith("('waits'")
        if FRAMES not in kind.cannot:
            assert "in wait_for" in error.stack
            assert "in stuck_noted" in error.stack.split("\n")[0]

    def test_any_call_is_ended(self, kind: Kind, gate: str) -> None:
        kind.require(KILL)
        kinds = ["sleeps", "loops", "swallows", "is deaf", "computes in C"]
        items = [(what, gate, number) for number, what in enumerate([*kinds, "", ""])]
        results = kind.run(tasks.stuck, items, max_workers=5, timeout=TIMEOUT)
        assert results[-2:] == [5, 6]
        for number, error in enumerate(results[:-2]):
            assert isinstance(error, parallel.TaskTimeoutError)
            assert error.index == number
            assert not error.running
            assert "The call was ended." in str(error)

    def test_the_place_of_a_hung_task_is_used_again(self, kind: Kind, gate: str) -> None:
        kind.require(WATCH)
        items = [("" if number else "swallows", gate, number) for number in range(5)]
        results = kind.run(tasks.stuck, items, timeout=TIMEOUT)
        assert type(results[0]) is parallel.TaskTimeoutError
        assert results[1:] == [1, 2, 3, 4]

    def test_a_timeout_may_be_raised_or_skipped(self, kind: Kind, gate: str) -> None:
        kind.require(WATCH)
        items = [("waits" if number == 1 else "", gate, number) for number in range(3)]
        assert kind.run(tasks.stuck, items, timeout=TIMEOUT, on_error="skip") == [0, 2]
        with pytest.raises(parallel.TaskTimeoutError, match="item 0 "):
            kind.run(tasks.stuck, items[1:2], timeout=0.1, on_error="raise")

    def test_slow_items_are_logged_with_their_stack(
        self, kind: Kind, gate: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        kind.require(LOG)

        class Opener(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                tasks.open_gate(gate)

        logger, opener = logging.getLogger("metainformant.parallel"), Opener()
        logger.addHandler(opener)
        try:
            items = [("waits" if number == 1 else "", gate, number) for number in range(3)]
            results = kind.run(tasks.stuck, items, 2, slow_after=0.1)
        finally:
            logger.removeHandler(opener)
        assert results == [0, 1, 2]
        told = [r.getMessage() for r in caplog.records if "item 1 (" in r.getMessage()]
        assert len(told) == 1
        assert "has been running for 0." in told[0]
        if FRAMES not in kind.cannot:
            assert "in wait_for" in told[0]


class TestStopping:
    def test_a_deadline_keeps_what_was_finished(self, kind: Kind, gate: str) -> None:
        kind.require(WATCH)
        items = [("waits" if number == 2 else "", gate, number) for number in range(6)]
        with pytest.raises(parallel.TaskCancelledError, match=r"deadline=0\.5 s") as caught:
            kind.run(tasks.stuck, items, chunk_size=6, deadline=0.5, on_error="raise")
        results = caught.value.results
        assert results is not None
        done = sum(type(result) is int for result in results)  # none, if the machine is that busy
        assert results[:done] == list(range(done))
        assert done <= 2
        assert [type(result) for result in results[done:]] == [parallel.TaskCancelledError] * (
            6 - done
        )
        assert [result.started for result in results[2:]] == [done == 2, False, False, False]

    def test_cancel(self, kind: Kind, gate: str) -> None:
        cancel = threading.Event()
        items = [("waits" if number == 2 else "", gate, number) for number in range(6)]

        def tell(index: int, _item: object, _result: object) -> None:
            if index == 1:
                cancel.set()

        chunk_size = 1 if PARTS in kind.cannot else None
        results = kind.run(
            tasks.stuck, items, cancel=cancel, on_complete=tell, chunk_size=chunk_size
        )
        assert results[:2] == [0, 1]
        assert [type(result) for result in results[2:]] == [parallel.TaskCancelledError] * 4
        assert "cancel was set" in str(results[2])

    def test_too_many_failures(self, kind: Kind) -> None:
        results = kind.run(tasks.fail_as, ["TimeoutError"] * 2000, 1, chunk_size=1, max_failures=3)
        types = [type(result) for result in results]
        assert types[:4] == [TimeoutError] * 4
        assert types[-1] is parallel.TaskCancelledError
        with pytest.raises(parallel.TooManyFailuresError):
            kind.run(tasks.fail_as, ["OSError"] * 50, 1, max_failures=0, on_error="raise")


class TestTryingAgain:
    def test_each_attempt_knows_which_it_is(self, kind: Kind, tmp_path: Path) -> None:
        paths = [str(tmp_path / name) for name in "abc"]
        results = kind.run(tasks.succeed_at_third, paths, retries=2, backoff=0.01)
        assert results == [3, 3, 3]
        assert [tasks.notes(path) for path in paths] == [["1", "2", "3"]] * 3

    def test_the_last_failure_tells_of_the_others(self, kind: Kind, tmp_path: Path) -> None:
        path = str(tmp_path / "runs")
        (error,) = kind.run(tasks.succeed_at_third, [path], retries=1, backoff=0)
        assert type(error) is ConnectionError
        assert "attempt 2" in error.__notes__[0]
        assert "ConnectionError: 1" in "".join(error.__notes__)
        assert tasks.notes(path) == ["1", "2"]

    def test_a_timeout_is_tried_again(self, kind: Kind, gate: str, tmp_path: Path) -> None:
        kind.require(WATCH)
        path = str(tmp_path / "runs")
        results = kind.run(
            tasks.stuck_noted, [("waits", gate, 0, path)], 1, timeout=0.2, retries=1, backoff=0
        )
        assert isinstance(results[0], parallel.TaskTimeoutError)
        assert tasks.notes(path) == ["0", "0"]

    def test_rate(self, kind: Kind) -> None:
        began = time.monotonic()
        assert kind.run(tasks.double, range(5), 2, rate=20) == [0, 2, 4, 6, 8]
        assert time.monotonic() - began >= 4 / 20


class TestTold:
    def test_tasks_know_what_they_are(self, kind: Kind) -> None:
        expected = [(index, 1, True, False) for index in range(50)]
        assert kind.run(tasks.describe_me, range(50), timeout=60) == expected
        results = kind.run(tasks.describe_me, range(50), chunk_size=50)
        assert results == [(index, 1, False, False) for index in range(50)]

    def test_workers_are_named_after_the_map(self, kind: Kind, gate: str) -> None:
        kind.require(NAMES)
        assert kind.list_map is not None
        (error,) = kind.run(tasks.stuck, [("waits", gate, 0)], timeout=0.1)
        assert error.worker == f"{kind.list_map.__name__}-1"
        options: dict[str, Any] = {"max_workers": 2, **kind.stream_options}
        names = {
            outcome.worker
            for outcome in parallel.outcomes(kind.task(tasks.same), range(9), **options)
        }
        assert names <= {"outcomes-1", "outcomes-2"}

    def test_tasks_see_the_callers_context(self, kind: Kind) -> None:
        kind.require(CONTEXT)
        token = tasks.variable.set("caller")
        try:
            assert kind.run(tasks.see_variable, [0]) == ["caller"]
        finally:
            tasks.variable.reset(token)

    def test_on_complete(self, kind: Kind) -> None:
        told: list[tuple[int, Any, Any]] = []
        kind.run(tasks.fail_on_odd, range(20), on_complete=lambda *what: told.append(what))
        assert sorted(told) == [(number, number, number) for number in range(0, 20, 2)]
        with pytest.raises(ZeroDivisionError):
            kind.run(tasks.double, range(20), on_complete=lambda *_: 1 // 0)

    def test_progress(self, kind: Kind) -> None:
        told: list[parallel.Progress] = []
        kind.run(tasks.fail_on_odd, range(20), progress=told.append)
        last = told[-1]
        assert (last.done, last.ok, last.failed, last.total) == (20, 10, 10, 20)
        assert all(a.done <= b.done for a, b in itertools.pairwise(told))


class TestPreparation:
    @pytest.fixture(autouse=True)
    def _needs_preparation(self, kind: Kind) -> None:
        kind.require(PREPARE)

    def test_the_initializer_comes_first(self, kind: Kind, tmp_path: Path) -> None:
        kind.require(TOGETHER)
        kind.require(EACH)
        items = [(number, str(tmp_path), 2) for number in range(8)]
        results = kind.run(
            tasks.what_was_prepared, items, 2, initializer=tasks.prepare, initargs=[1, "b"]
        )
        assert results == [(1, "b")] * 8

    def test_each_worker_has_a_state_that_is_closed(self, kind: Kind, tmp_path: Path) -> None:
        kind.require(TOGETHER)
        kind.require(EACH)
        path = str(tmp_path / "states")
        items = [(number, str(tmp_path), 2) for number in range(8)]
        results = kind.run(tasks.with_state, items, 2, worker_state=tasks.Opens(path))
        assert results == list(range(8))
        assert tasks.notes(path).count("opened") == 2
        assert tasks.notes(path).count("closed") == 2

    @pytest.mark.parametrize("what", ["initializer", "worker_state"])
    def test_one_that_fails_stops_the_map_at_once(self, kind: Kind, what: str) -> None:
        task: Any = tasks.double
        options: dict[str, Any] = {what: tasks.fail_to_prepare}
        if what == "worker_state":
            task, options = tasks.ignore_state, {what: tasks.Opens("", "fails")}
        message = rf"{what}.*FileNotFoundError: no index"
        with pytest.raises(parallel.ParallelError, match=message) as caught:
            kind.run(task, range(10), **options)
        assert isinstance(caught.value.__cause__, FileNotFoundError)

    def test_one_that_fails_later_loses_nothing(
        self, kind: Kind, tmp_path: Path, gate: str
    ) -> None:
        kind.require(TOGETHER)
        kind.require(EACH)
        working = str(tmp_path / "working")
        items = [(number, working, gate) for number in range(5)]
        with pytest.raises(parallel.ParallelError, match="no license") as caught:
            kind.run(
                tasks.last_is_stuck,
                items,
                2,
                chunk_size=1,
                initializer=tasks.prepare_only_one,
                initargs=[str(tmp_path / "first"), working],
            )
        results: Any = caught.value.results
        assert results[:3] == [0, 1, 2]
        assert [type(result) for result in results[3:]] == [parallel.TaskCancelledError] * 2
        assert "no license" in str(results[3])

    def test_a_state_that_cannot_be_closed_is_told(self, kind: Kind) -> None:
        message = "could not be closed: OSError: disk full"
        with pytest.raises(parallel.ParallelError, match=message) as caught:
            kind.run(tasks.ignore_state, range(3), worker_state=tasks.Opens("", "full"))
        assert caught.value.results == [0, 1, 2]

    def test_one_that_does_not_close_keeps_nobody_waiting(self, kind: Kind, gate: str) -> None:
        kind.require(WATCH)
        kind.require(LEAVE)
        cancel, cancelled = threading.Event(), []

        def watch() -> None:
            tasks.wait_for(f"{gate}-closing")
            cancelled.append(time.monotonic())
            cancel.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        state = tasks.Opens(gate, "stuck")
        results = kind.run(tasks.ignore_state, range(3), worker_state=state, cancel=cancel)
        assert results == [0, 1, 2]
        assert time.monotonic() - cancelled[0] < 30
        watcher.join()

    def test_it_hides_no_other_failure(self, kind: Kind) -> None:
        with pytest.raises(ZeroDivisionError):
            kind.run(
                tasks.ignore_state,
                range(3),
                1,
                worker_state=tasks.Opens("", "full"),
                on_complete=lambda *_: 1 // 0,
            )


class TestStreams:
    def test_imap(self, kind: Kind) -> None:
        with parallel.imap(
            kind.task(tasks.fail_on_odd), tasks.endless(), max_workers=2, **kind.stream_options
        ) as results:
            first = list(itertools.islice(results, 1000))
        assert first[::2] == list(range(0, 1000, 2))
        assert all(type(error) is ValueError for error in first[1::2])

    def test_imap_delivers_single_results(self, kind: Kind, gate: str) -> None:
        items = [("waits" if number == 3 else "", gate, number) for number in range(4)]
        options: dict[str, Any] = {"max_workers": 1, **kind.stream_options}
        if PARTS in kind.cannot:
            options["chunk_size"] = 1
        with parallel.imap(kind.task(tasks.stuck), items, **options) as results:
            assert [next(results) for _ in range(3)] == [0, 1, 2]
            tasks.open_gate(gate)
            assert list(results) == [3]

    def test_outcomes(self, kind: Kind) -> None:
        before = time.time()
        found = list(
            parallel.outcomes(
                kind.task(tasks.fail_on_odd), range(9), max_workers=2, **kind.stream_options
            )
        )
        after = time.time()
        assert [outcome.index for outcome in found] == list(range(9))
        assert [outcome.item for outcome in found] == list(range(9))
        assert [outcome.ok for outcome in found] == [n % 2 == 0 for n in range(9)]
        for outcome in found:
            assert outcome.started is not None
            assert outcome.seconds is not None
            assert before - 0.1 <= outcome.started <= after + 0.1
            assert 0 <= outcome.seconds <= after - before
            assert outcome.worker
            assert outcome.attempts == 1

    def test_outcomes_know_when_items_ran(self, kind: Kind) -> None:
        options: dict[str, Any] = {"max_workers": 1, "chunk_size": 3, **kind.stream_options}
        first, second, third = parallel.outcomes(
            kind.task(time.sleep), [0.01, 0.1, 0.01], **options
        )
        assert first.seconds is not None
        assert second.seconds is not None
        assert second.seconds >= 0.1
        assert first.started is not None
        assert second.started is not None
        assert third.started is not None
        assert first.started <= second.started <= third.started - 0.09

    def test_aimap(self, kind: Kind) -> None:
        async def collect() -> list[Any]:
            stream = parallel.aimap(
                kind.task(tasks.double), range(20), max_workers=2, **kind.stream_options
            )
            return [result async for result in stream]

        assert asyncio.run(collect()) == [2 * number for number in range(20)]

    def test_a_timeout_in_a_stream(self, kind: Kind, gate: str) -> None:
        kind.require(WATCH)
        items = [("waits" if number == 1 else "", gate, number) for number in range(4)]
        stream = parallel.imap(
            kind.task(tasks.stuck), items, max_workers=1, timeout=TIMEOUT, **kind.stream_options
        )
        results = list(stream)
        assert isinstance(results[1], parallel.TaskTimeoutError)
        assert [results[0], *results[2:]] == [0, 2, 3]


def test_maps_nest(kind: Kind) -> None:
    assert kind.run(tasks.nested, [3, 2], on_error="raise") == [8, 4]
    assert kind.run(tasks.stream_inside, [10, 20], on_error="raise") == [90, 380]


def test_a_refusal_ends_no_map(kind: Kind) -> None:
    """Workers stop at a failure that ends the map; one that means 'slow down' is none."""
    items = [(n, n % 3 == 0) for n in range(9)]
    assert kind.run(tasks.refused_once, items, backoff=0, on_error="raise") == list(range(9))
