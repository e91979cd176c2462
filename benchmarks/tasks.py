"""The functions that are mapped. Worker processes import them from here."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "examples" / "data"


def same(item: Any) -> Any:
    return item


_BLOB = bytes(range(250)) * 400


def blob(item: int) -> bytes:
    """Return 100 kB."""
    return _BLOB


def nap(item: Any) -> Any:
    time.sleep(0.001)
    return item


def size_of(array: Any) -> int:
    size: int = array.nbytes
    return size


def array_of(number: int) -> Any:
    """An array of 8 MiB."""
    import numpy

    return numpy.full(2**20, float(number))


def nap_longer(item: Any) -> Any:
    time.sleep(0.005)
    return item


def nap_20(item: Any) -> Any:
    time.sleep(0.02)
    return item


def ended_at(item: int) -> float:
    """When it ended, after 20 ms, by the clock that all processes of a machine share."""
    time.sleep(0.02)
    return time.monotonic()


def note_start(path: str) -> None:
    """Add to a file when this was started, and take 5 ms."""
    file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(file, f"{time.monotonic()}\n".encode())
    os.close(file)
    time.sleep(0.005)


def spin(seconds: float) -> None:
    """Occupy the interpreter for so long."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def look_at(image: bytes) -> int:
    """Take 10 ms for what is large."""
    time.sleep(0.01)
    return len(image)


def positive(item: int) -> int:
    """Fail for the items that are meant to fail."""
    if item < 0:
        raise ValueError(item)
    return item


def compute(item: int) -> int:
    """Pure Python arithmetic, about 3 ms of it."""
    return sum(number * number % 7 for number in range(item, item + 30_000))


def deadly(item: int) -> int:
    """Every tenth item ends its worker, as the system does when memory runs out."""
    if item % 10 == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def hang(item: float) -> None:
    time.sleep(item)


def total(array: Any) -> float:
    return float(array.sum())


def shifted(array: Any) -> Any:
    return array + 1


def kmers(sequence: str, size: int = 6) -> dict[str, int]:
    """How often each word of that size occurs."""
    return Counter(sequence[start : start + size] for start in range(len(sequence) - size + 1))


def sequences() -> list[str]:
    """94 orchid genes, and the genome of phage lambda in pieces of 1,000 bases."""
    (genome,) = _fasta(DATA / "lambda_virus.fa")
    pieces = [genome[start : start + 1000] for start in range(0, len(genome), 1000)]
    return [*_fasta(DATA / "ls_orchid.fasta"), *pieces]


def _fasta(path: Path) -> Iterator[str]:
    for record in path.read_text().split(">")[1:]:
        yield record.partition("\n")[2].replace("\n", "")
