"""File systems are found by the longest mount point."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metainformant.core.parallel.checkpoint.filesystems import file_system, is_shared

MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:25 / /scratch rw - lustre mds@tcp:/scratch rw
31 30 0:26 / /scratch/local rw - xfs /dev/sdb rw
32 22 0:27 / /home\040of\040all rw shared:3 master:1 - nfs4 server:/home rw
33 22 0:28 / /data rw - ext4 /dev/sdc rw
34 22 0:29 / /data rw - fuse.sshfs me@host: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/run.db", "ext4"),
        ("/scratch/run.db", "lustre"),
        ("/scratchy/run.db", "ext4"),
        ("/scratch/local/x/run.db", "xfs"),
        ("/home of all/me/run.db", "nfs4"),
        ("/data/run.db", "fuse.sshfs"),
    ],
)
def test_the_longest_and_last_mount_counts(tmp_path: Path, path: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system(path, str(mounts)) == kind


def test_shared_file_systems() -> None:
    shared = ["nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "fuse.sshfs", "9p"]
    assert all(map(is_shared, shared))
    assert not any(map(is_shared, ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "apfs", ""]))


def test_where_mounts_cannot_be_read_nothing_is_known(tmp_path: Path) -> None:
    assert file_system("/", str(tmp_path / "missing")) == ""
    broken = tmp_path / "broken"
    broken.write_text("nonsense\n")
    assert file_system("/", str(broken)) == ""


@pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="only on Linux")
def test_this_machine_has_a_file_system(tmp_path: Path) -> None:
    assert file_system(str(tmp_path / "run.db")) != ""
