"""The pages of the reference say what the code says."""

from __future__ import annotations

import re

import pytest

from metainformant.core import parallel
from tests.support import ROOT
from tools import reference

REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", reference.PAGES)
def test_pages_are_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == reference.PAGES[name](), (
        "run: make reference"
    )


def test_all_that_is_public_is_shown_once() -> None:
    text = (REFERENCE / "api.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\.\. auto\w+:: (\w+)", text, re.MULTILINE)
    assert sorted(shown) == sorted(parallel.__all__)


def test_every_error_has_a_cure() -> None:
    text = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    errors = {name for name in parallel.__all__ if name.endswith(("Error", "Warning"))}
    assert errors <= set(re.findall(r"^## `(\w+)`$", text, re.MULTILINE))
