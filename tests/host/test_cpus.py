"""What this process may use: affinity, quotas of control groups, and the user's own word."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host import cpus

MANY = 10_000


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root folder without limits, on a machine with a great many CPUs."""
    monkeypatch.delenv("PYTHON_CPU_COUNT", raising=False)
    monkeypatch.setattr(sys, "_xoptions", {})
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cpus, "_affinity", lambda: MANY)
    monkeypatch.setattr(cpus, "ROOT", str(tmp_path))
    return tmp_path


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


def test_this_machine() -> None:
    assert 1 <= parallel.cpu_count() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON_CPU_COUNT", raising=False)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert parallel.cpu_count() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(("text", "count"), [("3", 3), (" 12 ", 12)])
def test_the_users_word_decides(
    machine: Path, monkeypatch: pytest.MonkeyPatch, text: str, count: int
) -> None:
    monkeypatch.setenv("PYTHON_CPU_COUNT", text)
    assert parallel.cpu_count() == count
    monkeypatch.setattr(sys, "_xoptions", {"cpu_count": "5"})
    assert parallel.cpu_count() == 5


@pytest.mark.parametrize("text", ["", "0", "-2", "default", "two", "1.5"])
def test_a_word_that_makes_no_sense_is_passed_over(
    machine: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("PYTHON_CPU_COUNT", text)
    assert parallel.cpu_count() == MANY


@pytest.mark.parametrize(
    ("limit", "count"),
    [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", MANY)],
)
def test_quota_of_version_2(machine: Path, limit: str, count: int) -> None:
    write(machine, "proc/self/cgroup", "0::/user/job")
    write(machine, "sys/fs/cgroup/user/job/cpu.max", limit)
    assert parallel.cpu_count() == count


def test_the_tightest_parent_counts(machine: Path) -> None:
    write(machine, "proc/self/cgroup", "0::/a/b/c")
    write(machine, "sys/fs/cgroup/a/b/c/cpu.max", "800000 100000")
    write(machine, "sys/fs/cgroup/a/b/cpu.max", "max 100000")
    write(machine, "sys/fs/cgroup/a/cpu.max", "300000 100000")
    assert parallel.cpu_count() == 3


def test_in_a_container_the_mount_is_the_group(machine: Path) -> None:
    write(machine, "proc/self/cgroup", "0::/../../not/visible")
    write(machine, "sys/fs/cgroup/cpu.max", "400000 100000")
    assert parallel.cpu_count() == 4


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_quota_of_version_1(machine: Path, mount: str) -> None:
    write(machine, "proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/job\n0::/")
    write(machine, f"sys/fs/cgroup/{mount}/job/cpu.cfs_quota_us", "250000")
    write(machine, f"sys/fs/cgroup/{mount}/job/cpu.cfs_period_us", "100000")
    assert parallel.cpu_count() == 3
    write(machine, f"sys/fs/cgroup/{mount}/job/cpu.cfs_quota_us", "-1")
    assert parallel.cpu_count() == MANY


@pytest.mark.parametrize("text", ["garbage", "0::", "\x00:\x00:\x00", "0::/a\nhalf a line"])
def test_garbage_is_never_an_error(machine: Path, text: str) -> None:
    write(machine, "proc/self/cgroup", text)
    write(machine, "sys/fs/cgroup/cpu.max", "two 0")
    assert parallel.cpu_count() in (1, MANY)


def test_platforms_without_anything(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delenv("PYTHON_CPU_COUNT", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert parallel.cpu_count() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert parallel.cpu_count() == 1
