"""A preparation with what a process can have only from its start: locks, queues, connections."""

from __future__ import annotations

import multiprocessing.context as context
import pickle
from multiprocessing.reduction import ForkingPickler
from typing import Any

from ...errors import ParallelError
from ...worker.setup import Preparation
from ..ipc.exceptions import unpicklable
from ..ipc.pickling import dumps


class InheritedPreparation:
    """A preparation among the arguments of a process, which `multiprocessing` pickles at its start.

    What can be pickled otherwise is, so that functions of `__main__` go by value if need be.

    Args:
        label: the function that users have called.
        preparation: what is to be sent.

    Raises:
        ParallelError: if something in it can't be sent even so.
    """

    def __init__(self, label: str, preparation: Preparation) -> None:
        self._initializer = _part(
            f"{label}: initializer={preparation.initializer!r}", preparation.initializer
        )
        self._initargs = [
            _part(f"{label}: initargs={preparation.initargs!r}", value)
            for value in preparation.initargs
        ]
        self._worker_state = _part(
            f"{label}: worker_state={preparation.worker_state!r}", preparation.worker_state
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _prepared, (self._initializer, self._initargs, self._worker_state)


def _prepared(initializer: Any, initargs: list[Any], worker_state: Any) -> Preparation:
    return Preparation(_read(initializer), tuple(map(_read, initargs)), _read(worker_state))


class _Raw:
    """Bytes in place of what is pickled at the start of each process."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _part(what: str, value: Any) -> bytes | _Raw:
    try:
        return dumps(value)
    except Exception:
        popen: Any = _NoProcess()
        context.set_spawning_popen(popen)
        try:
            ForkingPickler.dumps(value)
        except RuntimeError as error:
            if "fork context" not in str(error):  # multiprocessing's own words
                raise unpicklable(what, error) from error
            raise ParallelError(
                f"{what} was made for processes that are forked, and can't be "
                "sent to others. Make it with multiprocessing.get_context('forkserver'), or pass "
                "start_method='fork'"
            ) from error
        except Exception as error:
            raise unpicklable(what, error) from error
        finally:
            context.set_spawning_popen(None)
        return _Raw(value)


def _read(part: bytes | _Raw) -> Any:
    return part.value if isinstance(part, _Raw) else pickle.loads(part)


class _NoProcess:
    """In the place of a process that is being started, to see whether something can be sent."""

    DupFd = int

    def duplicate_for_child(self, handle: int) -> int:
        return handle
