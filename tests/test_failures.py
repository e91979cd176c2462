"""Failures told apart from results."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from metainformant.core import parallel


def test_values_and_failures_are_parted() -> None:
    results = parallel.thread_map(int, ["1", "two", "3", ""])
    values, failures = parallel.split(results)
    assert values == [1, 3]
    assert [failure.index for failure in failures] == [1, 3]
    assert failures[0].error is results[1]
    assert all(isinstance(failure, parallel.Failure) for failure in failures)


def test_where_nothing_failed_there_are_no_failures() -> None:
    values, failures = parallel.split(iter([1, None, "a"]))
    assert values == [1, None, "a"]
    assert not failures
    assert failures.summary() == "0 failures"


def test_the_summary_has_the_largest_group_first_with_an_example() -> None:
    _, failures = parallel.split(parallel.thread_map(int, ["a", "b", "b", "b"]))
    assert failures.summary().splitlines() == [
        "4 failures",
        "   3 x ValueError: invalid literal for int() with base 10: 'b'",
        "       item 1 ('b'), attempt 1",
        "   1 x ValueError: invalid literal for int() with base 10: 'a'",
        "       item 0 ('a'), attempt 1",
    ]


def test_many_kinds_of_failures_are_counted() -> None:
    _, failures = parallel.split(ValueError(number) for number in range(25))
    lines = failures.summary().splitlines()
    assert len(lines) == 1 + 20 + 1
    assert lines[-1] == "   5 x others, of 5 kinds"


def test_the_example_names_the_item_whatever_else_is_noted() -> None:
    def fail(item: str) -> None:
        error = ValueError("bad")
        error.add_note("a hint of the function")
        raise error

    _, failures = parallel.split(parallel.thread_map(fail, ["a"]))
    assert failures.summary().splitlines()[2:] == ["       item 0 ('a'), attempt 1"]
    _, failures = parallel.split([failures[0].error, ValueError("no note")])
    assert "a hint" not in failures.summary()


def test_errors_of_the_package_are_grouped_whatever_their_items_are() -> None:
    results = [
        *(parallel.TaskTimeoutError(n, f"'chr{n}'", 2.0, f"thread_map-{n}") for n in range(30)),
        *(parallel.TaskCancelledError(n, f"it's {n}", "cancel was set", False) for n in (30, 31)),
        *(parallel.WorkerDiedError(n, "x", f"p-{n}", n, "was killed by SIGKILL") for n in (32, 33)),
        parallel.WorkerDiedError(34, "x", "p-34", 34, "exited with status 1"),
    ]
    summary = parallel.split(results)[1].summary()
    assert summary.splitlines() == [
        "35 failures",
        "  30 x TaskTimeoutError: an item ran longer than timeout=2 s. The call was ended.",
        "       item 0 ('chr0')",
        "   2 x TaskCancelledError: an item had not started when the map was stopped: "
        "cancel was set.",
        "       item 30 (it's 30)",
        "   2 x WorkerDiedError: an item was lost: its worker 'p-32' (pid 32) was killed by "
        "SIGKILL. No other item is affected. Pass retries=1 to run it again.",
        "       item 32 (x)",
        "   1 x WorkerDiedError: item 34 (x) was lost: its worker 'p-34' (pid 34) exited with "
        "status 1. No other item is affected. Pass retries=1 to run it again.",
    ]


def test_the_summary_of_long_texts_is_short_and_indented() -> None:
    _, failures = parallel.split([ValueError("first line\nsecond line\n"), ValueError("x" * 5000)])
    lines = failures.summary().splitlines()
    assert lines[1:3] == ["   1 x ValueError: first line", "       second line"]
    assert lines[3] == f"   1 x ValueError: {'x' * 988}... (5,012 characters)"
    assert len(lines) == 4


def test_failures_can_be_pickled() -> None:
    _, failures = parallel.split([ValueError("bad")])
    copy = pickle.loads(pickle.dumps(failures))
    assert type(copy) is parallel.Failures
    assert (copy[0].index, copy[0].error.args) == (0, ("bad",))


@pytest.mark.parametrize("wrong", [None, 7])
def test_what_is_no_iterable_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match=f"split: results={wrong} can't be iterated; pass what a"):
        parallel.split(wrong)  # type: ignore[arg-type]


def test_records_of_outcomes_are_refused_before_the_second_is_made() -> None:
    with parallel.outcomes(int, ["one", *map(str, range(10))]) as records:
        with pytest.raises(TypeError, match=r"records of outcomes.*look at outcome\.ok"):
            parallel.split(records)
        assert next(records).index == 1


@pytest.mark.parametrize("name", ["map", "starmap", "Parallel"])
def test_names_that_people_try_are_answered_with_the_right_ones(name: str) -> None:
    with pytest.raises(AttributeError, match=r"has no attribute '\w+'; use thread_map"):
        getattr(parallel, name)


def test_star_imports_bring_all_public_names() -> None:
    code = "from metainformant.core.parallel import *; print(thread_map(len, ['ATG']), cpu_count)"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.startswith("[3] <function cpu_count")
