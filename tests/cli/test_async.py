"""Async functions, which the command awaits."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.support import wait_until

MODULE = """
import asyncio, pathlib

together = asyncio.Event()
running = 0

async def upper(text):
    await asyncio.sleep(0)
    if text == "bad":
        raise ValueError("it is bad")
    return text.upper()

async def meet(text):
    global running
    running += 1
    if running == 50:
        together.set()
    await together.wait()
    return text

async def hang(text):
    if text == "stuck":
        pathlib.Path("hangs").touch()
        await asyncio.Event().wait()
    return text

async def uppers(batch):
    await asyncio.sleep(0)
    return [text.upper() for text in batch]

async def drop(batch):
    return batch[1:]
"""


@pytest.fixture(autouse=True)
def _module(workplace: Path) -> None:
    (workplace / "services.py").write_text(MODULE)


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_they_are_awaited_by_themselves(run: Callable[..., Result]) -> None:
    for options in ([], ["--backend", "asyncio"], ["-j", "1"]):
        result = run("services.py:upper", *options, input="a\nbad\nc\n")
        assert rows(result) == [
            {"index": 0, "name": "-:1", "value": "A"},
            {"index": 1, "name": "-:2", "error": "ValueError", "message": "it is bad"},
            {"index": 2, "name": "-:3", "value": "C"},
        ]
        assert result.exit_code == 1


def test_many_at_a_time(run: Callable[..., Result]) -> None:
    result = run("services.py:meet", input="".join(f"{number}\n" for number in range(50)))
    assert [row["value"] for row in rows(result)] == [str(number) for number in range(50)]


def test_batches(run: Callable[..., Result]) -> None:
    result = run("services.py:uppers", "--batch-size", "2", input="a\nb\nc\n")
    assert [row["value"] for row in rows(result)] == ["A", "B", "C"]
    result = run("services.py:drop", "--batch-size", "2", input="a\nb\n")
    assert "it must return one per record" in rows(result)[0]["message"]


def test_timeouts_and_checkpoints(run: Callable[..., Result]) -> None:
    options = ["--timeout", "0.2", "--checkpoint", "run.db"]
    result = run("services.py:hang", *options, input="a\nstuck\nc\n")
    assert [row.get("error") for row in rows(result)] == [None, "TaskTimeoutError", None]
    again = run("services.py:hang", *options, input="a\nstuck\nc\n")
    assert rows(again) == rows(result)
    assert "2 from the checkpoint" in again.stderr


def test_what_does_not_go_together(run: Callable[..., Result]) -> None:
    result = run("services.py:upper", "--backend", "process", input="a\n")
    assert "is an async function, which --backend process can't await" in result.stderr
    result = run("functions:same", "--backend", "asyncio", input="a\n")
    assert "is not an async function" in result.stderr
    result = run("--command", "true {}", "--backend", "asyncio", input="a\n")
    assert "leave --backend asyncio out" in result.stderr


def test_ctrl_c_leaves_what_was_finished(start: Callable[..., Any], workplace: Path) -> None:
    process = start("services.py:hang", "-j", "1")
    process.stdin.write("a\nstuck\nc\n")
    process.stdin.flush()
    wait_until((workplace / "hangs").exists)
    process.send_signal(signal.SIGINT)
    wait_until(lambda: process.poll() is not None)
    assert process.returncode == 130
    assert json.loads(process.stdout.readline())["value"] == "a"
