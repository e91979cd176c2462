"""What is done around every test of worker processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends.processes.support import Child

if sys.platform == "win32":  # they send signals
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def begin(code: str, *arguments: str, **options: Any) -> Child:
        directory = tmp_path / str(len(children))
        directory.mkdir()
        children.append(Child(directory, code, *arguments, **options))
        return children[-1]

    yield begin
    for child in children:
        with child.process:  # closes its pipes too
            child.process.kill()


@pytest.fixture(autouse=True)
def no_shared_memory_is_left() -> Iterator[None]:
    before = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    yield
    if before or os.path.isdir("/dev/shm"):
        after = set(os.listdir("/dev/shm"))
        assert not [name for name in after - before if "metainformant" in name]
