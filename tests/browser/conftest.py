"""The browser that the tests of this folder share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.browser.webdriver import CHROMIUM, DRIVER, Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a browser; where none is installed the test is skipped, unless it must be there."""
    if (CHROMIUM is None or DRIVER is None) and "NEEDS_BROWSER" not in os.environ:
        pytest.skip("needs chromium and its driver: sh tools/install_programs.sh")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    try:
        yield opened
    finally:
        opened.close()
