"""Streams are closed from any thread, or left to the garbage collector."""

from __future__ import annotations

import collections
import gc
import itertools
import threading
import time
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.runner import stream_map as streaming
from tests.support import wait_for_other_threads


@pytest.mark.parametrize("how", ["close", "forget"])
def test_a_stream_that_is_left_ends_its_threads(how: str) -> None:
    before = set(threading.enumerate())
    stream = parallel.outcomes(abs, itertools.count())
    next(stream)
    assert set(threading.enumerate()) - before
    if how == "close":
        stream.close()
    del stream
    wait_for_other_threads(before)


class TestClosing:
    def test_another_thread_may_do_it_while_the_consumer_waits(self) -> None:
        started, release = threading.Event(), threading.Event()
        ends: list[BaseException] = []

        def task(_: int) -> None:
            started.set()
            release.wait(60)

        def consume() -> None:
            try:
                list(stream)
            except BaseException as error:
                ends.append(error)

        stream = parallel.imap(task, [1, 2])
        consumer = threading.Thread(target=consume)
        consumer.start()
        assert started.wait(30)
        stream.close()
        consumer.join(30)
        release.set()
        (error,) = ends
        assert isinstance(error, parallel.ParallelError)
        assert "the stream was closed" in str(error)

    def test_another_thread_may_do_it_while_the_consumer_is_busy(self) -> None:
        stream = parallel.imap(abs, itertools.count())
        assert next(stream) == 0
        closer = threading.Thread(target=stream.close)
        closer.start()
        closer.join(30)
        with pytest.raises(parallel.ParallelError, match="the stream was closed"):
            collections.deque(stream, maxlen=0)
        assert list(stream) == []

    def test_a_callback_may_do_it(self) -> None:
        streams: list[parallel.Results[Any]] = []
        stream = parallel.imap(
            abs, itertools.count(), on_complete=lambda *_: streams[0].close(), max_workers=1
        )
        streams.append(stream)
        with pytest.raises(parallel.ParallelError, match="the stream was closed"):
            collections.deque(stream, maxlen=0)

    def test_it_may_come_before_the_start(self) -> None:
        stream = parallel.imap(abs, itertools.count())
        stream.close()
        assert list(stream) == []

    def test_the_garbage_collector_waits_for_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It may run in any thread, which may hold what the map needs to end."""
        monkeypatch.setattr(streaming, "_LONGEST_CLOSE", 50.0)
        entered, release = threading.Event(), threading.Event()

        def tell(_: parallel.Progress) -> None:
            entered.set()
            release.wait(60)

        stream = parallel.imap(abs, itertools.count(), progress=tell)
        consumer = threading.Thread(target=next, args=(stream,))
        consumer.start()
        assert entered.wait(30)
        release.set()
        consumer.join(30)
        entered.clear()
        release.clear()
        assert entered.wait(30)  # the driver stands still in here
        began = time.monotonic()
        del stream, consumer
        gc.collect()
        assert time.monotonic() - began < 25
        release.set()


def test_closing_a_stream_that_another_thread_has_just_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = parallel.imap(abs, [-1])
    has_begun, is_closed = threading.Event(), threading.Event()
    start = streaming.Stream.start
    errors: list[BaseException] = []

    def begin() -> None:
        try:
            next(stream)
        except parallel.ParallelError as error:
            errors.append(error)

    def begin_slowly(self: streaming.Stream, send: Any) -> None:
        has_begun.set()
        assert is_closed.wait(10)
        start(self, send)

    consumer = threading.Thread(target=begin)

    def look_a_moment_before(_: streaming.Stream) -> bool:
        consumer.start()
        assert has_begun.wait(10)
        return False

    monkeypatch.setattr(streaming.Stream, "start", begin_slowly)
    monkeypatch.setattr(streaming.Stream, "is_consumed_elsewhere", property(look_a_moment_before))
    stream.close()
    is_closed.set()
    consumer.join()
    assert "closed before its results were complete" in str(*errors)
