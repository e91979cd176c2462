"""What is sent to workers of Dask and back, without a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metainformant.core.parallel.backends.ipc.out_of_band import BufferedPickle

if not TYPE_CHECKING:
    pytest.importorskip("distributed", reason="not there for builds without the GIL")
from distributed.protocol.serialize import serialize

from metainformant.core.parallel.backends.clusters.dask_host import sendable


def test_large_arrays_are_not_copied_on_their_way() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(2**17)
    report = BufferedPickle.of(array)
    _, frames = serialize(sendable([report]).data)
    assert any(numpy.shares_memory(numpy.frombuffer(frame, "u1"), array) for frame in frames)
    assert isinstance(sendable([BufferedPickle.of(1)]), bytes)  # a frame costs more than a copy
