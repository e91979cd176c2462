"""The cluster of a run: --backend dask or ray, and where it is, --cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click

from metainformant.core import parallel

from .calls import leave_interrupts_to_parent

# Seconds within which a scheduler must answer.
_CONNECT_SECONDS = 10


class ClusterPlace(NamedTuple):
    """A kind of cluster, and where it is, checked as far as that goes without connecting."""

    kind: Literal["dask", "ray"]
    where: str

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Connect to the cluster, or start one on this machine; end both afterwards.

        What is given is what maps take as their backend.

        Raises:
            click.UsageError: if its library is missing, or nobody answers there.
        """
        with ExitStack() as stack:
            try:
                connect = _connect_to_dask if self.kind == "dask" else _connect_to_ray
                backend = connect(self.where, stack)
            except ImportError:
                package = "distributed" if self.kind == "dask" else "ray"
                raise click.UsageError(
                    f"--backend {self.kind} needs the package {package}; "
                    f"pip install 'metainformant[{self.kind}]'"
                ) from None
            except (OSError, ConnectionError) as error:  # of both libraries
                text = " ".join(str(error).split())
                raise click.UsageError(
                    f"--cluster {self.where}: no {self.kind} cluster answers there: {text}"
                ) from None
            yield backend


def cluster_place(backend: str | None, where: str | None) -> ClusterPlace | None:
    """Return where the cluster is; None for workers of this machine.

    Raises:
        click.UsageError: if the two options do not fit together.
    """
    if backend not in ("dask", "ray"):
        if where is not None:
            raise click.UsageError("--cluster goes with --backend dask or --backend ray")
        return None
    if backend == "dask":
        known = "tcp://HOST:8786, the scheduler file FILE.json, local or local:N"
        fits = where is not None and ("://" in where or where.endswith(".json"))
    else:
        known = "auto, HOST:PORT, local or local:N"
        fits = where is not None and bool(re.fullmatch(r"auto|[\w.-]+:\d{2,5}", where))
    if where is None or not (fits or _local_workers(where)):
        given = "" if where is None else f"--cluster {where!r}: "
        raise click.UsageError(f"{given}--backend {backend} needs --cluster WHERE: {known}")
    if where.endswith(".json") and not Path(where).is_file():
        raise click.UsageError(f"there is no file {where!r}, which the scheduler of Dask writes")
    return ClusterPlace("dask" if backend == "dask" else "ray", where)


def _local_workers(where: str) -> int:
    """Return how many workers to start on this machine; 0 for none."""
    found = re.fullmatch(r"local(?::([1-9]\d{0,3}))?", where)
    return int(found[1] or parallel.cpu_count()) if found else 0


def _connect_to_dask(where: str, stack: ExitStack) -> Any:
    import distributed

    if count := _local_workers(where):
        cluster = distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        )
        client = stack.enter_context(distributed.Client(stack.enter_context(cluster)))
        client.run(leave_interrupts_to_parent)
        return client
    if where.endswith(".json"):
        client = distributed.Client(scheduler_file=where, timeout=_CONNECT_SECONDS)
    else:
        client = distributed.Client(where, timeout=_CONNECT_SECONDS)
    return stack.enter_context(client)


def _connect_to_ray(where: str, stack: ExitStack) -> str:
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if count := _local_workers(where):
        options.update(address="local", num_cpus=count, include_dashboard=False)
    else:
        options["address"] = where
    stack.callback(ray.shutdown)
    ray.init(**options)
    return "ray"
