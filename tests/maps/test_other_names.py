"""Names and habits of other libraries: refused, with what to write instead."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel import validate

ITEMS = [1, 2]
MAPS: list[Callable[..., Any]] = [
    parallel.thread_map,
    parallel.process_map,
    parallel.parallel_batch,
    parallel.imap,
    parallel.outcomes,
    parallel.aimap,
    parallel.Pool().map,
    parallel.Pool().imap,
    parallel.Pool().outcomes,
    parallel.Pool().batch,
]


def _nothing(*_: object) -> list[int]:
    pytest.fail("a task was started")


@pytest.mark.parametrize("run", MAPS, ids=lambda run: run.__qualname__)
class TestArguments:
    def test_a_second_iterable(self, run: Callable[..., Any]) -> None:
        with pytest.raises(TypeError, match=r"one iterable; .* pass zip\(a, b\) and star=True"):
            run(_nothing, ITEMS, ITEMS)

    @pytest.mark.parametrize(
        ("name", "instead"),
        [
            ("chunksize", "did you mean 'chunk_size'"),
            ("callback", "did you mean 'on_complete'"),
            ("return_exceptions", "did you mean 'on_error'"),
            ("kwds", "did you mean 'kwargs'"),
            ("args", "for constants pass kwargs="),
            ("verbose", "did you mean 'progress'"),
            ("executor", "imap, outcomes, aimap and Pool take backend"),
        ],
    )
    def test_options(self, run: Callable[..., Any], name: str, instead: str) -> None:
        with pytest.raises(TypeError, match=f"unknown option '{name}'; {instead}"):
            run(_nothing, ITEMS, **{name: 1})


@pytest.mark.parametrize("name", ["n_jobs", "jobs", "processes", "num_workers", "threads"])
@pytest.mark.parametrize("run", MAPS[:6], ids=lambda run: run.__qualname__)
def test_the_number_of_workers(run: Callable[..., Any], name: str) -> None:
    with pytest.raises(TypeError, match=f"unknown option '{name}'; did you mean 'max_workers'"):
        run(_nothing, ITEMS, **{name: 2})


def test_arguments_of_pools() -> None:
    with pytest.raises(TypeError, match=r"Pool\(\) got .*'processes'; did you mean 'max_workers'"):
        parallel.Pool(processes=2)  # type: ignore[arg-type]
    for wrong in (4, None):
        with pytest.raises(ValueError, match=f"a number of workers is max_workers={wrong}"):
            parallel.Pool(wrong)
    with pytest.raises(TypeError, match=r"Pool\(\) takes no timeout: pass it to the methods"):
        parallel.Pool(timeout=2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unknown option 'initialiser'; did you mean 'initializer'"):
        parallel.Pool(initialiser=print)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("submit", "use pool.imap(func, items)"),
        ("starmap", "use pool.map(func, items, star=True)"),
        ("imap_unordered", "use pool.imap(func, items, ordered=False)"),
        ("apply_async", "use pool.imap"),
        ("shutdown", "use pool.close()"),
    ],
)
def test_methods_of_pools(name: str, instead: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(f"no attribute {name!r}; {instead}")):
        getattr(parallel.Pool(), name)


def test_a_pool_has_no_other_attributes() -> None:
    pool = parallel.Pool()
    with pytest.raises(AttributeError, match=r"'Pool' object has no attribute 'sumbit'$"):
        pool.sumbit  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(pool, "__array__")


@pytest.mark.parametrize(
    "name",
    [
        "map",
        "starmap",
        "imap_unordered",
        "Parallel",
        "delayed",
        "submit",
        "ThreadPool",
        "parallel_map",
        "pmap",
        "async_imap",
        "tqdm",
    ],
)
def test_functions(name: str) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; .*map"):
        getattr(parallel, name)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("map", "; use thread_map for threads or process_map for processes"),
        ("threadmap", "has no attribute 'threadmap'. Did you mean.*thread_map.*"),
    ],
)
def test_the_interpreter_suggests_near_names_where_there_is_no_hint(name: str, end: str) -> None:
    code = f"from metainformant.core import parallel; parallel.{name}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert re.fullmatch(f"AttributeError: .*{end}", run.stderr.splitlines()[-1])
    assert not hasattr(parallel, name)


def test_options_that_are_not_needed() -> None:
    with pytest.raises(TypeError, match=r"outcomes.*'on_error'; each Outcome says whether"):
        parallel.outcomes(len, ["a"], on_error="raise")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="'total'; leave it out"):
        parallel.thread_map(len, ["a"], total=1)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, None),
        (1000, 1000),
        ("2GB", 2 * 10**9),
        ("500 MB", 500 * 10**6),
        ("64KB", 64_000),
        ("64KiB", 65_536),
        ("1.5GiB", 3 * 2**29),
        ("512mib", 2**29),
        (" 7 B ", 7),
        ("1TiB", 2**40),
    ],
)
def test_sizes(value: object, size: int | None) -> None:
    assert validate.optional_size("map", "memory_limit", value) == size


@pytest.mark.parametrize("value", ["", "2", "2G", "GB", "-1GB", "0GB", "2 Gigabytes", "1e9B"])
def test_texts_that_are_no_size(value: str) -> None:
    with pytest.raises(ValueError, match=r"process_map: memory_limit=.* such as '2GB'"):
        parallel.process_map(_nothing, ITEMS, memory_limit=value)


def test_a_memory_limit_that_is_a_text() -> None:
    assert parallel.process_map(abs, [-1], 1, memory_limit="20GB") == [1]
