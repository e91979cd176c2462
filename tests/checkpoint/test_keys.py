"""Keys are the values of items: the same everywhere, and different for what a function can tell."""

from __future__ import annotations

import dataclasses
import enum
import math
import os
import pickle
import subprocess
import sys
from collections import namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metainformant.core.parallel.checkpoint.keys import encode, file_key, mark, marks
from tests.support import examples

from .tasks import ROOT

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas()
    | st.builds(PurePosixPath, st.text(alphabet="ab/.", min_size=1))
)
HASHABLE = st.recursive(
    SCALARS, lambda each: st.tuples(each, each) | st.frozensets(each, max_size=4), max_leaves=8
)
VALUES = st.recursive(
    HASHABLE,
    lambda each: (
        st.lists(each, max_size=4)
        | st.dictionaries(HASHABLE, each, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.tuples(each, each)
    ),
    max_leaves=12,
)


@dataclasses.dataclass
class Read:
    name: str
    length: int
    cached: int = dataclasses.field(default=0, compare=False)


@dataclasses.dataclass
class OtherRead:
    name: str
    length: int


class Base(enum.Enum):
    A = 1
    C = 2


class Strand(enum.Flag):
    PLUS = 1
    MINUS = 2


Interval = namedtuple("Interval", "start stop")
OtherInterval = namedtuple("OtherInterval", "start stop")


def shape(value: Any) -> Any:
    """A value as text, with the types of all its parts; the order of sets and dicts left out."""
    name = type(value).__name__
    if isinstance(value, (list, tuple)):
        return name, tuple(map(shape, value))
    if isinstance(value, (set, frozenset)):
        return name, tuple(sorted(map(repr, map(shape, value))))
    if isinstance(value, dict):
        return name, tuple(sorted(repr((shape(key), shape(each))) for key, each in value.items()))
    return name, repr(value)  # which tells -0.0 from 0.0, and all that is NaN is "nan"


@examples(4)
@given(VALUES, VALUES)
def test_keys_are_equal_exactly_for_equal_values_of_equal_types(one: Any, other: Any) -> None:
    assert (encode(one) == encode(other)) == (shape(one) == shape(other))
    assert (mark(one) == mark(other)) == (shape(one) == shape(other))


@given(VALUES)
def test_a_copy_has_the_same_key(value: Any) -> None:
    assert mark(pickle.loads(pickle.dumps(value))) == mark(value)


@given(st.dictionaries(HASHABLE, SCALARS, min_size=2), st.randoms())
def test_order_of_building_does_not_count(value: dict[Any, Any], random: Any) -> None:
    names = list(value)
    random.shuffle(names)
    assert mark({name: value[name] for name in names}) == mark(value)
    assert mark(set(names)) == mark(set(value))


@pytest.mark.parametrize(
    "values",
    [
        [1, True, 1.0, "1", b"1", Decimal(1), np.int64(1), np.float64(1), 1 + 0j, (1,), [1], {1}],
        [0.0, -0.0, 0, False, None, "", b"", (), [], {}, set(), frozenset()],
        [Decimal("1.0"), Decimal("1.00"), "1.0"],
        [("ab", "c"), ("a", "bc"), ("abc",), "abc", ["ab", "c"]],
        [(1, (2, 3)), ((1, 2), 3), (1, 2, 3), [1, 2, 3]],
        [{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": 1}, [("a", 1), ("b", 2)]],
        [Path("a"), PurePosixPath("a"), PureWindowsPath("a"), "a", Path("a/b")],
        [Base.A, Base.C, Strand.PLUS, Strand.PLUS | Strand.MINUS, 1, "A"],
        [Read("r", 1), Read("r", 2), OtherRead("r", 1), ("r", 1), {"name": "r", "length": 1}],
        [Interval(1, 2), OtherInterval(1, 2), (1, 2), Interval(2, 1)],
        [date(2024, 1, 1), datetime(2024, 1, 1), "2024-01-01", time(0), timedelta(0)],
        [
            datetime(2024, 1, 1, 12, tzinfo=UTC),
            datetime(2024, 1, 1, 13, tzinfo=timezone(timedelta(hours=1))),
            datetime(2024, 1, 1, 12),
            datetime(2024, 1, 1, 12, fold=1),
        ],
        [1 << 63, -(1 << 63), (1 << 63) - 1, 1 << 64, str(1 << 63)],
        ["x" * 48, "x" * 49, "x" * 50],
        [range(3), range(0, 3, 2), [0, 1, 2], (0, 1, 2)],
        [
            np.zeros(4),
            np.zeros((2, 2)),
            np.zeros(4, dtype="f4"),
            np.zeros(4, dtype="i8"),
            np.array([0.0, 0.0, 0.0, -0.0]),
            np.zeros(5),
            [0.0] * 4,
        ],
        [np.array([1, 2], dtype=object), np.array(["1", 2], dtype=object), np.array([1, 2])],
        [np.datetime64("2024-01-01"), np.datetime64("2024-01-01T00"), np.str_("a"), "a", np.True_],
    ],
)
def test_different_values_have_different_keys(values: list[Any]) -> None:
    keys = [mark(value) for value in values]
    assert len(set(keys)) == len(values)
    assert len({type(key) for key in keys} - {int, str, bytes}) == 0


def test_what_is_equal_and_looks_the_same_has_the_same_key() -> None:
    assert mark(math.nan) == mark(-math.nan)
    assert mark(Read("r", 1, cached=1)) == mark(Read("r", 1, cached=2))
    two_by_three = np.arange(6).reshape(2, 3)
    assert mark(np.asfortranarray(two_by_three)) == mark(two_by_three)
    assert mark(two_by_three[:, ::-1][:, ::-1]) == mark(two_by_three)
    assert mark(two_by_three.astype(">i8")) == mark(two_by_three.astype("<i8"))
    padded = np.zeros(2, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True))
    packed = np.zeros(2, dtype=[("a", "i1"), ("b", "f8")])
    assert mark(padded) == mark(packed)
    assert mark(padded[0]) == mark(packed[1])


def test_keys_are_the_same_in_processes_with_other_hash_seeds() -> None:
    code = """
from datetime import date
from pathlib import PurePosixPath
from metainformant.core.parallel.checkpoint.keys import encode
value = {"set": {"a", "b", "c", "d"}, "path": PurePosixPath("x/y"), "n": [1, 2.5, None, b"q"],
         "nested": {frozenset({"k", "l"}): date(2024, 1, 2)}}
print(encode(value).hex())
"""
    found = set()
    for seed in ("0", "1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_short_plain_items_are_their_own_keys() -> None:
    assert marks([1, 2, 3]) == [1, 2, 3]
    assert marks(["a", "b"]) == ["a", "b"]
    mixed = marks([1, "a", 1.5, True])
    assert mixed[:2] == [1, "a"]
    assert all(type(key) is bytes and len(key) == 16 for key in mixed[2:])


class Plain:
    pass


class Text(str):
    pass


@pytest.mark.parametrize(
    "item", [Plain(), Text("a"), [1, Plain()], {"a": {1: Plain()}}, Plain, np.ma.array([1]), len]
)
def test_an_item_without_canonical_form_is_refused_by_name(item: Any) -> None:
    with pytest.raises(TypeError, match=r"no key.*(Plain|Text|type|Masked|builtin).*key="):
        marks([1, item])


def test_an_item_that_contains_itself_is_refused() -> None:
    item: list[Any] = []
    item.append(item)
    with pytest.raises(TypeError, match="contains itself"):
        marks([item])


def test_a_function_gives_the_keys() -> None:
    assert marks([{"id": 1}, {"id": 2}], lambda item: item["id"]) == [1, 2]
    with pytest.raises(TypeError, match=r"what key= returned for it is of type .*Plain"):
        marks([1], lambda item: Plain())
    with pytest.raises(KeyError) as caught:
        marks([{"name": 1}], lambda item: item["id"])
    assert "{'name': 1}" in caught.value.__notes__[0]


def test_the_key_of_a_file_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    first = file_key(path)
    assert first == (str(path), 3, path.stat().st_mtime_ns)
    assert file_key(str(path)) == first
    os.utime(path, ns=(0, first[2] + 1))
    assert mark(file_key(path)) != mark(first)
    with pytest.raises(FileNotFoundError):
        file_key(tmp_path / "missing")
