from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from metainformant.cli.function import load_function


def test_loads_from_a_module_in_the_current_directory() -> None:
    assert load_function("functions:number")("3") == 3


def test_loads_from_a_file_whose_neighbours_are_importable(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "neighbour.py").write_text("three = 3")
    (tmp_path / "sub" / "mine.py").write_text("import neighbour\ndef f(_): return neighbour.three")
    assert load_function("sub/mine.py:f")(0) == 3


def test_loads_attributes_of_classes() -> None:
    assert load_function("builtins:str.upper")("a") == "A"


def test_a_file_does_not_hide_a_module_of_the_same_name(tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text("def f(_): return 1")
    assert load_function("json.py:f")(0) == 1
    assert __import__("json") is json


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("functions", "must be module:name"),
        (":number", "must be module:name"),
        ("functions:", "must be module:name"),
        ("absent.py:f", "no file 'absent.py'"),
        ("absent:f", "no module 'absent'"),
        ("functions.py.bak/x:f", "must end in .py"),
        ("functions:numbre", "did you mean 'number'?"),
        ("functions.py:zzz", "its functions are: ask, child_reads, die, "),
        ("functions:constant", "is not a function but int"),
        ("functions.py:pathlib", "is not a function but module"),
        ("needy.py:f", "ModuleNotFoundError: No module named 'absent_thing'"),
        ("needy.py:f", "install 'absent_thing'"),
        ("faulty:f", "ZeroDivisionError: division by zero"),
        ("faulty:f", "faulty.py, line 2)"),
        ("garbled.py:f", "SyntaxError"),
        ("quitting:f", "SystemExit: 5"),
        ("empty.py:f", "it has no functions"),
        ("empty:f", "has no 'f'"),
        ("sub/faulty:f", "must end in .py"),
        ("kinds.py:laters", "is an async generator function"),
        ("kinds.py:several", "is a generator function, whose values nobody would take; return a"),
        ("kinds.py:Later.more", "is a generator function"),
        ("kinds.py:partial", "is a generator function"),
        ("kinds.py:add", "needs 2 arguments (a, b), but is called with one record; give b a def"),
        ("kinds.py:add", "or name a function of one argument that calls add"),
        ("kinds.py:by_name", "needs 2 arguments (a, b), but is called with one record; give b"),
        ("kinds.py:nothing", "takes no argument, but is called with one record; give it a param"),
        ("kinds.py:Later.method", "is a method, which is called with one record, but needs an ob"),
        ("operator:add", "needs 2 arguments (a, b)"),
    ],
)
def test_says_what_is_wrong_with_it(spec: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text("import absent_thing")
    (tmp_path / "faulty.py").write_text("\n1 / 0")
    (tmp_path / "kinds.py").write_text(
        "async def later(record): ...\n"
        "async def laters(record): yield\n"
        "def several(record): yield record\n"
        "class Later:\n"
        "    async def __call__(self, record): ...\n"
        "    def method(self, record): ...\n"
        "class More:\n"
        "    def __call__(self, record): yield\n"
        "Later.now, Later.more = Later(), More()\n"
        "import functools\n"
        "partial = functools.partial(several)\n"
        "def add(a, b): ...\n"
        "def by_name(a, *, b): ...\n"
        "def nothing(): ...\n"
    )
    (tmp_path / "garbled.py").write_text("def f(:")
    (tmp_path / "quitting.py").write_text("raise SystemExit(5)")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(click.UsageError) as caught:
        load_function(spec)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "spec",
    [
        "builtins:int",
        "builtins:print",
        "string:capwords",
        "pathlib:Path",
        "fit.py:Made",
        "fit.py:partial",
        "fit.py:default",
        "fit.py:any",
        "fit.py:Made.static",
        "fit.py:Made.of_class",
        "fit.py:wrapped",
        "fit.py:supplied",
    ],
)
def test_whatever_can_be_called_with_one_record_is_fit(spec: str, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(
        "import functools\n"
        "class Made:\n"
        "    def __init__(self, record, other=1): ...\n"
        "    @staticmethod\n"
        "    def static(record): ...\n"
        "    @classmethod\n"
        "    def of_class(cls, record): ...\n"
        "def default(a, b=1, *, c=2): ...\n"
        "def any(*args, **options): ...\n"
        "partial = functools.partial(lambda a, b: b, 1)\n"
        "def listed(function):\n"
        "    @functools.wraps(function)\n"
        "    def call(record): return list(function(record))\n"
        "    return call\n"
        "@listed\n"
        "def wrapped(record): yield record\n"
        "def with_database(function):\n"
        "    @functools.wraps(function)\n"
        "    def call(*args): return function(None, *args)\n"
        "    return call\n"
        "@with_database\n"
        "def supplied(database, record): ...\n"
    )
    load_function(spec)


def test_is_a_usage_error(run: Callable[..., Result]) -> None:
    result = run("functions:absent", input="1\n")
    assert result.exit_code == 2
    assert "functions has no 'absent'" in result.stderr
