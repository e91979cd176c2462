"""The control groups of Linux, by which containers and batch systems limit this process.

Nothing here raises: a file that can't be read is empty.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = "/"  # of the file system


def groups(root: str, controller: str) -> Iterator[tuple[bool, str]]:
    """Yield each group that may limit this process: whether it is of version 2, and its folder."""
    # A line is `hierarchy:controllers:path`; version 2 has the hierarchy 0 and no controllers.
    for line in read(root, "proc/self/cgroup").splitlines():
        hierarchy, controllers, path = (*line.split(":", 2), "", "")[:3]
        if hierarchy == "0" and not controllers:
            for folder in _with_parents("sys/fs/cgroup", path):
                yield True, folder
        elif controller in controllers.split(","):
            for mount in {f"sys/fs/cgroup/{controller}", f"sys/fs/cgroup/{controllers}"}:
                for folder in _with_parents(mount, path):
                    yield False, folder


def _with_parents(mount: str, path: str) -> Iterator[str]:
    """Yield the group's folder and those above it: a parent's limit holds for all its children.

    Inside a container the path may not exist below the mount; the mount itself then is the group.
    """
    parts = [part for part in path.split("/") if part and part != ".."]
    for end in range(len(parts), -1, -1):
        yield "/".join([mount, *parts[:end]])


def read(root: str, *path: str) -> str:
    """Return the text of a small file; empty if it can't be read."""
    try:
        with open(os.path.join(root, *path), encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
