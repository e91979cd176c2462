"""Docstrings that explain every option of a function, most of them in the words of another one.

What maps have in common is written once, below `Args:` of `thread_map`, and added to the docstrings
of those that take it, below `Options:`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    # The lines of an option, by the names that they explain.
    Entries = dict[tuple[str, ...], list[str]]

# What was found in docstrings that others refer to, by function. Reading one twice does no harm.
_found: dict[Callable[..., Any], Entries] = {}


def add_options(
    function: Callable[..., Any], names: set[str], sources: Iterable[Callable[..., Any]]
) -> None:
    """Add to a docstring the options that it does not explain, as the first source explains each.

    Where docstrings are left out (`python -OO`), nothing is added.
    """
    text = function.__doc__
    if text is None:
        return
    known = {name for together in _explained(text) for name in together}
    added: list[str] = []
    for source in sources:
        if source not in _found:
            _found[source] = _explained(source.__doc__ or "")
        for together, lines in _found[source].items():
            if not known.issuperset(together) and not names.isdisjoint(together):
                added += lines
                known.update(together)
    if added:
        function.__doc__ = _with_section(text, added)


def _explained(text: str) -> Entries:
    """Return what is below `Args:`, without its indentation."""
    section = text.partition("Args:\n")[2].partition("\n\n")[0]
    lines = section.split("\n")
    indent = _indentation(lines[0])
    inner = lines[0][:indent] + " "
    entries: Entries = {}
    entry: list[str] = []
    for line in lines:
        if not line.startswith(inner):
            entry = entries[tuple(line.partition(":")[0].strip().split(", "))] = []
        entry.append(line[indent:])
    return entries


def _with_section(text: str, options: list[str]) -> str:
    """Return a docstring with a section of options, after its arguments or in their place."""
    lines = text.rstrip().split("\n")
    # CPython 3.13 and later have taken the indentation away.
    indent = " " * min((_indentation(line) for line in lines[1:] if line.strip()), default=0)
    has_arguments = f"{indent}Args:" in lines
    if has_arguments:
        end = [*lines, ""].index("", lines.index(f"{indent}Args:"))
    elif f"{indent}Raises:" in lines:
        end = lines.index(f"{indent}Raises:") - 1  # the empty line before it
    else:
        end = len(lines)
    section = ["", f"{indent}{'Options' if has_arguments else 'Args'}:"]
    section += [f"{indent}    {line}" for line in options]
    return "\n".join([*lines[:end], *section, *lines[end:], indent])


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
