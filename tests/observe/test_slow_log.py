"""Slow items are logged."""

from __future__ import annotations

import logging

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.gil import HAS_GIL
from tests.support import run_python, wait_until


class TestSlowItems:
    def test_each_slow_item_is_logged_once_with_its_stack(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        rounds: list[parallel.Progress] = []  # of the engine, in which it looks too

        def dawdle(number: int) -> int:
            if number in (2, 5):
                wait_until(lambda: f"item {number} ({number}) has been running" in caplog.text)
                until = len(rounds) + 3
                wait_until(lambda: len(rounds) >= until)
            return number

        results = parallel.thread_map(
            dawdle, range(8), max_workers=2, slow_after=0.25, progress=rounds.append
        )
        assert results == list(range(8))
        records = [r for r in caplog.records if r.name == "metainformant.parallel"]
        told = [record.getMessage().split(" has been")[0] for record in records]
        assert sorted(told) == ["thread_map: item 2 (2)", "thread_map: item 5 (5)"]
        assert all(record.levelno == logging.WARNING for record in records)
        assert "thread_map: item 2 (2) has been running for 0." in caplog.text
        if HAS_GIL:
            assert "in dawdle" in caplog.text

    def test_nothing_is_printed_where_logging_is_not_set_up(self) -> None:
        process = run_python(
            """
            import time
            from metainformant.core import parallel
            parallel.thread_map(time.sleep, [0.2], slow_after=0.05)
            """
        )
        assert (process.stdout, process.stderr) == ("", "")
