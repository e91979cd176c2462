"""A map that is killed in the middle, twice, and goes on where it was: `make demo-resume`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from metainformant.core import parallel

ITEMS = 60


def slow_square(number: int) -> int:
    time.sleep(0.05)
    return number * number


def run(path: str) -> None:
    """Run the map, and say of each item when its outcome is in the file."""

    def tell(index: int, item: int, square: int) -> None:
        print(item, flush=True)

    squares = parallel.thread_map(slow_square, range(ITEMS), 4, checkpoint=path, on_complete=tell)
    if squares != [number * number for number in range(ITEMS)]:
        raise SystemExit("these are not the results of an undisturbed run")


def start(path: Path, kill_at: int) -> set[int]:
    """Start the map in a process of its own, and kill that when so many items are finished."""
    command = [sys.executable, __file__, str(path)]
    finished: set[int] = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        for line in process.stdout or ():
            finished.add(int(line))
            if len(finished) == kill_at < ITEMS:
                process.kill()
    return finished


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "squares.ckpt"
        before: set[int] = set()
        for kill_at in (20, 40, ITEMS):
            finished = start(path, kill_at)
            if not finished >= before:
                raise SystemExit("an outcome that was delivered is missing")
            fate = "killed" if kill_at < ITEMS else "ended"
            earlier = f"{len(before)} of them by earlier runs"
            print(f"{fate:6} with {len(finished)} of {ITEMS} items finished, {earlier}")
            before = finished


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(sys.argv[1])
    else:
        main()
