"""Reading pickles, also if they hold exceptions whose constructors want something else.

Pickle makes an exception by a call of its class with `args`. A failure that is a value or an item,
or in one, say in the list that a nested map has returned, must not fail for that.
"""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Iterable
from typing import Any, ClassVar

# What a second attempt would not mend.
_FINAL = (pickle.UnpicklingError, ImportError, EOFError, MemoryError)


def loads(record: Any, buffers: Iterable[Any] | None = None) -> Any:
    """Read a pickle; if that fails, read it once more without constructors of exceptions."""
    buffers = None if buffers is None else list(buffers)
    try:
        return pickle.loads(record, buffers=buffers)  # noqa: S301  # of ours, or of whoever trusts it
    except _FINAL:
        raise
    except Exception:
        with contextlib.suppress(Exception):  # the first one says more
            return _Reader(io.BytesIO(record), buffers=buffers).load()
        raise


_InPython: Any = vars(pickle)["_Unpickler"]  # the only one that lets itself be changed


class _Reader(_InPython):  # type: ignore[misc]
    """A slow unpickler that makes exceptions without calling their classes."""

    dispatch: ClassVar = dict(_InPython.dispatch)

    def load_reduce(self) -> None:
        from .exception_parts import made_of_args  # needed only where that has failed

        arguments = self.stack.pop()
        call = self.stack[-1]
        made = made_of_args(call, arguments)
        self.stack[-1] = call(*arguments) if made is None else made

    dispatch[pickle.REDUCE[0]] = load_reduce
