"""The help: every option in a group, and no line too long."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

from metainformant.cli.app import map_command
from metainformant.cli.grouped_help import GROUPS


def test_every_option_is_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    options = {param.name for param in map_command.params if param.param_type_name == "option"}
    assert sorted(grouped) == sorted(options)


def test_help_fits_a_hundred_columns(run: Callable[..., Result]) -> None:
    text = run("--help").stdout
    assert max(map(len, text.splitlines())) <= 100
    for title in GROUPS:
        assert f"\n{title}:\n" in text
    assert "-h, --help" in text.split("Other options:")[1]
