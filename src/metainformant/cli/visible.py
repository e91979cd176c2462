"""Text that does nothing to the terminal in which it is read."""

from __future__ import annotations


def visible(text: str, keep: str = "") -> str:
    """Return text whose control characters are escapes, except those to `keep`.

    So it stays on one line. It is for what people read: names and messages come from anywhere.

    >>> print(visible("bad" + chr(10) + chr(27) + "[2J"))
    bad\\n\\x1b[2J
    """  # noqa: D301
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in text
    )
