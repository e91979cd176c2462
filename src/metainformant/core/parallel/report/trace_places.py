"""The processes and threads of a trace: one per run and host, and one per worker. Pure."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    # The numbers of a process and of a thread, by which events name them.
    Place = tuple[int, int]

# The host in names of workers of clusters: "tcp://10.0.0.7:3344", "ray actor 1 on 10.0.0.7".
_HOST = re.compile(r"^\w+://\[?([^/\]]+)\]?:\d+|^ray actor .* on (.+)$")


class TracePlaces:
    """The places of the events of a trace. The numbers are ours; no system has given them.

    Slices of a thread must not overlap. A worker that runs several chunks at a time, as those of
    clusters do, therefore has several threads.

    Args:
        name: writes the name of a process or a thread: what it is, its place, and the name.

    Attributes:
        engine: the thread for what concerns no single worker, of the run that was begun last.
    """

    def __init__(self, name: Callable[[str, Place, str], object]) -> None:
        self._name = name
        self._processes = self._threads = 0  # how many there are
        self._process = ""
        self._hosts: dict[str, int] = {}  # the processes of this run
        self._lanes: dict[str, list[tuple[Place, float]]] = {}  # by worker, with their last end
        self.engine: Place = (0, 0)

    def begin(self, process: str) -> None:
        """Begin a run of that name, with no workers."""
        self._process = process
        self._hosts.clear()
        self._lanes.clear()
        self.engine = self._new_thread("", "engine")

    def of_worker(self, worker: str) -> Place:
        """Return the thread of a worker for something that takes no time."""
        return self._worker_lanes(worker)[0][0]

    def of_chunk(self, worker: str, started: float, ended: float) -> Place:
        """Return the thread of a worker that had nothing to do in that time."""
        lanes = self._worker_lanes(worker)
        for at, (place, last_end) in enumerate(lanes):
            if last_end <= started:
                lanes[at] = (place, ended)
                return place
        place = self._new_thread(_host(worker), f"{worker} ({len(lanes) + 1})")
        lanes.append((place, ended))
        return place

    def _worker_lanes(self, worker: str) -> list[tuple[Place, float]]:
        lanes = self._lanes.get(worker)
        if lanes is None:
            place = self._new_thread(_host(worker), worker)
            lanes = self._lanes[worker] = [(place, float("-inf"))]
        return lanes

    def _new_thread(self, host: str, name: str) -> Place:
        process = self._hosts.get(host)
        self._threads += 1
        if process is None:
            self._processes += 1
            process = self._hosts[host] = self._processes
            title = f"{self._process} on {host}" if host else self._process
            self._name("process_name", (process, self._threads), title)
        place = (process, self._threads)
        self._name("thread_name", place, name)
        return place


def _host(worker: str) -> str:
    """Return where a worker is; empty for this machine."""
    found = _HOST.match(worker)
    return "" if found is None else found[1] or found[2]
