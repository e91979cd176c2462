"""What the tests of this folder run."""

from __future__ import annotations


def double(number: int) -> int:
    return 2 * number


def fail_on_odd(number: int) -> int:
    if number % 2:
        raise ValueError(f"odd: {number}")
    return number
