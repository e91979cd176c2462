"""Exceptions taken apart, and made of their parts without a call of their class.

Pickle calls the class again, with `args`. That fails if its constructor wants something else, or
adds to the message what is in it already. And it forgets what is in slots.
"""

from __future__ import annotations

import contextlib
import copyreg
from functools import cache
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, NamedTuple

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
# What is not kept of the attributes that exceptions have in C: what has a place of its own, and the
# object of an AttributeError, which may be anything.
_NOT_KEPT = frozenset(
    {
        *("args", "__traceback__", "__context__", "__cause__", "__suppress_context__"),
        *("__dict__", "message", "exceptions", "obj"),
    }
)


class ExceptionState(NamedTuple):
    """An exception, taken apart."""

    kind: type[BaseException]
    args: tuple[Any, ...]  # exceptions among them, and in lists and tuples, are taken apart too
    members: dict[str, Any]  # attributes in C
    attributes: dict[str, Any]
    slots: dict[str, Any]

    def restored(self) -> BaseException:
        base = _built_in(self.kind)
        args = tuple(map(restored, self.args))
        error: BaseException = base.__new__(self.kind, *args)
        first = next(each for each in self.kind.__mro__ if not each.__flags__ & _HEAP_TYPE)
        with contextlib.suppress(Exception):  # these may not be what the class in C wants
            first.__init__(error, *args)  # type: ignore[misc]
        BaseException.args.__set__(error, args)  # type: ignore[attr-defined]
        members = _descriptors(base)
        for name, value in self.members.items():
            with contextlib.suppress(Exception):  # it can't be set, or not in this version
                members[name].__set__(error, restored(value))
        for name, value in self.slots.items():
            object.__setattr__(error, name, restored(value))
        own: dict[str, Any] = object.__getattribute__(error, "__dict__")
        own.update({name: restored(value) for name, value in self.attributes.items()})
        return error


def made_of_args(kind: Any, args: tuple[Any, ...]) -> BaseException | None:
    """Make an exception without calling its class; return None if it is not one to be made so."""
    if isinstance(kind, type) and issubclass(kind, BaseException) and _is_plain(kind):
        return ExceptionState(kind, args, {}, {}, {}).restored()
    return None


def taken_apart(value: Any, around: tuple[int, ...] = ()) -> Any:
    """Take apart an exception, or those in a list or tuple; return anything else as it is.

    Args:
        value: what may be an exception.
        around: ids of the exceptions that it is in. Instead of one of these there is None.
    """
    if type(value) in (list, tuple):
        return type(value)(taken_apart(one, around) for one in value)
    kind = type(value)
    if not isinstance(value, BaseException) or not _is_plain(kind):
        return value
    if id(value) in around:
        return None
    around = (*around, id(value))
    state: Any = object.__getstate__(value)
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    members = {}
    for name, descriptor in _descriptors(_built_in(kind)).items():
        member = None
        with contextlib.suppress(AttributeError):  # it is not set
            member = descriptor.__get__(value, kind)
        if member is not None:  # None may mean that it is not set, which setting None does not
            members[name] = taken_apart(member, around)
    return ExceptionState(
        kind,
        tuple(taken_apart(one, around) for one in value.args),
        members,
        {name: taken_apart(one, around) for name, one in (attributes or {}).items()},
        {name: taken_apart(one, around) for name, one in (slots or {}).items()},
    )


def restored(value: Any) -> Any:
    """Return an exception that was taken apart, or those in a list or tuple, made again."""
    if type(value) in (list, tuple):
        return type(value)(map(restored, value))
    return value.restored() if isinstance(value, ExceptionState) else value


def _is_plain(kind: type[BaseException]) -> bool:
    """Return whether a class says nothing about pickling that the classes in C do not say."""
    base = _built_in(kind)
    if kind is base and not issubclass(kind, BaseExceptionGroup):
        return kind in copyreg.dispatch_table  # tblib puts a reducer there that forgets members
    names = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")
    return all(getattr(kind, name) is getattr(base, name) for name in names)


def _built_in(kind: type[BaseException]) -> Any:
    """Return the nearest base class that is not defined in Python: the one that makes instances."""
    base: Any = kind
    while base.__flags__ & _HEAP_TYPE:
        base = base.__base__
    return base


@cache
def _descriptors(base: type[BaseException]) -> dict[str, Any]:
    """Return what gets and sets the attributes that instances of a class in C have there."""
    return {
        name: descriptor
        for each in base.__mro__
        for name, descriptor in vars(each).items()
        if isinstance(descriptor, (MemberDescriptorType, GetSetDescriptorType))
        and name not in _NOT_KEPT
    }
