"""Shared memory that can't be mapped."""

from __future__ import annotations

from typing import Any

import pytest

from metainformant.core.parallel.backends.ipc.shared_memory import Segment, mapped
from metainformant.core.parallel.backends.isolated.result_buffer import SIZE


def test_large_results_are_copied_where_they_cannot_be_mapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise OSError("Too many open files")

    segment = Segment(SIZE)
    monkeypatch.setattr("metainformant.core.parallel.backends.ipc.shared_memory.mmap.mmap", fail)
    copy = mapped(segment.fd, SIZE)
    segment.close()
    assert (type(copy), len(copy)) == (bytearray, SIZE)
