"""Print the lowest versions that pyproject.toml allows, as constraints for pip.

Usage: oldest.py EXTRA... >constraints.txt
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?\s*>=\s*([\w.]+)[^;]*(;.*)?")


def constraints(requirements: Iterable[str]) -> Iterator[str]:
    """Yield each requirement with its lower bound as the only version.

    >>> list(constraints(["click>=8.1", "backports.zstd>=1; python_version < '3.14'"]))
    ['click==8.1', "backports.zstd==1; python_version < '3.14'"]
    """
    for requirement in requirements:
        found = _REQUIREMENT.fullmatch(requirement)
        if found is None:
            raise ValueError(f"{requirement!r} in pyproject.toml has no lower bound")
        yield f"{found[1]}=={found[2]}{found[3] or ''}"


def main() -> None:
    """Print the constraints for the extras that are named."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"]]
    for extra in sys.argv[1:]:
        requirements += extras[extra]
    print("\n".join(dict.fromkeys(constraints(requirements))))


if __name__ == "__main__":
    main()
