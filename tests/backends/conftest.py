"""What is done around every test of this folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.backends.table import KINDS, Kind, marks

if TYPE_CHECKING:
    import distributed


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=marks(kind), id=kind.name) for kind in KINDS]
)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    """A kind of workers, whose executor is kept for all tests of a file, if it has one."""
    with request.param.ready(request.getfixturevalue) as ready:
        yield ready


@pytest.fixture(scope="module")
def dask_client() -> Iterator[distributed.Client]:
    """A client of two workers with one thread each, that no test may harm for good.

    It is closed after each file: others count the processes and descriptors that there are.
    """
    import distributed  # not there for all builds

    from tests.backends.clusters.support import make_cluster

    with make_cluster() as cluster, distributed.Client(cluster) as client:
        yield client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let only what a map means be tested with Ray, and its tests come last.

    It takes some seconds to start, so it is started once; and its dozen processes would be counted
    by others.
    """
    items[:] = [
        item for item in items if "[ray" not in item.name or item.path.name == "test_behaviour.py"
    ]
    items.sort(key=_needs_ray)


def _needs_ray(item: pytest.Item) -> bool:
    return "[ray" in item.name or "ray_cluster" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """Let this process be connected to a Ray of two processors, until the last test has ended."""
    from tests.backends.clusters.ray_support import running_ray  # ray is not there for all builds

    with running_ray():
        yield "ray"


@pytest.fixture(autouse=True)
def _dask_has_all_workers(request: pytest.FixtureRequest) -> None:
    """Wait for workers that the test before has ended: each test counts on both."""
    if "kind" in request.fixturenames and request.getfixturevalue("kind").name == "dask":
        from tests.backends.clusters.support import await_all_workers

        await_all_workers(request.getfixturevalue("dask_client"))


@pytest.fixture(autouse=True)
def _no_interpreter_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Wait for interpreters that were left behind: beside any, a process can't safely be forked."""
    name = request.getfixturevalue("kind").name if "kind" in request.fixturenames else ""
    before = set(threading.enumerate())
    yield
    if name == "interpreters":
        for thread in threading.enumerate():
            if thread not in before:
                thread.join(20)
