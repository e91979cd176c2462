"""Which items are in flight, so that one that kills the run every time is found.

What is handed out and what comes back is noted in the lock file, which a killed process leaves
behind. The notes are not waited for: they survive the process, if not the machine.

    {"session": 7}     whose notes the following ones are
    12 keys            a chunk was handed out; the index of its first item is 12
    -12 3              the outcomes of 3 items from there on have come, if not yet into the file

Keys are marshalled and in base64: nothing is faster, and all have to be written.
"""

from __future__ import annotations

import json
import marshal
import threading
from binascii import a2b_base64, b2a_base64
from bisect import bisect_right, insort
from collections.abc import Collection, Sequence

from . import codec
from .keys import Key
from .lock import WriterLock
from .store import Store

# An item that was in flight at so many kills in a row is not started again. Kills have other causes
# as a rule (time limits, preemption), which must not be blamed on items by chance: with three, that
# happened once in some hundred kills soon after the start.
MAX_KILLS = 5

# Bytes of notes, most of them of what has come back by now, before they are written anew.
_MAX_NOTES = 1 << 20
# A format that all versions of Python read.
_MARSHAL = 2


class _Chunk:
    """A chunk that is handed out."""

    def __init__(self, count: int, note: str) -> None:
        self.left = count
        self.notes = [note]


class InFlight:
    """Notes of one session. Any thread may call its methods; `_lock` guards all."""

    def __init__(self, file: WriterLock, session: int) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._header = json.dumps({"session": session})
        self._starts: list[int] = []  # sorted: the index of the first item of each chunk
        self._chunks: dict[int, _Chunk] = {}  # by that
        self._written = 0  # bytes of notes in the file, and at how many they are written anew
        self._limit = _MAX_NOTES
        file.rewrite([self._header])

    def begun(self, start: int, keys: Sequence[Key]) -> None:
        """Note that consecutive items, of which the first has the index `start`, are handed out.

        Raises:
            OSError: if that can't be noted.
        """
        encoded = b2a_base64(marshal.dumps(list(keys), _MARSHAL), newline=False).decode()
        chunk = _Chunk(len(keys), f"{start} {encoded}")
        with self._lock:
            insort(self._starts, start)
            self._chunks[start] = chunk
            self._append(chunk.notes[0])

    def ended(self, start: int, count: int) -> None:
        """Note that so many items from the index `start` on have come back; all are of one chunk.

        Raises:
            OSError: if that can't be noted.
        """
        with self._lock:
            place = bisect_right(self._starts, start) - 1
            if place < 0:
                return
            chunk = self._chunks[self._starts[place]]
            note = f"-{start} {count}"
            self._append(note)
            chunk.notes.append(note)
            chunk.left -= count
            if chunk.left <= 0:
                del self._chunks[self._starts.pop(place)]
            if self._written > self._limit:
                notes = [note for chunk in self._chunks.values() for note in chunk.notes]
                self._file.rewrite([self._header, *notes])
                self._written = sum(map(len, notes))
                self._limit = max(_MAX_NOTES, 2 * self._written)

    def _append(self, note: str) -> None:
        self._file.append(note)
        self._written += len(note)


def count_kills(store: Store, run: int) -> dict[Key, int]:
    """Return at how many kills in a row items were in flight, and keep that in the file.

    Items that were in flight among others of their chunk may not have been started, so they have to
    be handed out one by one; only those that were in flight by themselves are given up.
    """
    known = store.suspects(run)
    session, flying = _left_behind(store.lock.left_behind)
    if session is not None and store.was_killed(session, run):
        kills: dict[str, int] = {}
        for key, is_alone in flying:
            text = codec.key_text(key)
            before = known.get(text, 0)
            kills[text] = min(before + 1, MAX_KILLS) if is_alone else max(before, 1)
        store.set_suspects(run, kills)
        known = kills
    return {codec.key_of(text): count for text, count in known.items()}


def _left_behind(notes: Collection[str]) -> tuple[int | None, Collection[tuple[Key, bool]]]:
    """Return the session that made these notes; and what was in flight, and whether alone."""
    session: int | None = None
    flying: dict[int, tuple[Key, bool]] = {}
    for note in notes:
        try:
            if note.startswith("{"):
                session, flying = int(json.loads(note)["session"]), {}
                continue
            place, _, rest = note.partition(" ")
            if place.startswith("-"):
                start = -int(place)
                for index in range(start, start + int(rest)):
                    flying.pop(index, None)
            else:
                keys = marshal.loads(a2b_base64(rest))  # noqa: S302  # the owner's own file
                is_alone = len(keys) == 1
                flying.update(enumerate(((key, is_alone) for key in keys), int(place)))
        except (ValueError, KeyError, TypeError, IndexError, EOFError):
            continue  # the last one may be cut off
    return session, flying.values()
