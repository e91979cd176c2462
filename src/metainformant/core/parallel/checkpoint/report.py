"""What is in a checkpoint, for those who ask: read only, also while a run writes it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from . import codec
from .config import Checkpoint
from .failures import Failure, decode_failures
from .fingerprint import fingerprint
from .finished import Finished
from .identity import run_name
from .in_flight import MAX_KILLS
from .keys import Key, marks
from .lock import Owner, read_owner
from .occurrences import all_keys
from .opening import real_path
from .pieces import Row
from .reading import Head, Reader, RunRow


class RunStatus(NamedTuple):
    """What is known of one run.

    Attributes:
        name: the function's qualified name, or the name that was given.
        version: see `Checkpoint`.
        ok: how many items have a value.
        failed: how many have failed, as last recorded.
        killed: how many are not started any more, since they were in flight at too many kills.
        codes: how many outcomes there are by fingerprint of the code.
        sessions: how many processes have worked on it.
        interrupted: how many of these did not end in order.
    """

    name: str
    version: str | None
    ok: int
    failed: int
    killed: int
    codes: dict[str, int]
    sessions: int
    interrupted: int


class Status(NamedTuple):
    """What is in a checkpoint.

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
    """What a map would do.

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


class Entry(NamedTuple):
    """One recorded outcome.

    Attributes:
        run: the name of the run.
        version: its version.
        item: the item as text, shortened.
        value: what the function returned; None if it failed, or is not loaded.
        pickled: whether there is a value that is not loaded, since it is a pickle.
        failure: the failure, as text; None if it succeeded.
        attempts: how many attempts there were.
        started: when the last one was started, in seconds since the epoch; None if not kept.
        seconds: how long it took; None if not kept.
        worker: name of the worker that ran it.
        recorded: when it was recorded, in seconds since the epoch.
    """

    run: str
    version: str | None
    item: str
    value: Any
    pickled: bool
    failure: Failure | None
    attempts: int
    started: float | None
    seconds: float | None
    worker: str
    recorded: float


def status(checkpoint: Checkpoint) -> Status:
    path = real_path(checkpoint.path)
    with Reader(path) as reader:
        runs = [
            _run_status(reader, run) for run in reader.runs(checkpoint.name, checkpoint.version)
        ]
    owner, running = read_owner(path)
    size = sum(os.stat(each).st_size for each in (path, f"{path}-wal") if os.path.exists(each))
    return Status(path, size, runs, owner, running)


def _run_status(reader: Reader, run: RunRow) -> RunStatus:
    last = _last_outcomes(reader, run.id)
    heads = {head.id: head for head in reader.heads(run.id)}
    failed = sum(len(codec.positions(heads[piece].failed_at) & at) for piece, at in last.items())
    codes: Counter[str] = Counter()
    for piece, at in last.items():
        codes[heads[piece].fingerprint] += len(at)
    sessions = reader.sessions(run.id)
    killed = sum(kills >= MAX_KILLS for kills in reader.suspects(run.id).values())
    ok = sum(map(len, last.values())) - failed
    interrupted = sum(session.ended is None for session in sessions)
    return RunStatus(
        run.name, run.version, ok, failed, killed, dict(codes), len(sessions), interrupted
    )


def plan(checkpoint: Checkpoint, func: Callable[..., Any], items: Iterable[Any]) -> Plan:
    keys, _ = all_keys(marks(list(items), checkpoint.key))
    path = real_path(checkpoint.path)
    if not os.path.exists(path):
        return Plan(0, 0, 0, len(keys), 0, 0)
    with Reader(path) as reader:
        name = run_name(func) if checkpoint.name is None else checkpoint.name
        runs = [run for run in reader.runs(name) if run.version == checkpoint.version]
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


def outcomes(checkpoint: Checkpoint, *, allow_pickle: bool) -> Iterator[Entry]:
    with Reader(checkpoint.path) as reader:
        for run in reader.runs(checkpoint.name, checkpoint.version):
            for piece, positions in sorted(_last_outcomes(reader, run.id).items()):
                yield from _entries(run, reader.read(piece), positions, allow_pickle)


def _last_outcomes(reader: Reader, run: int) -> dict[int, set[int]]:
    """The positions in each piece that no later piece has an outcome for."""
    last: dict[Key, int] = {}
    heads: list[Head] = []
    for head in reader.heads(run):
        heads.append(head)
        last.update(dict.fromkeys(codec.decode_keys(head.keys), head.id))
    places = {
        head.id: {at for at, key in enumerate(codec.decode_keys(head.keys)) if last[key] == head.id}
        for head in heads
    }
    return {piece: at for piece, at in places.items() if at}


def _entries(run: RunRow, row: Row, positions: set[int], allow_pickle: bool) -> Iterator[Entry]:
    load = codec.unpickle if allow_pickle else codec.leave_pickled
    values = codec.decode_results(row.results, load)
    failures = decode_failures(row.failures)
    times = codec.decode_times(row.times)
    items = codec.decode_items(row.items, row.keys)
    for at in sorted(positions):
        failure = failures.get(at)
        pickled = values[at] is codec.MISSING
        started = seconds = None
        if times:
            started, seconds = times[at], times[at + 1] - times[at]
        yield Entry(
            run.name,
            run.version,
            items[at],
            None if pickled or failure else values[at],
            pickled,
            failure,
            row.attempts,
            started,
            seconds,
            row.worker,
            row.recorded,
        )
