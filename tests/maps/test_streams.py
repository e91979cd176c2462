"""`imap`: an iterator over results, with a buffer that bounds what is read ahead."""

from __future__ import annotations

import collections
import contextvars
import gc
import itertools
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from metainformant.core import parallel


class TestImap:
    def test_failures_take_the_place_of_results_as_asked(self) -> None:
        texts = ["1", "x", "3"]
        first, second, third = parallel.imap(int, texts)
        assert (first, third) == (1, 3)
        assert isinstance(second, ValueError)
        assert second.__notes__ == ["item 1 ('x'), attempt 1"]
        assert list(parallel.imap(int, texts, on_error="skip")) == [1, 3]
        stream = parallel.imap(int, texts, on_error="raise", max_workers=1)
        assert next(stream) == 1
        with pytest.raises(ValueError, match="'x'"):
            next(stream)
        with pytest.raises(StopIteration):
            next(stream)

    def test_it_is_an_iterator_and_a_context_manager(self) -> None:
        with parallel.imap(abs, itertools.count()) as stream:
            assert isinstance(stream, Iterator)
            assert next(stream) == 0
            assert list(itertools.islice(stream, 3)) == [1, 2, 3]
        assert list(stream) == []
        stream.close()
        assert list(parallel.imap(abs, [])) == []

    def test_nothing_starts_before_the_first_result_is_asked_for(self) -> None:
        before = set(threading.enumerate())
        stream = parallel.imap(abs, itertools.count())
        assert set(threading.enumerate()) <= before
        stream.close()
        assert list(stream) == []

    def test_a_blocked_input_stops_neither_timeouts_nor_results(self) -> None:
        release = threading.Event()

        def numbers() -> Iterator[int]:
            yield from range(5)
            release.wait(60)
            yield 5

        def task(number: int) -> int:
            if number == 3:
                release.wait(60)
            return number

        stream = parallel.imap(task, numbers(), max_workers=2, timeout=0.3)
        try:
            results = [next(stream) for _ in range(5)]
        finally:
            release.set()
        assert isinstance(results.pop(3), parallel.TaskTimeoutError)
        assert results == [0, 1, 2, 4]
        assert list(stream) == [5]

    def test_tasks_go_on_while_the_consumer_is_busy(self) -> None:
        done = threading.Event()

        def task(number: int) -> int:
            if number == 5:
                done.set()
            return number

        stream = parallel.imap(task, range(40), max_workers=2, chunk_size=1)
        next(stream)
        assert done.wait(30)  # without asking for more
        assert list(stream) == list(range(1, 40))

    def test_one_slow_item_does_not_idle_the_workers(self) -> None:
        """They go on far beyond their window, though nothing can be delivered meanwhile."""
        release = threading.Event()
        finished = itertools.count(1)

        def task(number: int) -> int:
            if number == 0:
                assert release.wait(60)
            elif next(finished) == 1000:
                release.set()
            return number

        stream = parallel.imap(task, itertools.count(), max_workers=2, chunk_size=1)
        assert list(itertools.islice(stream, 1100)) == list(range(1100))
        stream.close()

    @pytest.mark.parametrize("buffer_size", [1, 3, 1000])
    def test_no_more_than_the_buffer_is_read_ahead(self, buffer_size: int) -> None:
        read = 0

        def numbers() -> Iterator[int]:
            nonlocal read
            while True:
                read += 1
                yield read

        stream = parallel.imap(lambda number: number, numbers(), buffer_size=buffer_size)
        for delivered in range(5000):
            assert next(stream) == delivered + 1
            assert read <= delivered + buffer_size
        stream.close()

    def test_a_consumer_that_stops_asking_stops_the_reading(self) -> None:
        read = 0

        def numbers() -> Iterator[int]:
            nonlocal read
            while True:
                read += 1
                yield read

        stream = parallel.imap(abs, numbers(), buffer_size=100)
        next(stream)
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            assert read <= 100
            time.sleep(0.01)
        stream.close()

    def test_references_are_dropped_after_delivery(self) -> None:
        class Big:
            pass

        items: list[weakref.ref[Big]] = []
        results: list[weakref.ref[Big]] = []

        def numbers() -> Iterator[Big]:
            while True:
                big = Big()
                items.append(weakref.ref(big))
                yield big
                del big

        def task(item: Big) -> Big:
            result = Big()
            results.append(weakref.ref(result))
            return result

        stream = parallel.imap(task, numbers(), max_workers=1, chunk_size=1, buffer_size=4)
        for _ in range(50):
            next(stream)
        gc.collect()
        assert sum(ref() is not None for ref in results) <= 6
        assert sum(ref() is not None for ref in items) <= 6
        stream.close()

    def test_a_reader_that_blocks_keeps_nobody_from_leaving(self) -> None:
        release = threading.Event()

        def numbers() -> Iterator[int]:
            yield 1
            release.wait(60)

        stream = parallel.imap(abs, numbers())
        assert next(stream) == 1
        stream.close()
        assert not release.is_set()
        release.set()

    def test_an_exit_raised_by_the_input_reaches_the_consumer(self) -> None:
        def numbers() -> Iterator[int]:
            yield 1
            raise KeyboardInterrupt

        stream = parallel.imap(abs, numbers())
        assert next(stream) == 1
        with pytest.raises(KeyboardInterrupt):
            next(stream)

    def test_a_deadline_counts_from_the_first_result_asked_for(self) -> None:
        stream = parallel.imap(abs, itertools.count(), deadline=0.2)
        time.sleep(0.3)  # passes before the map begins
        began = time.monotonic()
        with pytest.raises(parallel.TaskCancelledError, match=r"deadline=0\.2 s"):
            collections.deque(stream, maxlen=0)
        assert time.monotonic() - began >= 0.2

    def test_progress_counts_from_the_first_result_asked_for_too(self) -> None:
        too_much: list[float] = []
        began = float("nan")

        def tell(progress: parallel.Progress) -> None:
            too_much.append(progress.elapsed - (time.monotonic() - began))

        stream = parallel.imap(abs, [1, 2], progress=tell)
        time.sleep(0.1)  # passes before the map begins
        began = time.monotonic()
        assert list(stream) == [1, 2]
        assert max(too_much) <= 0

    def test_too_many_failures_end_an_incomplete_stream(self) -> None:
        stream = parallel.imap(int, itertools.repeat("x"), max_failures=10)
        with pytest.raises(parallel.TooManyFailuresError):
            collections.deque(stream, maxlen=0)

    def test_streams_nest(self) -> None:
        def inner(number: int) -> int:
            return sum(parallel.imap(abs, range(number), on_error="raise"))

        assert list(parallel.imap(inner, range(20))) == [sum(range(n)) for n in range(20)]

    def test_tasks_and_reader_see_the_callers_context(self) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

        def names() -> Iterator[str]:
            yield variable.get()

        variable.set("here")
        stream = parallel.imap(lambda name: (name, variable.get()), names())
        variable.set("there")
        assert list(stream) == [("here", "here")]
