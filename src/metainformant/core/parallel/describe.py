"""The names of items and errors in messages: short, and never failing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The longest text of `error_in_words`.
_LONGEST_TEXT = 10_000

# More notes than this on one exception help nobody; they pile up when a function raises the same
# exception object for every item.
_MAX_NOTES = 5


def describe(item: object) -> str:
    """Return `item` as text of at most about 60 characters; objects whose repr fails included."""
    # What is surely short does not need the rest, which takes longer than a failure itself.
    if (type(item) is str and len(item) < 40) or (type(item) is int and abs(item) < 1 << 64):
        return repr(item)
    if isinstance(item, (bytes, bytearray)) and len(item) > 40:
        return f"{bytes(item[:40])!r}... ({len(item)} bytes)"
    import reprlib  # needed only for items that are not short

    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    short.maxlevel = 3
    try:
        return short.repr(item)
    except Exception:
        return f"<{type(item).__name__}>"


def error_in_words(error: BaseException) -> str:
    """Return the name of the error's class and its text, also if making the text fails."""
    try:
        text = str(error)
    except Exception:
        text = "<its text can't be shown>"
    name = type(error).__qualname__
    return f"{name}: {text}"[:_LONGEST_TEXT] if text else name


def note_failure(
    error: BaseException,
    index: int,
    item: object,
    attempt: int,
    past: Sequence[tuple[int, str]] = (),
) -> None:
    """Add a note to `error` that names the item, and the errors of its `past` attempts.

    An exception that refuses notes stays as it is.
    """
    try:
        notes = getattr(error, "__notes__", ())
        if len(notes) < _MAX_NOTES:
            note = f"item {index} ({describe(item)}), attempt {attempt}"
            error.add_note("\n".join([note, *_earlier(past)]) if past else note)
        elif len(notes) == _MAX_NOTES:
            error.add_note("... and further items: the same exception object was raised again")
    except Exception:
        return


def note_of_item(error: BaseException) -> str | None:
    """Return what `note_failure` has noted first: the item and the attempt, in one line.

    Notes of other origin, of the function itself for example, are passed over.
    """
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, str) and note.startswith("item "):
            return note.splitlines()[0]
    return None


def _earlier(past: Sequence[tuple[int, str]]) -> Iterator[str]:
    expected = 1
    for number, text in past:
        if number > expected:
            yield f"  attempts {expected} to {number - 1} failed too"
        yield f"  attempt {number} failed: {text}"
        expected = number + 1
