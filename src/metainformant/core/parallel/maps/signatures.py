"""What `help` and `inspect` show of maps: all options by name instead of `**options`.

To make a signature takes `inspect`, whose import takes longer than a small map, so that is put off
until somebody asks.
"""

from __future__ import annotations

from ..options import OPTIONS
from .docstrings import add_options

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
    *like: Callable[..., Any],
    processes: bool = False,
    pool: bool = False,
    without: Collection[str] = (),
    also: Mapping[str, object] = _NOTHING,
) -> Callable[[F], F]:
    """Return a decorator of functions that take their options as `**options`.

    Args:
        like: functions whose docstrings explain what that of this one does not; the first one goes
            before those that follow.
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

    def decorate(function: F) -> F:
        code = function.__code__
        own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        add_options(function, {*own, *also, *taken}, like)
        return _with({**also, **taken}, function)

    return decorate


def hides_unknown(function: F) -> F:
    """Let a function not show the `**unknown` that it takes only in order to say what is meant."""
    return _with(_NOTHING, function)


def _with(defaults: Mapping[str, object], function: F) -> F:
    function.__wrapped__ = _Shown(function, defaults)  # type: ignore[attr-defined]
    return function


class _Shown:
    """The signature that a function shows: `inspect` follows its `__wrapped__` here.

    A `__signature__` of the function itself would have to be made at once.
    """

    def __init__(self, function: Any, defaults: Mapping[str, object]) -> None:
        self._function = function
        self._defaults = defaults

    @property
    def __wrapped__(self) -> Any:
        """The function as it is written, for those who look for its source."""
        function = self._function
        copy = type(function)(
            function.__code__, function.__globals__, argdefs=function.__defaults__
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        copy.__annotations__ = function.__annotations__
        return copy

    @property
    def __signature__(self) -> Signature:
        from inspect import Parameter, Signature, signature

        plain = signature(self.__wrapped__)
        rest = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        shown = [part for part in plain.parameters.values() if part.kind not in rest]
        shown += [
            Parameter(name, Parameter.KEYWORD_ONLY, default=_shown(default))
            for name, default in self._defaults.items()
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
