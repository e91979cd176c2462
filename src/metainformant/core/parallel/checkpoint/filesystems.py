"""What kind of file system a file is on."""

from __future__ import annotations

import os

# Those on which the memory that SQLite shares between processes is not shared between hosts, or
# on which locks may be slow or missing. A prefix is enough: nfs4, fuse.sshfs, smb3.
_SHARED = (
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse",
    "glusterfs",
    "gpfs",
    "lustre",
    "nfs",
    "orangefs",
    "panfs",
    "pvfs2",
    "smb",
    "virtiofs",
    "wekafs",
)
_MOUNTS = "/proc/self/mountinfo"


def file_system(path: str, mounts: str = _MOUNTS) -> str:
    """Return the type of the file system that `path` is on ("ext4", "nfs4"); "" if unknown."""
    path = os.path.realpath(path)
    best, kind = "", ""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields, _, rest = line.partition(" - ")
                point = _unescaped(fields.split(" ")[4])
                # Of two mounts at one place, the later one hides the earlier.
                if len(point) >= len(best) and _is_within(path, point):
                    best, kind = point, rest.split(" ", 1)[0]
    except (OSError, IndexError):
        return ""
    return kind


def is_shared(kind: str) -> bool:
    """Return whether a file system of this type may be used by several hosts at once."""
    return kind.startswith(_SHARED)


def _is_within(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
