"""What is in a checkpoint, for those who ask: read only, also while a run writes it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, NamedTuple

from . import codec
from .config import Checkpoint
from .fingerprint import fingerprint
from .finished import Finished
from .identity import run_name
from .in_flight import MAX_KILLS
from .keys import Key, Mark, marks
from .lock import Owner, read_owner
from .occurrences import all_keys
from .opening import real_path
from .reading import Reader, RunRow

# Items of a plan that are in memory at once.
_SLICE = 4096


class RunStatus(NamedTuple):
    """The state of one run.

    Attributes:
        name: the function's qualified name, or the name that was given.
        version: see `Checkpoint`.
        ok: how many items have a value.
        failed: how many have failed, as last recorded.
        killed: how many are not started any more, since they were in flight at too many kills.
        codes: how many outcomes there are by fingerprint of the code.
        sessions: how many processes have worked on it.
        interrupted: how many of these did not end in order.
        earlier: how many outcomes were recorded with other code than that of the last session.
        writing: whether a process works on it now.
    """

    name: str
    version: str | None
    ok: int
    failed: int
    killed: int
    codes: dict[str, int]
    sessions: int
    interrupted: int
    earlier: int
    writing: bool


class Status(NamedTuple):
    """The contents of a checkpoint.

    Attributes:
        path: the file.
        size: its size in bytes.
        runs: the runs that it holds.
        owner: the process that writes it, or was killed while it did.
        running: whether that process still does.
    """

    path: str
    size: int
    runs: list[RunStatus]
    owner: Owner | None
    running: bool


class Plan(NamedTuple):
    """The work that a map would do.

    Attributes:
        finished: items whose recorded outcome is used.
        retried: items whose recorded outcome is a failure, and which run again.
        killed: items that are not started, since they were in flight at too many kills.
        new: items without an outcome.
        earlier: outcomes in the file that were recorded with other code.
        gone: outcomes in the file whose items are not in the input.
    """

    finished: int
    retried: int
    killed: int
    new: int
    earlier: int
    gone: int


def status(checkpoint: Checkpoint) -> Status:
    path = real_path(checkpoint.path)
    owner, running = read_owner(path)
    with Reader(path) as reader:
        chosen = reader.choose(checkpoint.name, checkpoint.version)
        runs = [_run_status(reader, run, owner if running else None) for run in chosen]
    size = sum(os.stat(each).st_size for each in (path, f"{path}-wal") if os.path.exists(each))
    return Status(path, size, runs, owner, running)


def _run_status(reader: Reader, run: RunRow, writer: Owner | None) -> RunStatus:
    last: dict[Key, int] = {}
    failed: set[Key] = set()
    origins: dict[int, tuple[str, str]] = {}  # of each piece: the code, and the version of Python
    for head in reader.heads(run.id):
        origins[head.id] = (head.fingerprint, head.python)
        keys = codec.decode_keys(head.keys)
        last.update(dict.fromkeys(keys, head.id))
        failed.difference_update(keys)
        failed.update(keys[at] for at in codec.positions(head.failed_at))
    recorded = Counter(last.values())
    codes: Counter[str] = Counter()
    for piece, count in recorded.items():
        codes[origins[piece][0]] += count
    sessions = reader.sessions(run.id)
    earlier = 0
    if sessions:
        code, python = sessions[-1].fingerprint, sessions[-1].python
        earlier = sum(
            count
            for piece, count in recorded.items()
            if origins[piece][1] == python and origins[piece][0] != code
        )
    # The writer's session is the last one of the file that has not ended.
    unended = [session for session in sessions if session.ended is None]
    writing = writer is not None and any(
        (session.host, session.pid) == writer[:2] and session.started >= writer.started
        for session in unended[-1:]
    )
    kills = reader.suspects(run.id)
    given_up = {codec.key_of(text) for text, count in kills.items() if count >= MAX_KILLS}
    return RunStatus(
        run.name,
        run.version,
        len(last) - len(failed),
        len(failed),
        len([key for key in given_up if key not in last or key in failed]),
        dict(codes),
        len(sessions),
        len(unended) - writing,
        earlier,
        writing,
    )


def plan(checkpoint: Checkpoint, func: Callable[..., Any], items: Iterable[Any]) -> Plan:
    keys, _ = all_keys(_marks(items, checkpoint.key))
    path = real_path(checkpoint.path)
    if not os.path.exists(path):
        return Plan(0, 0, 0, len(keys), 0, 0)
    with Reader(path) as reader:
        name = run_name(func) if checkpoint.name is None else checkpoint.name
        wanted_run = name, checkpoint.version
        runs = [run for run in reader.runs() if (run.name, run.version) == wanted_run]
        if not runs:
            return Plan(0, 0, 0, len(keys), 0, 0)
        finished = Finished(
            reader,
            runs[0].id,
            fingerprint(func),
            keep_failures=checkpoint.keeps_failures,
            keep_earlier=checkpoint.on_change != "rerun",
        )
        kills = reader.suspects(runs[0].id)
    wanted = set(keys)
    given_up = {codec.key_of(text) for text, count in kills.items() if count >= MAX_KILLS}
    killed = {key for key in given_up & wanted if key not in finished}
    done = sum(key in finished for key in keys)
    retried = sum(key in finished.failed and key not in finished for key in wanted - killed)
    new = len(keys) - done - retried - len(killed)
    gone = len(finished) - done
    return Plan(done, retried, len(killed), new, finished.earlier, gone)


def _marks(items: Iterable[Any], key: Callable[[Any], Any] | None) -> list[Mark]:
    """Return the marks of all items, of which no more than a slice is in memory."""
    found: list[Mark] = []
    rest = iter(items)
    while part := list(islice(rest, _SLICE)):
        found += marks(part, key)
    return found
