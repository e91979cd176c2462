"""Each option is in all the places where it has to be: whoever forgets one fails here."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

import pytest

from metainformant.cli.app import map_command
from metainformant.core import parallel
from metainformant.core.parallel import options as options_module
from metainformant.core.parallel.options import OPTIONS, Options
from tests.support import ROOT

OF_WORKERS = {name for name, option in OPTIONS.items() if option.of_workers}
FOR_PROCESSES = {name for name, option in OPTIONS.items() if option.for_processes}
# Parameters of their own in every signature: some may be passed by position, and the type of the
# result depends on another.
WRITTEN_OUT = {"star", "chunk_size", "timeout", "ordered", "on_error", "default"}
# Those whose values choose the signature: some of a function's overloads have them, others not.
CHOOSES_SIGNATURE = {"star", "default"}

# What the maps do not take, since it would contradict their name or their result.
SENSELESS = {
    "parallel_batch": {"star"},
    "Pool.batch": {"star"},
    "thread_map_unordered": {"ordered"},
    "process_map_unordered": {"ordered"},
    "outcomes": {"on_error", "default"},
    "Pool.outcomes": {"on_error", "default"},
}
NOT_IN_PROCESSES = (
    "thread_map",
    "thread_map_unordered",
    "parallel_batch",
    "async_map",
    "aiomap",
    "interpreter_map",
    "cluster_map",
)
IN_A_LOOP = ("async_map", "aiomap")
# Maps that have a few parameters instead of options, for code that was written for others.
WITHOUT_OPTIONS = {"rate_limited_map"}

# Options of the command that are called differently.
IN_COMMAND = {"ordered": "unordered", "skip_none": "drop_none"}
NOT_IN_COMMAND = {
    "default": "a failed record is told from the others by its row",
    "star": "a function of the module can take a record apart",
    "seed": "a function of the module can seed its own, by a name in the record",
    "kwargs": "a function of the module can pass constants on",
    "cancel": "Ctrl-C does that",
    "slow_after": "it logs, and the command shows no log",
    "keep_locals": "failures are written as text",
    "max_abandoned": "the default suits a process that ends with its map",
    "retry_on": "a command line has no exception classes",
    "max_cost": "its units are those of a Python function",
    "throttled": "a command line has no exception classes",
    "on_complete": "a row is written for each record anyway",
    "initializer": "the module of the function can do that when it is imported",
    "initargs": "see initializer",
    "worker_state": "the module of the function can have one",
    "start_method": "the function is found by its name, whatever the method",
    "inner_threads": "environment variables such as OMP_NUM_THREADS do that",
    "max_tasks_per_worker": "for functions that leak, which Python code can call better",
    "memory_limit": "ulimit and control groups do that",
}


def _tree(name: str) -> ast.Module:
    return ast.parse((ROOT / "src/metainformant/core/parallel" / name).read_text())


def _typed_dicts() -> dict[str, set[str]]:
    """The options in the types for type checkers, with those that they inherit."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(_tree("options.py")):
        if not isinstance(node, ast.ClassDef):
            continue
        bases = [ast.unparse(base) for base in node.bases]
        if "TypedDict" in bases or any(base in found for base in bases):
            own = {
                ast.unparse(part.target) for part in node.body if isinstance(part, ast.AnnAssign)
            }
            found[node.name] = own.union(*(found.get(base, set()) for base in bases))
    return found


class Signature(NamedTuple):
    name: str
    parameters: set[str]
    rest: str | None  # what `**options` is said to be


