"""Quantities in words, for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a duration with three digits and a unit.

    >>> duration(3.2e-6), duration(0.0123), duration(98.7), duration(7384)
    ('3.2 us', '12.3 ms', '98.7 s', '2:03:04 h')
    """
    if seconds == 0:
        return "0 s"
    for below, unit, factor in ((1e-6, "ns", 1e9), (1e-3, "us", 1e6), (1.0, "ms", 1e3)):
        if seconds < below * 0.9995:
            return f"{seconds * factor:.3g} {unit}"
    if seconds < 119.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def counted(count: int, noun: str) -> str:
    """Return a number with a noun, which gets an `s` if there are more or fewer than one.

    >>> counted(1, "worker"), counted(8, "worker")
    ('1 worker', '8 workers')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """Return a number of bytes with a unit.

    >>> size(512), size(1023 << 10), size(3 << 20)
    ('512 B', '1,023 KiB', '3 MiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{number(count)} {unit}"
        count /= 1024
    return f"{number(count)} TiB"


def number(value: float) -> str:
    """Return a number with three digits, or as a whole one.

    >>> number(0.01234), number(98.76), number(2617.2)
    ('0.0123', '98.8', '2,617')
    """
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"
