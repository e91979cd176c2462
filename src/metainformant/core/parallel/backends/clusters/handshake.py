"""Whether a worker can run what is sent to it, found out before anything is.

A worker with another minor version of Python may crash when it reads a pickled function, and one
without this package can't read what it is sent. So it is asked with nothing but the standard
library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGE = "metainformant"
_NAMES = (_PACKAGE, "cloudpickle")

# Evaluated in a worker: a dict of versions, None for what is not installed.
QUESTION = (
    "{'python': '.'.join(map(str, __import__('sys').version_info[:2])), **{"
    "name: next(iter(d.version for d in __import__('importlib.metadata', fromlist=['x'])"
    ".distributions(name=name)), None)"
    f" for name in {_NAMES!r}}}}}"
)


def versions() -> dict[str, str | None]:
    """Return the versions of this process."""
    found: dict[str, str | None] = eval(QUESTION)  # noqa: S307  # a constant, and the same as there
    return found


def mismatch(worker: str, theirs: Mapping[str, str | None]) -> str | None:
    """Return what makes a worker unusable, and the fix; None if nothing does."""
    ours = versions()
    if theirs["python"] != ours["python"]:
        return (
            f"the worker {worker} runs Python {theirs['python']}, and this process "
            f"{ours['python']}; pickled functions can crash another minor version. Start the "
            "workers and this process from the same environment"
        )
    if theirs[_PACKAGE] is None:
        return (
            f"the worker {worker} has no {_PACKAGE}, and this process has {ours[_PACKAGE]}. Run "
            f"pip install {_PACKAGE}=={ours[_PACKAGE]} where the workers run"
        )
    for name in _NAMES:
        if theirs[name] != ours[name]:
            return (
                f"the worker {worker} has {name} {theirs[name]}, and this process {ours[name]}. "
                f"Run pip install {name}=={ours[name]} where the workers run"
            )
    return None
