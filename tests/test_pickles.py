"""What was pickled by an earlier version can be read."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from metainformant.core import parallel

# By name and protocol. They were made when public classes named private modules as their homes,
# by a process in which the call of "still running" did.
OLD: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parent / "old_pickles.json").read_text()
)
TIMED_OUT = {"index": 41, "item": "'chr7'", "seconds": 30.0, "worker": "thread_map-3"}
CANCELLED = {"index": 5, "item": "'x'", "reason": "cancel was set"}
EXPECTED: dict[str, tuple[type, dict[str, object]]] = {
    "base": (parallel.ParallelError, {}),
    "timed out": (parallel.TaskTimeoutError, {**TIMED_OUT, "running": False}),
    "still running": (parallel.TaskTimeoutError, {**TIMED_OUT, "running": True}),
    "cancelled": (parallel.TaskCancelledError, {**CANCELLED, "started": True, "waiting": False}),
    "waiting": (parallel.TaskCancelledError, {**CANCELLED, "started": False, "waiting": True}),
    "died": (
        parallel.WorkerDiedError,
        {
            "index": 2,
            "item": "'chr8'",
            "worker": "process_map-1",
            "pid": 4321,
            "fate": "was killed by SIGSEGV",
        },
    ),
    "too many": (parallel.TooManyFailuresError, {"failures": 3, "finished": 20, "limit": 0.1}),
    "outcome": (parallel.Outcome, {"index": 0, "item": "ATG", "attempts": 2, "worker": "imap-1"}),
    "progress": (parallel.Progress, {"done": 1, "total": None, "elapsed": 0.5}),
}


def read_all(name: str) -> list[Any]:
    pickles = OLD[name].values()
    assert len(pickles) == 3
    assert b"parallel.errors" in base64.b64decode(OLD["base"]["5"])
    return [pickle.loads(base64.b64decode(text)) for text in pickles]


@pytest.mark.parametrize("name", OLD)
def test_old_pickles_are_read_with_all_fields(name: str) -> None:
    kind, fields = EXPECTED[name]
    for thing in read_all(name):
        assert type(thing) is kind
        assert {field: getattr(thing, field) for field in fields} == fields
        if isinstance(thing, BaseException):
            assert thing.__notes__ == ["a note"]


def test_old_pickles_keep_stacks_and_results() -> None:
    for error in read_all("timed out"):
        assert 'File "genome.py", line 7, in align' in error.stack
    for error in read_all("base"):
        assert (error.results[0], type(error.results[1])) == (1, ValueError)
    for error in read_all("too many"):
        assert [type(result) for result in error.results] == [int, parallel.TaskCancelledError]
    for outcome in read_all("outcome"):
        assert isinstance(outcome.error, parallel.TaskTimeoutError)


@pytest.mark.parametrize("name", OLD)
def test_new_pickles_name_no_private_module(name: str) -> None:
    made = pickle.dumps(read_all(name)[0])
    # Except for the function that says whether the call of a TaskTimeoutError still runs.
    private = b"TaskTimeoutError" in made
    assert made.count(f"{parallel.__name__}.".encode()) == private
