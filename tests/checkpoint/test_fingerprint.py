"""Fingerprints tell code from layout."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from metainformant.core.parallel.checkpoint.fingerprint import fingerprint
from metainformant.core.parallel.checkpoint.names import function_name


def compiled(source: str) -> Callable[..., Any]:
    space: dict[str, Any] = {"__name__": "somewhere"}
    exec(compile(textwrap.dedent(source), "file.py", "exec"), space)
    function: Callable[..., Any] = space["f"]
    return function


BASE = """
def f(x, limit=3):
    total = 0
    while True:
        if x > limit and x != 7:
            break
        total += g(x + 1, "a")
        x += 1
    return [y * 2 for y in range(total)]
"""

SAME = [
    "\n\n\n# moved down\n" + BASE,
    BASE.replace("    total = 0\n", "    # a comment\n\n    total = 0  # another\n"),
    BASE.replace('g(x + 1, "a")', 'g(\n            x + 1,\n            "a",\n        )'),
    BASE.replace(
        "x > limit and x != 7", "(\n            x > limit\n            and x != 7\n        )"
    ),
    BASE.replace("limit=3):\n", 'limit=3):\n    """Return something."""\n'),
    BASE.replace("    while True:\n", "    while True:\n        pass\n"),
]

OTHER = [
    BASE.replace("+ 1,", "+ 2,"),
    BASE.replace("limit=3", "limit=4"),
    BASE.replace('"a"', '"b"'),
    BASE.replace("g(", "h("),
    BASE.replace("y * 2", "y * 3"),
    BASE.replace("x > limit", "x >= limit"),
    BASE.replace("x != 7", "x != 7.0"),
    BASE.replace(" and ", " or "),
    BASE.replace("            break\n", "            return None\n"),
    BASE.replace("x + 1,", "x - 1,"),
    BASE.replace("def f(", "async def f("),
    "def f(x):\n    return x\n",
]


@pytest.mark.parametrize("source", SAME)
def test_layout_does_not_count(source: str) -> None:
    assert source != BASE
    assert fingerprint(compiled(source)) == fingerprint(compiled(BASE))


@pytest.mark.parametrize("source", OTHER)
def test_code_counts(source: str) -> None:
    assert source != BASE
    assert fingerprint(compiled(source)) != fingerprint(compiled(BASE))


def test_having_been_run_does_not_count() -> None:
    source = "def f(x):\n    y = 0\n    for i in range(x):\n        y += i\n    return y\n"
    function = compiled(source)
    before = fingerprint(function)
    for _ in range(50):
        function(100)
    assert fingerprint(function) == before


def decorated(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapper(*args: Any) -> Any:
        return func(*args)

    return wrapper


def with_limit(limit: object) -> Callable[[Any], Any]:
    return lambda x: x > limit


class Scale:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, x: int) -> int:
        return x * self.factor

    def twice(self, x: int) -> int:
        return self(x) * 2


def test_what_a_function_was_given_counts() -> None:
    one, other = compiled("def f(x): return 1"), compiled("def f(x): return 2")
    assert fingerprint(decorated(one)) != fingerprint(decorated(other))
    assert fingerprint(decorated(one)) == fingerprint(decorated(one))
    assert fingerprint(with_limit(1)) != fingerprint(with_limit(2))
    assert fingerprint(with_limit(object())) == fingerprint(with_limit(object()))
    assert fingerprint(functools.partial(one, 1)) != fingerprint(functools.partial(one, 2))
    assert fingerprint(functools.partial(one, 1)) != fingerprint(functools.partial(other, 1))
    assert fingerprint(functools.lru_cache(one)) != fingerprint(functools.lru_cache(other))


def test_everything_that_can_be_called_has_a_fingerprint() -> None:
    known: list[Any] = [
        len,
        str,
        Scale(1),
        Scale(1).twice,
        Scale,
        "a".join,
        functools.partial(len),
        print,
    ]
    prints = [fingerprint(each) for each in known]
    assert prints == [fingerprint(each) for each in known]
    assert len(set(prints)) == len(known)


def test_functions_that_refer_to_one_another_end() -> None:
    def outer() -> Any:
        def even(n: int) -> bool:
            return n == 0 or odd(n - 1)

        def odd(n: int) -> bool:
            return n != 0 and even(n - 1)

        return even

    assert fingerprint(outer()) == fingerprint(outer())


def test_names_of_functions() -> None:
    here = __name__
    assert function_name(with_limit) == f"{here}.with_limit"
    assert function_name(with_limit(1)) == f"{here}.with_limit.<locals>.<lambda>"
    assert function_name(functools.partial(with_limit, 1)) == f"{here}.with_limit"
    assert function_name(Scale(1)) == f"{here}.Scale"
    assert function_name(Scale(1).twice) == f"{here}.Scale.twice"
    assert function_name(len) == "builtins.len"
    assert function_name("a".join) == "builtins.str.join"
