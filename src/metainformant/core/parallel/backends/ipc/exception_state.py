"""Exceptions by their state, so that reading one never calls the constructor of its class."""

from __future__ import annotations

from typing import Any

from ...exception_parts import ExceptionState, restored, taken_apart
from ...unpickling import loads
from .pickling import dumps


def dump_exception(error: BaseException) -> bytes:
    """Pickle an exception. In the copy, attributes that can't be pickled are None, and noted."""
    try:
        return dumps(taken_apart(error))
    except Exception:
        state = taken_apart(error)
        if not isinstance(state, ExceptionState):
            raise
        return dumps(_without_unpicklable(state))


def load_exception(record: bytes) -> Any:
    """Read what `dump_exception` has pickled."""
    return restored(loads(record))


def _without_unpicklable(state: ExceptionState) -> ExceptionState:
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