def _signatures() -> Iterator[Signature]:
    """All that type checkers see of functions and methods of pools that take options."""
    for path in sorted((ROOT / "src/metainformant/core/parallel/maps").glob("*.py")):
        tree = _tree(f"maps/{path.name}")
        pools = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for prefix, body in [("", tree.body), *((f"{pool.name}.", pool.body) for pool in pools)]:
            functions = [
                part for part in body if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))
            ]
            overloaded = {part.name for part in functions if _is_overload(part)}
            for function in functions:
                arguments = function.args
                if arguments.kwarg is None or arguments.kwarg.annotation is None:
                    continue
                if ast.unparse(arguments.kwarg.annotation) == "Never":
                    continue  # it takes none, and says what is meant
                if function.name in overloaded and not _is_overload(function):
                    continue  # nobody but the interpreter sees it
                names = {argument.arg for argument in [*arguments.args, *arguments.kwonlyargs]}
                found = re.fullmatch(r"Unpack\[(\w+)\]", ast.unparse(arguments.kwarg.annotation))
                yield Signature(prefix + function.name, names, found and found[1])


def _is_overload(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(decorator) == "overload" for decorator in function.decorator_list)


SIGNATURES = list(_signatures())
MAPS = sorted({signature.name for signature in SIGNATURES})


def _taken_by(name: str) -> set[str]:
    """The options that a map should take, by its kind of workers."""
    taken = set(OPTIONS) - SENSELESS.get(name, set())
    if name.startswith("Pool."):
        return taken - OF_WORKERS
    if name in NOT_IN_PROCESSES:
        return taken - FOR_PROCESSES
    return taken


def test_options_have_an_attribute_each() -> None:
    assert list(inspect.get_annotations(Options)) == list(OPTIONS)


def test_type_checkers_know_each_option() -> None:
    types = _typed_dicts()
    assert types["PoolOptions"] == set(OPTIONS) - OF_WORKERS - WRITTEN_OUT
    assert types["MapOptions"] == set(OPTIONS) - FOR_PROCESSES - WRITTEN_OUT
    assert types["ProcessOptions"] == set(OPTIONS) - WRITTEN_OUT
    assert not hasattr(options_module, "PoolOptions")  # that is why the source is read


def test_every_map_has_a_signature_here() -> None:
    named = {
        name
        for name in parallel.__all__
        if inspect.isfunction(function := getattr(parallel, name))
        and "func" in inspect.signature(function).parameters
    }
    methods = {"Pool.batch", "Pool.imap", "Pool.map", "Pool.outcomes"}
    assert set(MAPS) == (named - WITHOUT_OPTIONS) | methods


@pytest.mark.parametrize("name", MAPS)
def test_help_shows_each_option(name: str) -> None:
    owner, _, method = name.rpartition(".")
    function = getattr(getattr(parallel, owner) if owner else parallel, method)
    shown = inspect.signature(function).parameters
    own = set[str]().union(*(part.parameters for part in SIGNATURES if part.name == name))
    assert set(shown) == own | _taken_by(name)
    for option in OPTIONS.keys() & shown.keys():
        assert repr(shown[option].default) in repr(OPTIONS[option].default)
    assert all(part.kind not in (part.VAR_KEYWORD, part.VAR_POSITIONAL) for part in shown.values())


def test_help_shows_what_a_pool_takes() -> None:
    assert set(inspect.signature(parallel.Pool).parameters) == {
        "backend",
        "max_workers",
        *OF_WORKERS,
    }


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.name)
def test_signatures_have_each_option(signature: Signature) -> None:
    assert signature.rest is not None, "**options must be one of the TypedDicts"
    typed = _typed_dicts()[signature.rest]
    assert not typed & signature.parameters
    of_its_own = {"self", "func", "items", "max_workers", "backend", "buffer_size", "batch_size"}
    of_its_own |= {"strict", "cluster", "wait_for_workers"}
    taken = (typed | signature.parameters) - of_its_own
    assert taken <= _taken_by(signature.name) <= taken | CHOOSES_SIGNATURE


@pytest.mark.parametrize("name", MAPS)
def test_one_signature_at_least_has_each_option_that_chooses_it(name: str) -> None:
    there = [signature.parameters for signature in SIGNATURES if signature.name == name]
    assert CHOOSES_SIGNATURE & _taken_by(name) <= set().union(*there)


async def _length(item: Any) -> int:
    return len(item)


