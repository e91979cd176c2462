"""The agents of a worker of Dask, without a cluster."""

from __future__ import annotations

import asyncio
import pickle
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from metainformant.core.parallel.backends.clusters.messages import Hello, make_setup
from metainformant.core.parallel.calls import Workers, make_call

if not TYPE_CHECKING:
    pytest.importorskip("distributed", reason="not there for builds without the GIL")
from distributed.core import Status

from metainformant.core.parallel.backends.clusters.dask_host import AgentHost


def test_agents_leave_when_the_worker_begins_to_close() -> None:
    """It may wait for its nanny then, until it is killed, and never end its plugins."""

    async def run() -> bytes:
        call = make_call("cluster_map", abs, Workers("cluster", 1), {})
        setup = pickle.dumps(make_setup(call, "", keep_times=False))
        state = SimpleNamespace(nthreads=1)
        worker = SimpleNamespace(address="here", nanny="there", state=state, status=Status.running)
        host = AgentHost()
        hello: Hello = pickle.loads(host.open(worker, setup, 60.0))
        worker.status = Status.closing
        reports: bytes = (await host.poll(hello.token)).data
        return reports

    assert pickle.loads(asyncio.run(run())) is None
