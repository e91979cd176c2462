"""Checks of calls that few maps make: of callbacks, and with the arguments in each item.

Only what is certain is refused, as in `functions.py`.
"""

from __future__ import annotations

import math

from .describe import describe
from .functions import GENERATOR, VARARGS, called, flags_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

# The options that are called in the caller's thread, with how many and which arguments.
_CALLBACKS = {
    "on_complete": (3, "index, item and result"),
    "progress": (1, "a Progress"),
    "backoff": (2, "the attempt and its error"),
    "retry_on": (1, "the exception"),
    "throttled": (1, "the exception"),
}
# Types of items that hold no arguments, beside None.
_HOLD_NOTHING = (int, float, complex)


def check_initializer(caller: str, initializer: object, initargs: tuple[Any, ...]) -> None:
    """Raise TypeError if a call of the initializer is certain to fail, or to run nothing."""
    if flags_of(initializer) & GENERATOR:
        raise TypeError(
            f"{caller}: initializer={initializer!r} is a generator function: calling it runs "
            "nothing. For what is to be closed at the end, pass worker_state"
        )
    misfit = _misfit(initializer, len(initargs))
    if misfit is not None:
        raise TypeError(
            f"{caller}: initializer={initializer!r} is called with the {len(initargs)} arguments "
            f"of initargs={describe(initargs)}, and {misfit}"
        )


def check_callbacks(caller: str, options: Mapping[str, object]) -> None:
    """Raise TypeError if a callback among the options is certain to fail when it is called."""
    for name, (count, arguments) in _CALLBACKS.items():
        callback = options[name]
        if callable(callback):
            misfit = _misfit(callback, count)
            if misfit is not None:
                raise TypeError(
                    f"{caller}: {name}={callback!r} is called with {arguments}, and {misfit}"
                )


def _misfit(func: object, count: int) -> str | None:
    """Return why no call with so many positional arguments can succeed; None if one may."""
    found = called(func)
    if found is None:
        return None
    target, bound, given = found
    code = target.__code__
    names = code.co_varnames[: code.co_argcount]
    required = names[: code.co_argcount - len(target.__defaults__ or ())]
    missing = [name for name in required[bound + count :] if name not in given]
    if missing:
        return f"needs {', '.join(missing)} too"
    if bound + count > len(names) and not code.co_flags & VARARGS:
        return f"takes {len(names) - bound or 'no argument'}"
    return None


def check_starred(caller: str, func: object, items: Sequence[Any], *, has_state: bool) -> None:
    """Raise TypeError if `func` can take the arguments in none of the items.

    Args:
        caller: name of the public function.
        func: what is called with them, constants included.
        items: all of them. If one may fit, the others fail for themselves.
        has_state: whether workers pass their state too.
    """
    found = called(func)
    if found is None or not items:
        return
    target, bound, given = found
    code = target.__code__
    names = code.co_varnames[: code.co_argcount]
    by_keyword = [at for at, name in enumerate(names) if name in given]
    required = range(bound, len(names) - len(target.__defaults__ or ()))
    least = max((at + 1 for at in required if at not in by_keyword), default=bound)
    most: float = min(by_keyword, default=len(names))
    if code.co_flags & VARARGS and not by_keyword:
        most = math.inf
    least, most = max(0, least - bound - has_state), most - bound - has_state
    for item in items:
        if isinstance(item, (list, tuple)):
            if least <= len(item) <= most:
                return
        elif item is not None and not isinstance(item, _HOLD_NOTHING):
            return
    if not isinstance(items[0], (list, tuple)):
        raise TypeError(
            f"{caller}: star=True passes the arguments in each item, and {describe(items[0])} "
            "holds none; leave star out, or pass tuples of arguments"
        )
    takes = (
        f"{least}"
        if least == most
        else f"{least} to {most}"
        if most < math.inf
        else f"{least} or more"
    )
    raise TypeError(
        f"{caller}: star=True passes the arguments in each item, of which {describe(items[0])} has "
        f"{len(items[0])}, and func={func!r} takes {takes}"
    )
