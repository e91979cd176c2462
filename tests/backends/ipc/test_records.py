"""Records in a pipe whose other side is stopped in the middle of one."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Pipe

import pytest

from metainformant.core.parallel.backends.ipc.poller import Poller
from metainformant.core.parallel.backends.ipc.records import RecordReader, RecordWriter

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="messages come whole, and sending them may wait"
)

# More than any pipe has room for.
LONG = bytes(range(256)) * 20_000


class Pair:
    """Both ends of a pipe, of which none waits."""

    def __init__(self) -> None:
        self._ends = Pipe(duplex=False)
        reader, self.end = self._ends
        self.reader = RecordReader(reader, waits=False)
        self.writer = RecordWriter(self.end, waits=False)

    def close(self) -> None:
        for end in self._ends:
            end.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def test_no_end_waits_for_the_rest_of_a_record(pair: Pair) -> None:
    assert pair.reader.read() is None
    pair.writer.write(b"short")
    assert (pair.reader.read(), pair.reader.read()) == (b"short", None)
    pair.writer.write(LONG)
    pair.writer.write(b"behind it")
    rounds = 0
    records: list[bytes | bytearray] = []
    while len(records) < 2:
        record = pair.reader.read()
        if record is not None:
            records.append(record)
        elif pair.writer.has_rest:
            rounds += 1
            pair.writer.write_rest()
    assert records == [LONG, b"behind it"]
    assert rounds > 2
    assert not pair.writer.has_rest
    assert pair.reader.read() is None


def test_the_length_of_a_record_may_come_in_parts_too(pair: Pair) -> None:
    wholly = (5).to_bytes(8, sys.byteorder) + b"parts"
    for byte in wholly[:-1]:
        os.write(pair.end.fileno(), bytes([byte]))
        assert pair.reader.read() is None
    os.write(pair.end.fileno(), wholly[-1:])
    assert pair.reader.read() == b"parts"


def test_who_reads_half_a_record_learns_that_the_other_side_is_gone(pair: Pair) -> None:
    pair.writer.write(LONG)
    assert pair.reader.read() is None
    pair.end.close()
    with pytest.raises(EOFError):
        pair.reader.read()


def test_nothing_is_left_to_write_when_the_other_side_is_gone(pair: Pair) -> None:
    pair.writer.write(LONG)
    assert pair.writer.has_rest
    pair._ends[0].close()
    with pytest.raises(BrokenPipeError):
        pair.writer.write_rest()
    assert not pair.writer.has_rest


def test_a_poller_tells_when_there_is_room(pair: Pair) -> None:
    pair.writer.write(LONG)
    poller = Poller()
    poller.add_writer(pair.end, "owner")
    assert poller.wait(0) == []
    while pair.reader.read() is None and not poller.wait(0):
        pass
    assert poller.wait(0) == [(pair.end, "owner")]
    poller.remove(pair.end)
    assert poller.wait(0) == []


def test_an_end_that_waits_reads_a_record_of_any_length() -> None:
    reader, writer = Pipe(duplex=False)
    with reader, writer:
        thread = threading.Thread(target=RecordWriter(writer, waits=True).write, args=(LONG,))
        thread.start()
        assert RecordReader(reader, waits=True).read() == LONG
        thread.join(10)
