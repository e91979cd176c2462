"""How items are named in messages: short, and never failing."""

from __future__ import annotations

from typing import Any

import pytest

from metainformant.core.parallel.describe import describe
from metainformant.core.parallel.engine.policies.retries import _in_short


class Shy:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class ShyError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (7, "7"),
        (True, "True"),
        ("GATTACA", "'GATTACA'"),
        (b"\x00" * 50, repr(b"\x00" * 40) + "... (50 bytes)"),
        (Shy(), "<Shy instance at"),
        ([1, [2, [3, [4]]]], "[1, [2, [3, [...]]]]"),
    ],
)
def test_items(item: object, text: str) -> None:
    assert describe(item).startswith(text)


def test_large_items_are_short() -> None:
    items: list[Any] = [10**400, -(10**5000), "x" * 1000, bytearray(1000), [0] * 1000]
    assert [item for item in items if len(describe(item)) > 200] == []


def test_errors_that_cannot_be_shown_are_named_too() -> None:
    assert _in_short(ShyError()) == "ShyError: ?"
    assert _in_short(ValueError()) == "ValueError"
    assert len(_in_short(ValueError("x" * 1000))) < 120
