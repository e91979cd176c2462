"""Exceptions by their state, so that reading one never calls the constructor of its class.

Pickle calls the class again, with `args`. That fails if its constructor wants something else, or
adds to the message what is in it already. And it forgets what is in slots.
"""

from __future__ import annotations

import contextlib
import copyreg
from functools import cache
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, NamedTuple

from .payload import dumps
from .reading import loads

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
# What is not kept of the attributes that exceptions have in C: what has a place of its own, and the
# object of an AttributeError, which may be anything.
_NOT_KEPT = frozenset(
    {
        *("args", "__traceback__", "__context__", "__cause__", "__suppress_context__"),
        *("__dict__", "message", "exceptions", "obj"),
    }
)


class _State(NamedTuple):
    """An exception, taken apart."""

    kind: type[BaseException]
    args: tuple[Any, ...]  # exceptions among them, and in lists and tuples, are taken apart too
    members: dict[str, Any]  # attributes in C
    attributes: dict[str, Any]
    slots: dict[str, Any]

    def restored(self) -> BaseException:
        built_in = _built_in(self.kind)
        args = tuple(map(_restored, self.args))
        error: BaseException = built_in.__new__(self.kind, *args)
        first = next(base for base in self.kind.__mro__ if not base.__flags__ & _HEAP_TYPE)
        with contextlib.suppress(Exception):  # these may not be what the class in C wants
            first.__init__(error, *args)  # type: ignore[misc]
        BaseException.args.__set__(error, args)  # type: ignore[attr-defined]
        descriptors = _descriptors(built_in)
        for name, value in self.members.items():
            with contextlib.suppress(Exception):  # it can't be set, or not in this version
                descriptors[name].__set__(error, _restored(value))
        for name, value in self.slots.items():
            object.__setattr__(error, name, _restored(value))
        own: dict[str, Any] = object.__getattribute__(error, "__dict__")
        own.update({name: _restored(value) for name, value in self.attributes.items()})
        return error


def dump_exception(error: BaseException) -> bytes:
    """Pickle an exception. In the copy, attributes that can't be pickled are None, and noted."""
    try:
        return dumps(_taken_apart(error))
    except Exception:
        state = _taken_apart(error)
        if not isinstance(state, _State):
            raise
        return dumps(_without_unpicklable(state))


def made_of_args(kind: Any, args: tuple[Any, ...]) -> BaseException | None:
    """Make an exception without calling its class; return None if it is not one to be made so."""
    if isinstance(kind, type) and issubclass(kind, BaseException) and _is_plain(kind):
        return _State(kind, args, {}, {}, {}).restored()
    return None


def load_exception(record: bytes) -> Any:
    """Read what `dump_exception` has pickled."""
    return _restored(loads(record))


def _taken_apart(value: Any, around: tuple[int, ...] = ()) -> Any:
    """Take apart an exception, or those in a list or tuple; return anything else as it is.

    Args:
        value: what may be an exception.
        around: ids of the exceptions that it is in. Instead of one of these there is None.
    """
    if type(value) in (list, tuple):
        return type(value)(_taken_apart(one, around) for one in value)
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
            members[name] = _taken_apart(member, around)
    return _State(
        kind,
        tuple(_taken_apart(one, around) for one in value.args),
        members,
        {name: _taken_apart(one, around) for name, one in (attributes or {}).items()},
        {name: _taken_apart(one, around) for name, one in (slots or {}).items()},
    )


def _restored(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(map(_restored, value))
    return value.restored() if isinstance(value, _State) else value


def _without_unpicklable(state: _State) -> _State:
    lost: list[str] = []

    def picklable(values: dict[str, Any]) -> dict[str, Any]:
        bad = [name for name, value in values.items() if not _can_be_pickled(value)]
        lost.extend(bad)
        return {**values, **dict.fromkeys(bad)}

    members, slots = picklable(state.members), picklable(state.slots)
    attributes = picklable(state.attributes)
    if lost:
        note = f"could not be pickled, and are None in this copy: {', '.join(lost)}"
        attributes["__notes__"] = [*(attributes.get("__notes__") or ()), note]
    return state._replace(members=members, attributes=attributes, slots=slots)


def _can_be_pickled(value: Any) -> bool:
    try:
        dumps(value)
    except Exception:
        return False
    return True


def _is_plain(kind: type[BaseException]) -> bool:
    """Return whether a class says nothing about pickling that the classes in C do not say."""
    built_in = _built_in(kind)
    if kind is built_in and not issubclass(kind, BaseExceptionGroup):
        return kind in copyreg.dispatch_table  # tblib puts a reducer there that forgets members
    names = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")
    return all(getattr(kind, name) is getattr(built_in, name) for name in names)


def _built_in(kind: type[BaseException]) -> Any:
    """Return the nearest base class that is not defined in Python: the one that makes instances."""
    base: Any = kind
    while base.__flags__ & _HEAP_TYPE:
        base = base.__base__
    return base


@cache
def _descriptors(built_in: type[BaseException]) -> dict[str, Any]:
    """Return what gets and sets the attributes that instances of a class in C have there."""
    return {
        name: descriptor
        for base in built_in.__mro__
        for name, descriptor in vars(base).items()
        if isinstance(descriptor, (MemberDescriptorType, GetSetDescriptorType))
        and name not in _NOT_KEPT
    }
