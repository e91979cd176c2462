"""How far workers may run ahead: enough to have work, and little enough to lose."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.backends.clusters import messages
from metainformant.core.parallel.backends.clusters.messages import pack_items, unpack_items
from metainformant.core.parallel.backends.clusters.permits import Permits, report_interval

SECONDS = st.floats(1e-7, 100)


def test_an_item_whose_length_is_unknown_goes_alone() -> None:
    assert Permits(0.03).ahead() == 1


@given(SECONDS, st.integers(1, 10**6))
def test_what_may_be_lost_is_an_item_or_three_reports_of_work(seconds: float, count: int) -> None:
    permits = Permits(0.03)
    permits.reported(count, seconds * count)
    ahead = permits.ahead()
    assert ahead >= 1
    assert ahead == 1 or ahead * seconds <= 0.09 * 1.001


def test_after_a_slow_item_little_is_permitted() -> None:
    permits = Permits(0.03)
    permits.reported(1000, 0.001)
    assert permits.ahead() > 1000
    permits.reported(1, 5.0)
    assert permits.ahead() < 30
    permits.reported(1, 5.0)
    assert permits.ahead() < 10


@given(st.integers(1, 1000), st.integers(1, 10_000))
def test_all_processes_together_report_so_often_at_most(processes: int, seats: int) -> None:
    interval = report_interval(processes, seats)
    assert interval >= 0.03
    assert processes / interval <= 1 / 0.006 * 1.001


def test_a_message_has_no_more_items_than_fit() -> None:
    large = [bytes([number]) * 3 * 2**20 for number in range(5)]
    cases: list[tuple[list[Any], int]] = [
        (large, 1),
        (list(map(bytearray, large)), 2),
        (list(range(1000)), 1000),
    ]
    for items, expected in cases:
        packed, count = pack_items(items, 4 * 2**20)
        assert count == expected
        assert len(unpack_items(packed)) == count


def test_what_does_not_fit_into_a_message_is_not_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a map of large items would pickle all that are left for each message."""
    sizes: list[int] = []

    def dumps(value: Any, protocol: int) -> bytes:
        sizes.append(len(pickle.dumps(value, protocol)))
        return bytes(sizes[-1])

    monkeypatch.setattr(messages, "pickle", SimpleNamespace(dumps=dumps))
    many: tuple[list[Any], ...] = (
        [bytes(1000 + number) for number in range(999)],
        ["x" * (1000 + number) for number in range(999)],
    )
    for items in many:
        _, count = pack_items(items, 10_000)
        assert 4 <= count <= 9
    assert sum(sizes) < 40_000  # of two million
