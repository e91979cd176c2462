"""The help of `metainformant map`, with its options in groups."""

from __future__ import annotations

import click

# By the names of parameters, in the order in which they are shown.
GROUPS: dict[str, tuple[str, ...]] = {
    "What is called": ("command", "backend", "cluster", "workers", "chunk_size", "batch_size"),
    "Input": ("format_", "paired", "quoting", "buffer"),
    "Output": ("outputs", "output_format", "keep", "drop_none", "unordered"),
    "Limits and failures": (
        "timeout",
        "deadline",
        "rate",
        "retries",
        "backoff",
        "max_failures",
        "on_error",
        "with_traceback",
    ),
    "Runs that are killed": ("checkpoint", "on_change", "keep_failures", "dry_run"),
    "Messages": ("progress", "report", "trace", "live", "quiet"),
}


class GroupedCommand(click.Command):
    """A command that shows its options in these groups, and the others at the end."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = {
            parameter.name: record
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option)
            and (record := parameter.get_help_record(ctx)) is not None
        }
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([records.pop(name) for name in names if name in records])
        if records:
            with formatter.section("Other options"):
                formatter.write_dl(list(records.values()))
