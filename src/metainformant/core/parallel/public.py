"""The mark of public functions and classes: their home is the root of the package.

So tracebacks, pickles and documents name `metainformant.core.parallel.thread_map` and no private
module. `overload` is that of `typing` for type checkers only: importing `typing` would take longer
than a small map.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar
    from typing import overload as overload

    P = TypeVar("P")
else:

    def overload(func: Any) -> Any:
        """Do nothing: the definition that follows the overloads replaces them."""
        return func


def public(thing: P) -> P:
    """Name the root of the package as the module of a public function or class."""
    thing.__module__ = "metainformant.core.parallel"
    return thing
