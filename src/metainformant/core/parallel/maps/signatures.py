"""The signatures that `help` and `inspect` show: all options by name instead of `**options`.

To make one takes `inspect`, whose import takes longer than a small map, so that is put off until
somebody asks.
"""

from __future__ import annotations

import sys
from functools import partial

from ..options import OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from inspect import Signature
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

_NOTHING: Mapping[str, object] = {}
_OF_WORKERS = {name for name, option in OPTIONS.items() if option.of_workers}
_FOR_PROCESSES = {name for name, option in OPTIONS.items() if option.for_processes}


def shows_options(
    *,
    processes: bool = False,
    pool: bool = False,
    without: Collection[str] = (),
    also: Mapping[str, object] = _NOTHING,
) -> Callable[[F], F]:
    """Return a decorator of functions that take their options as `**options`.

    Args:
        processes: whether it takes those that only processes have.
        pool: whether its workers are a pool's, which has taken theirs already.
        without: those that it does not take.
        also: parameters of its own that it takes as options, with their defaults.
    """
    left_out = set(without)
    if pool:
        left_out |= _OF_WORKERS
    elif not processes:
        left_out |= _FOR_PROCESSES
    taken = {name: option.default for name, option in OPTIONS.items() if name not in left_out}
    return _with({**also, **taken})


def hides_unknown(function: F) -> F:
    """Let a function not show the `**unknown` that it takes only in order to say what is meant."""
    return _with(_NOTHING)(function)


def _with(defaults: Mapping[str, object]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        make: Any = partial(_make, function, defaults)
        # Before 3.12 it can't be put off, so those who do not ask for it must not pay for it.
        if sys.version_info < (3, 12):
            if "inspect" not in sys.modules and not hasattr(sys, "ps1"):
                return function
            make = make()
        function.__signature__ = make  # type: ignore[attr-defined]
        return function

    return decorate


def _make(function: Any, defaults: Mapping[str, object]) -> Signature:
    from inspect import Parameter, Signature, signature
    from types import FunctionType

    # A copy, since the function's own signature is the one to be made.
    copy = FunctionType(function.__code__, {}, argdefs=function.__defaults__)
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__annotations__ = function.__annotations__
    plain = signature(copy)
    rest = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    shown = [part for part in plain.parameters.values() if part.kind not in rest]
    shown += [
        Parameter(name, Parameter.KEYWORD_ONLY, default=_shown(default))
        for name, default in defaults.items()
        if name not in plain.parameters
    ]
    return Signature(shown, return_annotation=plain.return_annotation)


def _shown(default: object) -> object:
    name = getattr(default, "__name__", None)
    return default if name is None else _Name(name)


class _Name:
    """The name of a function, which says more in a signature than its address."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name
