"""Amounts over time: sums are kept however often buckets are merged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.report.timeline import Timeline

SPANS = st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e3), st.floats(0, 1e3)), max_size=40)


@given(SPANS)
def test_sums_are_kept(spans: list[tuple[float, float, float]]) -> None:
    line = Timeline()
    for start, length, amount in spans:
        line.add("a", start, start + length, amount)
    end = max((start + length for start, length, _ in spans), default=0.0)
    values = line.sums("a", end)
    assert len(values) <= 240
    assert sum(values) == pytest.approx(sum(amount for _, _, amount in spans), abs=1e-6)
    assert min(values) >= -1e-9


@given(SPANS)
def test_no_bucket_has_more_than_its_width_of_a_worker_that_is_always_busy(
    spans: list[tuple[float, float, float]],
) -> None:
    line, now = Timeline(), 0.0
    for _, length, _ in spans:
        line.add("busy", now, now + length, length)
        now += length
    assert max(line.sums("busy", now)) <= line.width * (1 + 1e-6)


def test_an_amount_is_where_it_belongs() -> None:
    line = Timeline()
    line.add("a", 0.0, 10.0, 0.0)  # so wide are buckets now
    line.add("a", 5.0, 6.0, 8.0)
    values = line.sums("a", 10.0)
    before, after = int(5.0 / line.width), int(6.0 / line.width)
    assert sum(values[before : after + 1]) == pytest.approx(8.0)
    assert not any(values[:before])
    assert not any(values[after + 1 :])


def test_peaks_are_the_largest_values() -> None:
    line = Timeline()
    line.peak("memory", 0.001, 5.0)
    line.peak("memory", 0.0011, 3.0)
    line.peak("memory", 100.0, 4.0)
    values = line.peaks("memory", 100.0)
    assert max(values) == values[0] == 5.0
    assert values[-1] == 4.0
    assert line.peaks("nothing", 100.0) == [0.0] * len(values)
