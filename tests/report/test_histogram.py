"""The histogram of durations: nothing is lost, and percentiles are right to a bin."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.report.histogram import Histogram

DURATIONS = st.lists(st.floats(0, 1e7), max_size=200)


@given(DURATIONS, st.floats(1, 100))
def test_every_duration_counts_and_percentiles_are_right_to_a_bin(
    durations: list[float], percent: float
) -> None:
    histogram = Histogram()
    histogram.add_sorted(sorted(durations))
    assert histogram.count == len(durations) == sum(count for _, _, count in histogram.bins())
    if not durations:
        assert histogram.percentile(percent) == 0
        return
    exact = sorted(durations)[math.ceil(len(durations) * percent / 100 - 1e-9) - 1]
    found = histogram.percentile(percent)
    assert exact * (1 - 1e-9) <= found <= max(exact * 1.13, 1.2e-7)
    assert (histogram.shortest, histogram.longest) == (min(durations), max(durations))
    assert histogram.total == pytest.approx(math.fsum(durations))


@given(DURATIONS)
def test_one_by_one_is_the_same_as_together(durations: list[float]) -> None:
    together, single = Histogram(), Histogram()
    together.add_sorted(sorted(durations))
    for seconds in durations:
        single.add(seconds)
    assert together.bins() == single.bins()
    assert (together.count, together.longest) == (single.count, single.longest)


@given(st.floats(1e-9, 1e9))
def test_a_duration_is_in_a_bin_that_holds_it(seconds: float) -> None:
    histogram = Histogram()
    histogram.add(seconds, 3)
    ((low, high, count),) = histogram.bins()
    assert count == 3
    assert low <= seconds
    assert seconds < high or high > 1e6  # the last bin has no end
