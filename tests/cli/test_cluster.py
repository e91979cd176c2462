"""Runs in the workers of a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from metainformant.cli import cluster
from metainformant.cli.interrupt_handler import INTERRUPTED
from tests.support import wait_until

Run = Callable[..., Result]
Start = Callable[..., subprocess.Popen[str]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cluster", "tcp://host:1"], "--cluster goes with --backend dask or --backend ray"),
        (["--backend", "dask"], "--backend dask needs --cluster WHERE: tcp://HOST:8786"),
        (["--backend", "ray"], "--backend ray needs --cluster WHERE: auto"),
        (["--backend", "dask", "--cluster", "host"], "--cluster 'host': --backend dask needs"),
        (["--backend", "dask", "--cluster", "local:0"], "--cluster 'local:0': --backend dask"),
        (["--backend", "ray", "--cluster", "tcp://h:1"], "--cluster 'tcp://h:1': --backend ray"),
        (["--backend", "dask", "--cluster", "none.json"], "there is no file 'none.json'"),
    ],
)
def test_what_does_not_fit(run: Run, options: list[str], message: str) -> None:
    result = run("functions:same", *options, input="a\n")
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_command_of_the_shell_runs_here(run: Run) -> None:
    result = run("--command", "ls", "--backend", "dask", "--cluster", "local", input="a\n")
    assert result.exit_code == 2
    assert "leave --backend dask out" in result.stderr


def test_nobody_answers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="not there for all builds")
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.3)
    options = ("--backend", "dask", "--cluster", "tcp://127.0.0.1:9")
    result = run("functions:same", *options, input="a\n")
    assert result.exit_code == 2
    assert "no dask cluster answers there" in result.stderr


def _check(process: subprocess.Popen[str]) -> None:
    output, errors = process.communicate("good\nbad\nprinted\n", timeout=100)
    assert process.returncode == 1, errors
    rows = output.splitlines()
    assert len(rows) == 3
    assert '"GOOD"' in rows[0]
    assert '"ValueError"' in rows[1]
    assert "Traceback" not in errors


def test_dask(start: Start) -> None:
    pytest.importorskip("distributed", reason="not there for all builds")
    _check(start("functions.py:picky", "--backend", "dask", "--cluster", "local:1"))


def test_ctrl_c_is_left_to_this_process(start: Start, workplace: Path) -> None:
    pytest.importorskip("distributed", reason="not there for all builds")
    options = ("--backend", "dask", "--cluster", "local:1", "--chunk-size", "1")
    process = start("functions.py:late", *options, start_new_session=True)
    assert process.stdin is not None
    process.stdin.write("late\n" + "more\n" * 9)
    process.stdin.flush()
    wait_until((workplace / "ready").exists)
    os.killpg(process.pid, signal.SIGINT)
    (workplace / "go").touch()
    output, errors = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert '"value": "late"' in output.splitlines()[0]
    assert "failed" not in errors


@pytest.mark.ray
def test_ray(start: Start) -> None:
    pytest.importorskip("ray", reason="not there for all builds")
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    arguments = ("functions:picky", "--backend", "ray", "--cluster", "local:1")
    _check(start(*arguments, env=environment))
