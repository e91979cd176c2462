"""The failures of a run, grouped by class and message. Of bounded size."""

from __future__ import annotations

import re
import traceback

from ..describe import describe
from ..errors import TaskTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_GROUPS = 100
_MAX_MESSAGE = 300  # characters
_MAX_TRACEBACK = 4000
_SAME_MESSAGE = 80  # messages of a class that begin with the same characters are one group
_NUMBER = re.compile(r"\d+")  # ... whatever numbers they have


class FailureGroups:
    """The counts of failures by class and message, each group with its first one.

    Attributes:
        other: failures of more groups than are kept.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], dict[str, Any]] = {}
        self.other: int = 0

    def add(self, error: BaseException, index: int, item: object, *, names_items: bool) -> None:
        name, message = type(error).__qualname__, _message(error)
        # The engine's own failures have a text that names the item.
        key = (name, "" if names_items else _NUMBER.sub("#", message[:_SAME_MESSAGE]))
        group = self._groups.get(key)
        if group is not None:
            group["count"] += 1
        elif len(self._groups) >= _MAX_GROUPS:
            self.other += 1
        else:
            self._groups[key] = {
                "type": name,
                "message": message,
                "count": 1,
                "first_index": index,
                "first_item": describe(item),
                "traceback": _traceback(error),
            }

    def data(self) -> dict[str, Any]:
        """Return the groups as plain values, the largest first."""
        groups = sorted(self._groups.values(), key=lambda group: -group["count"])
        return {"groups": [dict(group) for group in groups], "other": self.other}


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = "<its text can't be shown>"
    return text if len(text) <= _MAX_MESSAGE else f"{text[: _MAX_MESSAGE - 3]}..."


def _traceback(error: BaseException) -> str:
    """Return where it failed; of a call that took too long, where it was stuck."""
    if isinstance(error, TaskTimeoutError):
        return error.stack
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # of an exception whose own methods fail
        return ""
    # The end says most.
    return text if len(text) <= _MAX_TRACEBACK else f"...{text[3 - _MAX_TRACEBACK :]}"
