"""How much memory there is for this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from metainformant.core.parallel.host import memory


class TestAvailableMemory:
    @pytest.fixture
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr("metainformant.core.parallel.host.cgroups.ROOT", str(tmp_path))
        monkeypatch.setattr("sys.platform", "linux")
        self.write(tmp_path, "proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:  8000 kB\n")
        return tmp_path

    @staticmethod
    def write(root: Path, path: str, text: str) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def test_of_the_machine(self, root: Path) -> None:
        assert memory.available_memory() == 8000 * 1024

    def test_of_a_group_of_version_2_and_its_parents(self, root: Path) -> None:
        self.write(root, "proc/self/cgroup", "0::/a/b\n")
        self.write(root, "sys/fs/cgroup/a/memory.max", "1000000\n")
        self.write(root, "sys/fs/cgroup/a/memory.current", "400000\n")
        self.write(root, "sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 50000\n")
        self.write(root, "sys/fs/cgroup/a/b/memory.max", "max\n")
        assert memory.available_memory() == 650_000

    def test_of_a_group_of_version_1(self, root: Path) -> None:
        self.write(root, "proc/self/cgroup", "5:memory:/job\n")
        self.write(root, "sys/fs/cgroup/memory/job/memory.limit_in_bytes", "2000000\n")
        self.write(root, "sys/fs/cgroup/memory/job/memory.usage_in_bytes", "2500000\n")
        assert memory.available_memory() == 0

    def test_unknown(self, root: Path) -> None:
        (root / "proc/meminfo").unlink()
        assert memory.available_memory() is None
