"""What is done around every test of this folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_interpreter_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Wait for interpreters that were left behind: beside any, a process can't safely be forked."""
    kind = request.getfixturevalue("kind").name if "kind" in request.fixturenames else ""
    before = set(threading.enumerate())
    yield
    if kind == "interpreters":
        for thread in threading.enumerate():
            if thread not in before:
                thread.join(20)
