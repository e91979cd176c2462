"""The Dask client of a map: which one, and how many threads its workers have."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Workers may join while a map runs, so by default it may use more of them than there are when it
# begins: so many times as many threads, and at least so many.
_GROWTH = 2
_MIN_WORKERS = 16


def find_client(caller: str, cluster: object) -> Any:
    """Return the client that a call named; ValueError if that can't be used.

    Raises:
        ImportError: if distributed is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise ImportError(
            f"{caller}: {cluster!r} needs the package distributed; "
            "pip install 'metainformant[dask]'"
        ) from error

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


def default_max_workers(client: Any) -> int:
    """Return how many seats a map may have if its caller does not say."""
    threads: int = sum(client.nthreads().values())
    return max(_MIN_WORKERS, _GROWTH * threads)
