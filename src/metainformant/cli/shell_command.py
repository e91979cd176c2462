"""A command of the shell in place of a function: `metainformant map --command`.

The shell gets what is in a record as positional parameters ("$1", "$2", ...), and never reads it as
a part of the command. So no file name and no cell can be taken for code, whatever it holds.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property

import click

from metainformant.core import parallel

from .process_groups import ProcessGroups
from .record import Record
from .values import to_json

# {} and its like, a column, and doubled braces that stand for a brace.
_PLACEHOLDER = re.compile(r"\{\{(?P<text>[^{}]*)\}\}|(?<!\$)\{(?P<field>|\.|/|//|/\.|[\w-]+)\}")


@dataclass(frozen=True)
class CommandResult:
    """The status and the output of a command that has ended."""

    status: int
    stdout: str
    stderr: str


class CommandError(subprocess.CalledProcessError):
    """A command whose status is not 0."""

    @property
    def partial_value(self) -> CommandResult:
        """The cells of the row beside the message."""
        return CommandResult(self.returncode, self.stdout, self.stderr)


@dataclass(frozen=True)
class ShellCommand:
    """A function of a record that runs a command of the shell.

    Args:
        template: the command, with placeholders: {} for the record, {name} for a column, or for
            the record's name if there is no such column, and of a path {.} without its suffix, {/}
            its last part, {/.} that without the suffix, {//} its folder. Doubled braces are
            braces. Without a placeholder the record comes last.
        timeout: the seconds after which the map gives a command up; None for never.

    Attributes:
        groups: the process groups of the commands that are running.
    """

    template: str
    timeout: float | None = field(default=None, repr=False, compare=False)
    groups: ProcessGroups = field(default_factory=ProcessGroups, repr=False, compare=False)

    @cached_property
    def _compiled(self) -> tuple[str, list[str]]:
        script, fields = compile_template(self.template)
        return (script, fields) if fields else compile_template(f"{self.template} {{}}")

    def __call__(self, record: Record) -> CommandResult:
        script, fields = self._compiled
        command = ["/bin/sh", "-c", script, "sh", *(_filled(field, record) for field in fields)]
        # In a group of its own: Ctrl-C in the terminal is for us, who give calls their grace.
        with subprocess.Popen(  # noqa: S603  # a shell is what was asked for
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            bufsize=0,
            close_fds=False,  # none of Python's is inherited; looking for others takes time
        ) as process:
            written = self.groups.output_of(process, self.timeout, _is_given_up)
        stdout, stderr = map(_text, written)
        if process.returncode:
            raise CommandError(process.returncode, self.template, stdout, stderr)
        return CommandResult(process.returncode, stdout, stderr)


def shell_command(template: str, timeout: float | None) -> ShellCommand:
    """Return what runs a command; `timeout` is that of the map.

    Raises:
        click.UsageError: if there is nothing to run, or no shell.
    """
    if not template.strip():
        raise click.UsageError("--command is empty; say what to run, for example 'wc -l {}'")
    if os.name != "posix":
        raise click.UsageError("--command needs a POSIX shell, which this platform has not")
    return ShellCommand(template, timeout)


def compile_template(template: str) -> tuple[str, list[str]]:
    """Return a script for the shell, and the fields that are its parameters, from "$1" on.

    A placeholder may stand in quotes of either kind, and in `$(...)`.
    """
    script: list[str] = []
    fields: list[str] = []
    quote, outer = "", list[str]()  # the quote that is open, and those around `$(` or `(`
    at = 0
    while at < len(template):
        found = _PLACEHOLDER.match(template, at)
        if found is not None:
            at = found.end()
            if found["field"] is None:
                script.append(f"{{{found['text']}}}")
                continue
            if found["field"] not in fields:
                fields.append(found["field"])
            parameter = f"${{{fields.index(found['field']) + 1}}}"
            quoted = f'"{parameter}"'
            script.append({"": quoted, '"': parameter, "'": f"'{quoted}'"}[quote])
            continue
        part = template[at]
        if quote != "'" and (part == "\\" or template.startswith("$(", at)):
            part = template[at : at + 2]
        if part in ("$(", "(") and (quote != '"' or part == "$("):
            if quote != "'":
                outer.append(quote)
                quote = ""
        elif part == ")" and not quote and outer:
            quote = outer.pop()
        elif part in ("'", '"') and quote in ("", part):
            quote = "" if quote else part
        script.append(part)
        at += len(part)
    return "".join(script), fields


def _filled(field: str, record: Record) -> str:
    """Return what a placeholder stands for."""
    value = record.value
    if field in ("", ".", "/", "//", "/."):
        return _of_path(field, value if isinstance(value, str) else _whole(record))
    found = value.get(field) if isinstance(value, dict) else getattr(value, field, None)
    if found is None or callable(found):
        if field != "name":
            columns = ", ".join(map(str, value)) if isinstance(value, dict) else ""
            has = f"; its columns are {columns}" if columns else ""
            raise LookupError(
                f"the record has no column {field!r}{has}. For braces of the shell or of another "
                f"program write {{{{{field}}}}}"
            )
        return record.name
    return found if isinstance(found, str) else to_json(found)


def _whole(record: Record) -> str:
    """Return a record that is no text as one: a sequence by its id, anything else as JSON."""
    return record.name if hasattr(record.value, "sequence") else to_json(record.value)


def _of_path(field: str, path: str) -> str:
    match field:
        case ".":
            return os.path.splitext(path)[0]
        case "/":
            return os.path.basename(path)
        case "/.":
            return os.path.splitext(os.path.basename(path))[0]
        case "//":
            return os.path.dirname(path) or "."
    return path


def _is_given_up() -> bool:
    """Return whether nobody waits for the command any more that this thread runs."""
    task = parallel.current_task()
    return task is not None and task.cancelled()


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
