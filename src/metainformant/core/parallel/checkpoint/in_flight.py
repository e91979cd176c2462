"""Which items are in flight, so that one that kills the run every time is found.

What was handed out is noted in the lock file, which a killed process leaves behind. The notes are
not waited for: they survive the process, if not the machine.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right, insort
from collections.abc import Collection, Sequence

from . import codec
from .finished import Finished
from .keys import Key
from .lock import WriterLock
from .store import Store

# An item that was in flight at so many kills in a row is not started again.
MAX_KILLS = 3

# Bytes of notes, most of them of what is finished by now, before they are written anew.
_MAX_NOTES = 1 << 20


class InFlight:
    """Notes of one session of what was handed out and has no outcome in the file yet.

    Any thread may call its methods; `_lock` guards all.
    """

    def __init__(self, lock: WriterLock, session: int) -> None:
        self._file = lock
        self._lock = threading.Lock()
        self._header = json.dumps({"session": session})
        self._starts: list[int] = []  # sorted: the index of the first item of each chunk
        self._chunks: dict[int, tuple[int, str]] = {}  # by that: items without outcome, note
        self._written = 0  # bytes of notes in the file, and at how many it is written anew
        self._limit = _MAX_NOTES
        lock.rewrite([self._header])

    def begun(self, start: int, keys: Sequence[Key]) -> None:
        """Note that consecutive items, of which the first has the index `start`, are handed out.

        Raises:
            OSError: if that can't be noted.
        """
        keys_text = codec.encode_keys(keys)
        if isinstance(keys_text, bytes):
            keys_text = codec.to_json([[keys_text.hex()]])
        with self._lock:
            insort(self._starts, start)
            self._chunks[start] = len(keys), keys_text
            self._file.append(keys_text)
            self._written += len(keys_text)

    def recorded(self, start: int, count: int) -> None:
        """Note that so many items from the index `start` on have their outcomes in the file.

        They are of one chunk. Items that were not handed out are left out of account.
        """
        with self._lock:
            place = bisect_right(self._starts, start) - 1
            if place < 0:
                return
            first = self._starts[place]
            left, note = self._chunks[first]
            if left > count:
                self._chunks[first] = left - count, note
            else:
                del self._starts[place], self._chunks[first]
            if self._written > self._limit:
                notes = [note for _, note in self._chunks.values()]
                self._file.rewrite([self._header, *notes])
                self._written = sum(map(len, notes))
                self._limit = max(_MAX_NOTES, 2 * self._written)


def count_kills(store: Store, run: int, finished: Finished) -> dict[Key, int]:
    """Return at how many kills in a row items were in flight, and keep that in the file.

    Items that were in flight among others of their chunk may not have been started, so they have to
    be handed out one by one; only those that were in flight by themselves are given up.
    """
    known = store.suspects(run)
    session, chunks = _left_behind(store.lock.left_behind)
    if session is not None and store.was_killed(session, run):
        kills: dict[str, int] = {}
        for keys in chunks:
            for key in keys:
                if key not in finished and finished.failed.get(key) != session:
                    text = codec.key_text(key)
                    most = MAX_KILLS if len(keys) == 1 else MAX_KILLS - 1
                    kills[text] = min(known.get(text, 0) + 1, most)
        store.set_suspects(run, kills)
        known = kills
    return {codec.key_of(text): count for text, count in known.items()}


def _left_behind(notes: Collection[str]) -> tuple[int | None, list[list[Key]]]:
    """Return the session that made these notes, and the chunks that it handed out."""
    session: int | None = None
    chunks: list[list[Key]] = []
    for note in notes:
        try:
            if note.startswith("{"):
                session, chunks = int(json.loads(note)["session"]), []
            else:
                chunks.append(_chunk(note))
        except (ValueError, KeyError, TypeError, IndexError):
            continue  # the last one may be cut off
    return session, chunks


def _chunk(note: str) -> list[Key]:
    parts = json.loads(note)
    if len(parts) == 1 and type(parts[0]) is list and len(parts[0]) == 1:
        return codec.decode_keys(bytes.fromhex(parts[0][0]))
    return codec.decode_keys(note)
