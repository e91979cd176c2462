"""Large constants are in memory once, however many workers have them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metainformant.core import parallel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SIZE = 3_000_000  # bytes: out of band, and not the size of anything else


def meet(folder: Path, item: int) -> None:
    """Return when two workers are here."""
    (folder / str(item)).touch()
    limit = time.monotonic() + 30
    while len(list(folder.iterdir())) < 2 and time.monotonic() < limit:
        time.sleep(0.001)


def files_in_memory() -> list[str]:
    """Return the inodes of the shared memory of this process that is as large as the constant."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, _, _, _, inode, *name = line.split()
        start, end = (int(address, 16) for address in place.split("-"))
        if name[:1] == ["/memfd:metainformant"] and SIZE <= end - start < SIZE + 100_000:
            found.append(inode)
    return found


def change(item: int, *, constant: Any, folder: Path) -> tuple[list[str], int, int]:
    before = int(constant[0])
    constant[0] = 1 + item
    meet(folder, item)
    return files_in_memory(), before, int(constant[0])


def put(constant: Any) -> None:
    global kept
    kept = constant


kept: Any = None


def change_kept(item: int, *, folder: Path) -> tuple[list[str], int, int]:
    return change(item, constant=kept, folder=folder)


@pytest.mark.parametrize("start_method", [None, "spawn"])
def test_kwargs_are_one_file_and_changes_stay_with_the_worker(
    start_method: Any, tmp_path: Path
) -> None:
    constant = np.zeros(SIZE, np.uint8)
    results = parallel.process_map(
        change,
        range(2),
        2,
        chunk_size=1,
        kwargs={"constant": constant, "folder": tmp_path},
        start_method=start_method,
        on_error="raise",
    )
    (first, *_), (second, *_) = results
    assert len(first) == 1
    assert first == second
    assert [rest for _, *rest in results] == [[0, 1], [0, 2]]
    assert constant[0] == 0


def test_so_are_the_arguments_of_an_initializer(tmp_path: Path) -> None:
    constant = np.zeros(SIZE, np.uint8)
    results = parallel.process_map(
        change_kept,
        range(2),
        2,
        chunk_size=1,
        kwargs={"folder": tmp_path},
        initializer=put,
        initargs=(constant,),
        on_error="raise",
    )
    assert results[0][0] == results[1][0]
    assert len(results[0][0]) == 1
    assert [rest for _, *rest in results] == [[0, 1], [0, 2]]


def test_the_next_map_of_a_pool_leaves_no_file_behind() -> None:
    def open_files() -> list[str]:
        links = (file for file in Path("/proc/self/fd").iterdir() if file.is_symlink())
        return [name for link in links if "memfd:metainformant" in (name := str(link.readlink()))]

    with parallel.Pool("process", 1) as pool:
        pool.map(abs, [1])
        before = open_files()
        for _ in range(3):
            assert pool.map(first_of, [1], kwargs={"constant": np.ones(SIZE, np.uint8)}) == [1]
        assert open_files() == before


def first_of(_item: int, *, constant: Any) -> int:
    return int(constant[0])
