"""What is stored comes back, exactly."""

from __future__ import annotations

import json
import math
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.checkpoint import codec, failures, pieces
from metainformant.core.parallel.checkpoint.errors import RecordedFailureError

from .test_keys import VALUES, shape

MARKS = st.integers(-(1 << 63), (1 << 63) - 1) | st.text() | st.binary(min_size=16, max_size=16)
KEYS = MARKS | st.tuples(MARKS, st.integers(1, 100))


def never(position: int, error: Exception) -> None:
    raise AssertionError(f"value {position} was refused: {error}")


@given(
    st.lists(KEYS)
    | st.lists(st.integers(-(1 << 63), (1 << 63) - 1))
    | st.lists(st.binary(min_size=16, max_size=16), min_size=1)
)
def test_keys_come_back(keys: list[Any]) -> None:
    assert codec.decode_keys(codec.encode_keys(keys)) == keys
    for key in keys:
        assert codec.key_of(codec.key_text(key)) == key


@given(st.lists(VALUES))
def test_values_come_back_with_their_types(values: list[Any]) -> None:
    data, _ = codec.encode_results(values, never)
    assert shape(codec.decode_results(data, codec.unpickle)) == shape(values)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, None, True, "a", 1.5],
        [{"a": [1, 2.5, None]}, []],
        ["\udc80", "é", "\x00", '"\\'],
        [1 << 200, -0.0],
    ],
)
def test_what_json_knows_is_stored_as_text(values: list[Any]) -> None:
    data, pickled = codec.encode_results(values, never)
    assert isinstance(data, str)
    assert pickled == 0
    assert shape(json.loads(data)) == shape(values)


@pytest.mark.parametrize(
    ("value", "pickled"),
    [
        ((1, 2), 1),
        ({1: 2}, 1),
        ([(1,)], 1),
        (Decimal(1), 1),
        (b"\x00\xff", 0),
        (b"", 0),
    ],
)
def test_what_json_does_not_know_exactly_is_stored_apart(value: Any, pickled: int) -> None:
    data, count = codec.encode_results([value, "text"], never)
    assert isinstance(data, bytes)
    assert count == pickled
    assert shape(codec.decode_results(data, codec.unpickle)) == shape([value, "text"])
    shown = codec.decode_results(data, codec.leave_pickled)
    assert shown[1] == "text"
    assert (shown[0] is codec.MISSING) == bool(pickled)


def test_a_number_that_is_too_long_for_text_is_pickled() -> None:
    data, count = codec.encode_results([10**5000, 1], never)
    assert count == 1
    assert codec.decode_results(data, codec.unpickle) == [10**5000, 1]


def test_a_value_within_itself_is_pickled() -> None:
    value: list[Any] = []
    value += [value, value]
    data, count = codec.encode_results([value], never)
    assert count == 1
    (back,) = codec.decode_results(data, codec.unpickle)
    assert back[0] is back


def test_a_value_that_cannot_be_pickled_costs_only_its_own_place() -> None:
    refused: list[int] = []
    values = [(1,), lambda: 1, "a", open]
    data, _ = codec.encode_results(values, lambda at, error: refused.append(at))
    assert refused == [1]
    assert codec.decode_results(data, codec.unpickle) == [(1,), None, "a", open]


def test_numbers_that_json_has_no_word_for_are_not_pickled() -> None:
    values = [1.5, math.nan, math.inf, -math.inf, [{"a": math.nan}]]
    data, pickled = codec.encode_results(values, never)
    assert pickled == 0
    assert shape(codec.decode_results(data, codec.leave_pickled)) == shape(values)


@given(st.lists(st.floats(allow_nan=False)))
def test_times_come_back(times: list[float]) -> None:
    assert codec.decode_times(codec.encode_times(times)) == times


def make_row() -> pieces.Row:
    record = pieces.Record(
        [b"k" * 16, "b"],
        ["long " * 30, "b"],
        [1, ValueError("x")],
        {1: ValueError("x")},
        2,
        "worker-1",
        [1.0, 2.0, 4.0],
    )
    return pieces.encode(record, lambda at, error: error)


def test_a_row_that_was_not_changed_is_intact() -> None:
    row = make_row()
    assert pieces.is_intact(row)
    assert pieces.is_head_intact(row.checksum, row.total, row.keys, row.failed_at)


@pytest.mark.parametrize("column", [name for name in pieces.Row._fields if name != "checksum"])
def test_a_change_of_any_column_is_seen(column: str) -> None:
    row = make_row()
    value = getattr(row, column)
    replace: Any = row._replace
    other: Any = value + 1 if isinstance(value, (int, float)) else value + type(value)(value[:1])
    assert not pieces.is_intact(replace(**{column: other}))
    assert not pieces.is_intact(replace(**{column: None}))
    if column in ("total", "keys", "failed_at"):
        head = replace(**{column: other})
        assert not pieces.is_head_intact(head.checksum, head.total, head.keys, head.failed_at)


def test_items_are_shown_shortened() -> None:
    row = make_row()
    (long, short) = codec.decode_items(row.items, row.keys)
    assert long.startswith("long long")
    assert len(long) == 60
    assert short == "b"


class TwoArgumentsError(Exception):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_a_failure_comes_back_as_it_was() -> None:
    error = raised(KeyError("gene"))
    error.add_note("item 3")
    failure = failures.record_failure(error, {"id": 3})
    text = failures.encode_failures({4: failure})
    assert failures.decode_failures(text) == {4: failure}
    assert failure.kind == "builtins.KeyError"
    assert failure.item == "{'id': 3}"
    assert failure.notes == ["item 3"]
    assert "in raised" in failure.traceback
    back = failures.rebuild_failure(failure)
    assert type(back) is KeyError
    assert back.args == ("gene",)
    assert back.__notes__[0] == "item 3"
    assert "in raised" in back.__notes__[1]


def test_a_failure_comes_back_without_a_call_of_its_constructor() -> None:
    failure = failures.record_failure(raised(TwoArgumentsError("a", "b")), 1)
    back = failures.rebuild_failure(failure)
    assert type(back) is TwoArgumentsError
    assert str(back) == "a b"


@pytest.mark.parametrize("error", [UnspeakableError(), OSError(lambda: 1)])
def test_a_failure_that_cannot_be_kept_comes_back_in_words(error: BaseException) -> None:
    failure = failures.record_failure(raised(error), 1)
    back = failures.rebuild_failure(failure)
    if type(back) is not type(error):
        assert isinstance(back, RecordedFailureError)
        assert back.kind.endswith(type(error).__name__)
        assert "in raised" in back.traceback
    copy = pickle.loads(pickle.dumps(back))
    assert str(copy) == str(back) if not isinstance(back, UnspeakableError) else True


def test_endless_text_is_cut() -> None:
    failure = failures.record_failure(ValueError("x" * 1_000_000), 1)
    assert len(failure.message) < 21_000
    assert failure.message.endswith("x")
