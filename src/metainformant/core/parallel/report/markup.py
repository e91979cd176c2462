"""HTML and SVG that is escaped by construction: text becomes markup only through `tag`."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


# What nothing has to be done for: most of what is written, so this decides what a page costs.
_is_plain = re.compile(r"[ !#-%(-;=?-~]*").fullmatch
# Control characters, halves of surrogate pairs, and what is no character.
_UNPRINTABLE = frozenset({"Cc", "Cs", "Cn"})
# Elements that have no content and no end.
_VOID = frozenset({"meta", "br", "rect", "line", "circle", "path"})


class Markup(str):
    """Text that is markup already. Only this module makes it, and whoever has constant text."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return an element. What is not `Markup` is escaped; None is left out.

    An underscore at the end of an attribute's name is dropped, others become hyphens.

    >>> tag("b", "1 < 2", class_="x")
    '<b class="x">1 &lt; 2</b>'
    """
    head = "".join(
        [
            f' {_attribute(key)}="{_escaped(value)}"'
            for key, value in attributes.items()
            if value is not None
        ]
    )
    if name in _VOID and not children:
        return Markup(f"<{name}{head}{'/' if name not in ('meta', 'br') else ''}>")
    return Markup(f"<{name}{head}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """Return the children one after the other, escaped unless they are markup."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, (list, tuple)):
            parts.append(join(child))
        else:
            parts.append(_escaped(child))
    return Markup("".join(parts))


@cache  # there are a dozen of them
def _attribute(key: str) -> str:
    return key.removesuffix("_").replace("_", "-")


def _escaped(value: object) -> str:
    text = str(value)
    return text if _is_plain(text) else html.escape(_printable(text))


def _printable(text: str) -> str:
    """Replace what no document may have: control characters and halves of surrogate pairs."""
    if text.isprintable():
        return text
    return "".join(
        "\ufffd" if unicodedata.category(char) in _UNPRINTABLE and char not in "\n\t" else char
        for char in text
    )
