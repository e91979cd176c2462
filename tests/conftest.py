"""Fixtures that several folders share."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.support", "tests.backends.processes.support")


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What hung tasks wait for; set at the end, so that their threads end too."""
    event = threading.Event()
    yield event
    event.set()
