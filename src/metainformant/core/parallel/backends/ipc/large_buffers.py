"""The buffers of a pickle that are large enough to be sent beside it."""

from __future__ import annotations

import pickle


class LargeBuffers(list[memoryview]):
    """Buffers that a pickle refers to.

    Args:
        least: bytes from which on a buffer is not in the pickle.
    """

    def __init__(self, least: int) -> None:
        super().__init__()
        self._least = least

    def keep(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer if it is large; return whether it stays in the pickle."""
        try:
            raw = buffer.raw()
        except BufferError:  # not contiguous
            return True
        if raw.nbytes < self._least:
            return True
        self.append(raw)
        return False
