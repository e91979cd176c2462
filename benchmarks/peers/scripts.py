"""Scripts that users write, for whole processes: what an import and a first call cost together."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from ..harness.workload import Contender, Run
from .table import Table


def whole_process(code: str) -> Run:
    """Run a fresh interpreter, from its start to its exit."""
    command = _command(textwrap.dedent(code))
    return lambda: subprocess.run(command, check=True, capture_output=True)


def inside_process(code: str) -> Run:
    """Run a fresh interpreter; the answer is the seconds that the code itself took in there."""
    timed = [
        "import time",
        "began = time.perf_counter()",
        textwrap.dedent(code),
        "print(time.perf_counter() - began)",
    ]
    command = _command("\n".join(timed))
    return lambda: float(subprocess.run(command, check=True, capture_output=True).stdout)


def _command(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


def empty_interpreter() -> Contender:
    """What every script pays."""
    return Contender("empty interpreter", "limit", whole_process("pass"))


ONE_ITEM_OURS = """
    from metainformant.core.parallel import thread_map
    assert thread_map(abs, [-1]) == [1]
"""

# Import, and one call with one item.
ONE_ITEM = {
    "concurrent.futures": """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(8) as executor:
            assert list(executor.map(abs, [-1])) == [1]
    """,
    "multiprocessing.pool": """
        from multiprocessing.pool import ThreadPool
        with ThreadPool(8) as pool:
            assert pool.map(abs, [-1]) == [1]
    """,
    "joblib": """
        from joblib import Parallel, delayed
        assert Parallel(n_jobs=8, backend="threading")([delayed(abs)(-1)]) == [1]
    """,
    "mpire": """
        from mpire import WorkerPool
        with WorkerPool(n_jobs=8, start_method="threading") as pool:
            assert pool.map(abs, [-1]) == [1]
    """,
    "pebble": """
        from pebble import ThreadPool
        with ThreadPool(max_workers=8) as pool:
            assert list(pool.map(abs, [-1]).result()) == [1]
    """,
    "tqdm thread_map": """
        from tqdm.contrib.concurrent import thread_map
        assert thread_map(abs, [-1], max_workers=8, disable=True) == [1]
    """,
}

NO_OPS_OURS = """
    from metainformant.core.parallel import process_map
    def same(item): return item
    assert len(process_map(same, range(100_000), 2, start_method="fork")) == 100_000
"""

# Import, and a first call: 100,000 no-ops in two processes, in the chunks of TINY_MAPS.
NO_OPS = {
    "concurrent.futures": """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        def same(item): return item
        with ProcessPoolExecutor(2, mp_context=get_context("fork")) as executor:
            assert len(list(executor.map(same, range(100_000), chunksize=1000))) == 100_000
    """,
    "multiprocessing.pool": """
        from multiprocessing import get_context
        def same(item): return item
        with get_context("fork").Pool(2) as pool:
            assert len(pool.map(same, range(100_000))) == 100_000
    """,
    "joblib": """
        from joblib import Parallel, delayed
        def same(item): return item
        assert len(Parallel(n_jobs=2)(delayed(same)(item) for item in range(100_000))) == 100_000
    """,
    "loky": """
        from loky import ProcessPoolExecutor
        def same(item): return item
        with ProcessPoolExecutor(2) as executor:
            assert len(list(executor.map(same, range(100_000), chunksize=1000))) == 100_000
    """,
    "mpire": """
        from mpire import WorkerPool
        def same(item): return item
        with WorkerPool(n_jobs=2, start_method="fork") as pool:
            assert len(pool.map(same, range(100_000))) == 100_000
    """,
    "pebble": """
        from multiprocessing import get_context
        from pebble import ProcessPool
        def same(item): return item
        with ProcessPool(max_workers=2, context=get_context("fork")) as pool:
            assert len(list(pool.map(same, range(100_000), chunksize=1000).result())) == 100_000
    """,
}


def whole(scripts: dict[str, str]) -> Table:
    return {name: whole_process(code) for name, code in scripts.items()}


def inside(scripts: dict[str, str]) -> Table:
    return {name: inside_process(code) for name, code in scripts.items()}


# A module whose import takes half a second, as that of scikit-learn or PyTorch.
_SLOW_MODULE = """
import time
time.sleep(0.5)
def same(item): return item
"""

# A script that imports it, and calls it in two processes: `calls` times, the last of which counts.
_SLOW_SCRIPT = """
import time
import slow_module
{imports}

def same(item): return slow_module.same(item)

def call():
    return {call}

if __name__ == "__main__":
    for _ in range({calls}):
        began = time.perf_counter()
        assert len(call()) == 100
        seconds = time.perf_counter() - began
    print(seconds)
"""

SLOW_IMPORT_OURS = (
    "from metainformant.core.parallel import process_map",
    "process_map(same, range(100), 2)",
)

# What a script imports, and its call.
SLOW_IMPORT = {
    "concurrent.futures": (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "def run(context):\n"
        "    with ProcessPoolExecutor(2, mp_context=context) as executor:\n"
        "        return list(executor.map(same, range(100), chunksize=10))",
        "run(get_context('forkserver'))",
    ),
    "joblib": (
        "from joblib import Parallel, delayed",
        "Parallel(n_jobs=2)(delayed(same)(item) for item in range(100))",
    ),
}


def slow_import(folder: Path, script: tuple[str, str], calls: int) -> Run:
    """Run a script with an import that takes half a second; the answer is how long its call took.

    Args:
        folder: where to write it to.
        script: what it imports, and what it calls.
        calls: how many times it calls it, the last of which counts.
    """
    imports, call = script
    (folder / "slow_module.py").write_text(_SLOW_MODULE)
    path = Path(tempfile.mkdtemp(dir=folder)) / "script.py"
    path.write_text(_SLOW_SCRIPT.format(imports=imports, call=call, calls=calls))
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, str(path)]
    return lambda: float(
        subprocess.run(command, check=True, capture_output=True, env=environment).stdout
    )
