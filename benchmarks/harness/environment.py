"""Where the numbers come from: machine and versions."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

_PACKAGES = ("metainformant", "joblib", "loky", "mpire", "pebble", "tqdm", "diskcache", "numpy")


def environment() -> dict[str, str]:
    found = {
        "Machine": f"{_processor()}, {_memory()}",
        "CPUs": str(os.cpu_count()),
        "System": f"{platform.system()} {platform.release()}",
        "Python": python(),
    }
    return found | {name: _version(name) for name in _PACKAGES}


def python() -> str:
    """Name this interpreter."""
    gil = getattr(sys, "_is_gil_enabled", None)
    build = "" if gil is None or gil() else ", free-threaded"
    return f"{platform.python_implementation()} {platform.python_version()}{build}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return "memory unknown"
    return f"{size / 2**30:.0f} GiB of memory"
