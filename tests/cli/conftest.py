"""Functions to map, and two ways to run the command: in this process, and in one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("click", reason="the command needs the extra cli")

from click.testing import CliRunner, Result

from metainformant.cli.app import cli

FUNCTIONS = '''
import dataclasses, pathlib, sys, threading

def same(value): return value
def number(text): return int(text)
def picky(text):
    if text == "bad": raise ValueError("it is\\nbad")
    return text.upper()
def hang(text):
    if text == "hang":
        pathlib.Path("ready").touch()
        threading.Event().wait()
    return text
def late(text):
    """The first Ctrl-C comes while this one is running; it then ends by itself."""
    if text == "late":
        pathlib.Path("ready").touch()
        while not pathlib.Path("go").exists():
            threading.Event().wait(0.01)
    return hang(text)
def first_last(record): return [record.name, record.sequence]
def qualities(record): return record.qualities
def upper(batch): return [text.upper() for text in batch]
def sizes(batch): return [len(batch)] * len(batch)
def drop(batch): return batch[1:]
def no_list(batch): return 3
def fail(batch): raise ValueError("no luck")
def printing(text): print("hello from", text); return text
def leave(text): sys.exit(7)
def leave_content(text): sys.exit(0)
def press(text): raise KeyboardInterrupt
def pair(text): return {"name": text, "twice": text * 2}
def mixed(text): return {text: 1}
def flaky(text):
    from metainformant.core.parallel import current_task
    attempt = current_task().attempt
    if attempt < 3: raise OSError(f"attempt {attempt}")
    return f"{text}, attempt {attempt}"
def refused(text):
    from metainformant.core.parallel import current_task
    if current_task().attempt == 1:
        error = OSError("slow down")
        error.status = 429
        raise error
    return text
def overloaded(text):
    pathlib.Path("ready").touch()
    raise OSError("busy")
def ready(text): pathlib.Path("ready").touch()
def child_reads(text):
    import subprocess
    read = "import sys; print(len(sys.stdin.read()))"
    return subprocess.run([sys.executable, "-c", read], capture_output=True, text=True).stdout
def ask(text): return input()
def die(text):
    import os
    if text == "die": os._exit(4)
    return text
constant = 3
'''


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory with functions.py.

    Imports from there are forgotten again, and descriptors that the command took are given back.
    """
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    taken = [(number, os.dup(number)) for number in (0, 1)]
    yield tmp_path
    for number, descriptor in taken:
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        origin = getattr(sys.modules[name], "__file__", None) or ""
        if origin.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def run() -> Callable[..., Result]:
    """`metainformant map ...` in this process."""

    def call(*arguments: str, input: str | bytes | None = None) -> Result:  # noqa: A002
        result = CliRunner().invoke(cli, ["map", *arguments], input=input)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`metainformant map ...` in a process of its own, which Ctrl-C reaches."""
    started: list[subprocess.Popen[str]] = []

    def call(
        *arguments: str, close: Sequence[int] = (), ignore: Sequence[str] = (), **options: Any
    ) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        options = {"stdin": pipe, "stdout": pipe, "stderr": pipe, "text": True, **options}

        def prepare() -> None:
            # Tests that were started in the background, or by nohup, ignore them.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for name in ignore:
                signal.signal(getattr(signal, name), signal.SIG_IGN)
            for number in close:
                os.close(number)

        process = subprocess.Popen(
            [sys.executable, "-m", "metainformant", "map", *arguments],
            preexec_fn=prepare if os.name == "posix" else None,
            **options,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
