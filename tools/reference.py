"""Write the pages of the reference that follow from the code; `make reference` runs it.

`tests/test_reference.py` fails if a page is not what this would write.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import click  # noqa: E402

from metainformant.cli.app import cli  # noqa: E402
from metainformant.core.parallel.options import NO_DEFAULT, OPTIONS  # noqa: E402
from tests import test_options  # noqa: E402

MADE = "*This page is made from the code by `make reference`; a test fails if it is out of date.*"
# Parameters of every map.
_IN_ALL = {"self", "func", "items"}


def options_table() -> str:
    """Return the page that says which function takes which option."""
    options = {name: test_options._taken_by(name) for name in test_options.MAPS}
    options["Pool(...)"] = set(test_options.OF_WORKERS)
    own = {name: set[str]() for name in options}
    for signature in test_options.SIGNATURES:
        own[signature.name] |= signature.parameters - set(OPTIONS) - _IN_ALL
    own["Pool(...)"] = {"backend", "max_workers"}
    lines = [
        "# All options, all functions",
        "",
        MADE,
        "",
        "[Options](../options.md) explains each. A pool takes what belongs to its workers when it",
        "is made, and the rest in each of its methods.",
        "",
        *_table(options, OPTIONS, {name: f" = {_default(name)}" for name in OPTIONS}),
        "",
        "## Parameters that are no options of all maps",
        "",
        *_table(own, sorted(set().union(*own.values())), {}),
    ]
    return "\n".join(lines) + "\n"


def _table(
    taken: Mapping[str, set[str]], rows: Iterable[str], defaults: Mapping[str, str]
) -> Iterator[str]:
    """Yield a table with a column for all functions that take the same."""
    together = defaultdict(list)
    for function in sorted(taken, key=_order):
        together[frozenset(taken[function])].append(f"`{function}`")
    heads = (" ".join(functions) for functions in together.values())
    yield "| | " + " | ".join(heads) + " |"
    yield "| --- |" + " :-: |" * len(together)
    for name in rows:
        cells = ("yes" if name in names else "" for names in together)
        yield f"| `{name}`{defaults.get(name, '')} | " + " | ".join(cells) + " |"


def _order(function: str) -> tuple[bool, int, str]:
    kinds = ["thread", "process", "interpreter", "cluster", "async", "parallel", "imap"]
    place = next((place for place, kind in enumerate(kinds) if function.startswith(kind)), 99)
    return function.startswith("Pool"), place, function


def _default(name: str) -> str:
    default = OPTIONS[name].default
    if default is NO_DEFAULT:
        return "nothing"
    if callable(default):
        return "a function"
    return "`Exception`" if default == (Exception,) else f"`{default!r}`"


def command_help() -> str:
    """Return the page with what `--help` of each command shows."""
    lines = [
        "# The help of the command",
        "",
        MADE,
        "",
        "[The command line](../command-line.md) explains more.",
    ]
    for name, text in _helps(cli, "metainformant"):
        lines += ["", f"## `{name}`", "", "```text", *text.splitlines(), "```"]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _helps(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    context = click.Context(command, parent, info_name=name, **command.context_settings)
    context.terminal_width = 90
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            yield from _helps(subcommand, str(subcommand.name), context)


PAGES = {"options-table.md": options_table, "command-help.md": command_help}
FOLDER = ROOT / "docs" / "reference"


def main() -> None:
    """Write all pages."""
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