def _call(name: str) -> Callable[..., Any]:
    if name.startswith("Pool."):
        function: Callable[..., Any] = getattr(parallel.Pool(), name.removeprefix("Pool."))
        return function
    function = getattr(parallel, name)
    if name == "aiomap":
        return lambda *items, **options: asyncio.run(function(*items, **options))
    if name in ("imap", "outcomes", "aimap"):
        return lambda *items, **options: function(*items, **{"backend": "process", **options})
    return function


@pytest.mark.parametrize("name", sorted({*MAPS} - {"interpreter_map", "cluster_map"}))
def test_maps_take_each_option_and_no_other(name: str) -> None:
    call, taken, func = _call(name), _taken_by(name), _length if name in IN_A_LOOP else len
    call(func, [], **{option: OPTIONS[option].default for option in taken})
    for option in [*(set(OPTIONS) - taken), "misspelt"]:
        with pytest.raises(TypeError, match=option):
            call(func, [], **{option: None})


def test_pools_have_what_belongs_to_workers() -> None:
    parameters = set(inspect.signature(parallel.Pool).parameters)
    assert parameters - {"unknown"} == {"backend", "max_workers", *OF_WORKERS}


def test_the_documents_explain_each_option() -> None:
    text = (ROOT / "docs" / "options.md").read_text()
    heads = re.findall(r"^\*\*`\w+`\*\*.*?:", text, re.MULTILINE)
    explained = [name for head in heads for name in re.findall(r"`(\w+)`", head)]
    assert set(OPTIONS) <= set(explained)
    assert len(explained) == len(set(explained))


def _arguments_of(function: Callable[..., Any]) -> set[str]:
    """The names below `Args:` in its docstring."""
    text = inspect.getdoc(function) or ""
    section = text.split("Args:\n")[1].split("\n\n")[0]
    heads = re.findall(r"^    (\w[\w, ]*):", section, re.MULTILINE)
    return {name for head in heads for name in head.split(", ")}


def test_docstrings_explain_each_option() -> None:
    threads = _arguments_of(parallel.thread_map)
    assert set(OPTIONS) - FOR_PROCESSES <= threads
    assert _arguments_of(parallel.process_map) >= FOR_PROCESSES  # which refers to thread_map


@pytest.mark.parametrize("name", MAPS)
def test_help_shows_and_explains_all_options(name: str) -> None:
    function = attrgetter(name)(parallel)
    parameters = inspect.signature(function).parameters
    assert not [part for part in parameters.values() if part.kind is part.VAR_KEYWORD]
    explained = re.findall(r"^    (\w[\w, ]*):", inspect.getdoc(function) or "", re.MULTILINE)
    names = [name for head in explained for name in head.split(", ")]
    assert set(parameters) - {"self"} <= set(names)
    assert len(names) == len(set(names))


def test_help_is_complete_where_nothing_was_asked_for_before() -> None:
    code = "from metainformant.core import parallel; help(parallel.imap)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "**options" not in shown
    assert "memory_limit=None" in shown
    assert "memory_limit: bytes" in shown


def test_docstrings_may_be_left_out() -> None:
    code = (
        "from metainformant.core import parallel as p; print(p.imap.__doc__, [*p.imap(abs, [-1])])"
    )
    run = [sys.executable, "-OO", "-c", code]
    assert subprocess.run(run, capture_output=True, text=True).stdout.split() == ["None", "[1]"]


def test_the_command_has_each_option_or_a_reason() -> None:
    parameters = {parameter.name for parameter in map_command.params}
    there = {name for name in OPTIONS if IN_COMMAND.get(name, name) in parameters}
    assert there.isdisjoint(NOT_IN_COMMAND)
    assert there | set(NOT_IN_COMMAND) == set(OPTIONS)
    assert all(NOT_IN_COMMAND.values())


def test_the_documents_explain_each_option_of_the_command() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text()
    flags = [flag for parameter in map_command.params for flag in parameter.opts]
    for flag in flags:
        whole = re.search(rf"`{flag}(?![\w-])", text)  # the beginning of another explains nothing
        assert not flag.startswith("--") or whole, flag
