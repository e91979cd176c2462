"""The stack of another thread of this interpreter."""

from __future__ import annotations

import sys

from ..host.gil import HAS_GIL
from .frames import own_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from ..errors import Frame


def stack_of(ident: int | None) -> tuple[Frame, ...]:
    """Return the stack of a thread's task, outermost call first, without the frames of ours.

    Empty if the thread runs no task, or if that can't be seen.
    """
    if ident is None or not HAS_GIL:
        return ()  # without the GIL the frames of a running thread can't be read safely
    frame: FrameType | None = sys._current_frames().get(ident)
    stack: list[Frame] = []
    while frame is not None and frame.f_code not in own_code:
        stack.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return tuple(reversed(stack)) if frame is not None else ()
