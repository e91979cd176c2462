"""The cluster of a map: which one, and how many threads its workers have."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Workers may join while a map runs, so by default it may use more of them than there are when it
# begins: so many times as many threads, and at least so many.
_GROWTH = 2
_MIN_WORKERS = 16


def find_client(caller: str, cluster: object) -> Any:
    """Return the client that a call named, or "ray"; ValueError if that can't be used.

    Raises:
        ImportError: if the library of the cluster is not installed.
    """
    if isinstance(cluster, str) and cluster == "ray":
        return _find_ray(caller)
    return _find_dask(caller, cluster)


def default_max_workers(client: Any) -> int:
    """Return how many seats a map may have if its caller does not say."""
    return max(_MIN_WORKERS, _GROWTH * _count_threads(client))


def _find_dask(caller: str, cluster: object) -> Any:
    try:
        import distributed
    except ImportError as error:
        raise _missing(caller, cluster, "distributed", "dask") from error

    client: Any = cluster
    if not isinstance(cluster, distributed.Client):
        try:
            client = distributed.default_client()
        except ValueError:
            raise ValueError(
                f"{caller}: 'dask' means the current client, and there is none; make one with "
                "distributed.Client(...), or pass it"
            ) from None
    if client.status != "running":
        raise ValueError(f"{caller}: {client!r} is {client.status}; pass a client that is running")
    if client.asynchronous:
        raise ValueError(
            f"{caller}: {client!r} is asynchronous, and its event loop would wait for itself; pass "
            "one that was made without asynchronous=True"
        )
    return client


def _find_ray(caller: str) -> str:
    try:
        import ray
    except ImportError as error:
        raise _missing(caller, "ray", "ray", "ray") from error

    if not ray.is_initialized():
        raise ValueError(
            f"{caller}: 'ray' means the Ray that this process is connected to, and there is none; "
            "call ray.init() before, or ray.init('auto') for a cluster that runs"
        )
    return "ray"


def _missing(caller: str, cluster: object, package: str, extra: str) -> ImportError:
    return ImportError(
        f"{caller}: {cluster!r} needs the package {package}; pip install 'metainformant[{extra}]'"
    )


def _count_threads(client: Any) -> int:
    if client == "ray":
        import ray

        return int(ray.cluster_resources().get("CPU", 0))
    threads: dict[str, int] = client.nthreads()
    return sum(threads.values())
