"""Maps that are killed at any moment and started again until they end.

CHECKPOINT_KILLS=1000 tries so many kills of each kind of map.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from metainformant.core.parallel import Checkpoint

from . import tasks

IN_ORDER = ("threads", "processes", "stream")
COUNT = 2000
CHUNK = 10
WORKERS = 2
# What may be waiting for the disk when a kill comes, in items: what is run during a few commits.
WAITING = 500

RUN = """
import faulthandler, json, sys
from functools import partial
from pathlib import Path
from metainformant.core import parallel
from tests.checkpoint.tasks import noted_and_slow

faulthandler.dump_traceback_later(60, exit=True)
kind, path, log = sys.argv[1:]
func = partial(noted_and_slow, Path(log))
options = {"checkpoint": path, "chunk_size": 10, "max_workers": 2}

def say(text):
    sys.stdout.write(f"{text}\\n")
    sys.stdout.flush()

def told(index, item, result):
    say(item)

if kind == "threads":
    results = parallel.thread_map(func, range(2000), on_complete=told, **options)
elif kind == "unordered":
    results = parallel.thread_map_unordered(func, range(2000), on_complete=told, **options)
elif kind == "processes":
    results = parallel.process_map(func, range(2000), on_complete=told, **options)
else:
    results = []
    ordered = kind == "stream"
    for result in parallel.imap(func, range(2000), ordered=ordered, **options):
        results.append(result)
        say(result // 3)
say(f"results {json.dumps(results)}")
"""
KILLS = int(os.environ.get("CHECKPOINT_KILLS", "4"))


@pytest.mark.skipif(os.name == "nt", reason="there are no signals")
@pytest.mark.parametrize("kind", ["threads", "unordered", "processes", "stream", "any order"])
def test_it_returns_what_an_undisturbed_run_does(kind: str, tmp_path: Path) -> None:
    path, log = tmp_path / "run.db", tmp_path / "log"
    moments = random.Random(kind)
    runs = [0] * COUNT
    delivered: set[int] = set()
    kills = rounds = 0
    while True:
        with tasks.start_python(RUN, kind, str(path), str(log)) as process:
            assert process.stdout is not None
            told = process.stdout.readline()  # the map is under way
            is_killed = kills < KILLS
            if is_killed:
                # The moment is what is tried; nothing waits for it.
                time.sleep(moments.uniform(0, 0.15))
                process.send_signal(signal.SIGKILL)
            # Not `communicate`, which does not know what readline() has read ahead.
            told += process.stdout.read()
        kills += is_killed
        rounds += 1
        for item in tasks.noted_items(log):
            assert item not in delivered, "it ran again though its outcome was delivered before"
            runs[item] += 1
        complete = told[: told.rfind("\n") + 1].splitlines()
        assert all(complete), told
        delivered.update(int(line) for line in complete if not line.startswith("results"))
        assert is_killed or process.returncode == 0
        if process.returncode == 0:
            results = json.loads(complete[-1].removeprefix("results "))
            wanted = [3 * item for item in range(COUNT)]
            assert (results if kind in IN_ORDER else sorted(results)) == wanted
            if kills >= KILLS:
                break
            for old in tmp_path.iterdir():  # it was faster than its killer
                old.unlink()
            assert sum(runs) <= COUNT + rounds * (2 * WORKERS * CHUNK + WAITING)
            runs, delivered, rounds = [0] * COUNT, set(), 0
    assert sum(runs) <= COUNT + rounds * (2 * WORKERS * CHUNK + WAITING)
    assert min(runs) == 1
    (status,) = Checkpoint(path).status().runs
    assert (status.ok, status.failed, status.killed) == (COUNT, 0, 0)
    assert status.name.startswith(f"{tasks.__name__}.noted_and_slow")
    plan = Checkpoint(path).plan(partial(tasks.noted_and_slow, log), range(COUNT))
    assert plan.finished == COUNT
