"""Fixtures that several folders share."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite("tests.support", "tests.backends.processes.support")

# How long an example takes says how busy the machine is. CI gets the same examples each time; runs
# by hand go on looking for new ones.
settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.register_profile("quick", settings.get_profile("house"), max_examples=25)
settings.register_profile("brief", settings.get_profile("house"), max_examples=10)
settings.load_profile("house")


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What hung tasks wait for; set at the end, so that their threads end too."""
    event = threading.Event()
    yield event
    event.set()
