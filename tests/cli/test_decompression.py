from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
from collections.abc import Callable
from typing import Any

import pytest

from metainformant.cli.decompression import (
    CutOffError,
    NotCompressedError,
    TrailingDataError,
    decompressed,
)
from metainformant.cli.record import BrokenInputError
from metainformant.cli.text import Text

Compress = Callable[[bytes], bytes]
DATA = b"".join(b"%d\n" % (number**3) for number in range(100_000))


def zstd(data: bytes) -> bytes:
    module: Any
    if sys.version_info >= (3, 14):
        from compression import zstd as module
    else:
        from backports import zstd as module
    packed: bytes = module.compress(data)
    return packed


kinds = pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd])


def reading(data: bytes, step: int | None = None) -> Callable[[int], bytes]:
    file = io.BytesIO(data)
    return lambda size: file.read(step or size)


@kinds
@pytest.mark.parametrize("step", [None, 1, 7])
def test_streams_one_behind_the_other(compress: Compress, step: int | None) -> None:
    packed = compress(b"first\n") + compress(b"second\n")
    assert b"".join(decompressed(reading(packed, step), may_be_plain=False)) == b"first\nsecond\n"


@kinds
def test_a_small_file_may_hold_much(compress: Compress) -> None:
    packed = compress(bytes(30_000_000))
    sizes = [len(block) for block in decompressed(reading(packed), may_be_plain=True)]
    assert sum(sizes) == 30_000_000
    assert max(sizes) <= 2**20


@kinds
def test_all_before_the_end_is_delivered(compress: Compress) -> None:
    packed = compress(DATA)
    for data, error, least in (
        (packed[:-1], CutOffError, len(DATA) - 1000 if compress is gzip.compress else 0),
        (packed[: len(packed) // 2], CutOffError, 0),
        (packed + b"else", TrailingDataError, len(DATA)),
    ):
        blocks: list[bytes] = []
        with pytest.raises(error):
            blocks.extend(decompressed(reading(data), may_be_plain=True))
        found = b"".join(blocks)
        assert DATA.startswith(found)
        assert len(found) >= least


def test_zeros_behind_gzip_data_are_padding() -> None:
    packed = gzip.compress(b"a\n") + bytes(1000) + gzip.compress(b"b\n") + bytes(1000)
    assert b"".join(decompressed(reading(packed), may_be_plain=False)) == b"a\nb\n"


@pytest.mark.parametrize("data", [b"", b"B", b"BZ", b"\x1f", b"plain", b"\x28\xb5", DATA])
def test_what_is_not_compressed_passes(data: bytes) -> None:
    assert b"".join(decompressed(reading(data, 1), may_be_plain=True)) == data
    if data:
        with pytest.raises(NotCompressedError):
            list(decompressed(reading(data), may_be_plain=False))


def test_nothing_is_awaited_that_need_not_be() -> None:
    blocks = iter([b"x\n"])  # and a further read would raise StopIteration
    assert next(decompressed(lambda _: next(blocks), may_be_plain=True)) == b"x\n"


def test_text_may_be_cut_anywhere() -> None:
    data = "\ufeffä\r\n\nü\n€".encode()
    for size in range(1, len(data) + 1):
        blocks = [data[start : start + size] for start in range(0, len(data), size)]
        text = Text(blocks, "x")
        assert list(text) == ["ä\r", "", "ü", "€"]
        assert text.line == 4


def test_text_names_the_line_and_keeps_those_before() -> None:
    text = Text([b"a\nb\n\xff\nc\n"], "x")
    found: list[str] = []
    with pytest.raises(BrokenInputError, match="x: line 3: byte 0xff is not UTF-8"):
        found.extend(text)
    assert found == ["a", "b"]
    assert text.undecodable == b"\xff"


def test_text_tells_how_much_was_consumed() -> None:
    text = Text([b"aaaa\n" * 10, b"aaaa\n" * 10], "x")
    lines = iter(text)
    for _ in range(5):
        next(lines)
    assert text.bytes_read == 50
    assert text.bytes_consumed == pytest.approx(25, abs=1)
    assert len(list(lines)) == 15
    assert text.bytes_consumed == pytest.approx(100, abs=2)
