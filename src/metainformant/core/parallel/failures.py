"""Results parted into values and failures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from .describe import describe, error_in_words, note_of_item
from .errors import ParallelError, TaskCancelledError, TaskTimeoutError, WorkerDiedError
from .outcome import Outcome
from .public import public

R = TypeVar("R")

# How many groups are listed; the rest is counted.
_MAX_GROUPS = 20

# The longest text of a group: some messages hold a whole page, of a server for example.
_LONGEST_TEXT = 1_000

_INDENT = " " * 7


@public
class Failure(NamedTuple):
    """A failed item.

    Attributes:
        index: its position among the results, counted from 0.
        error: why it failed. Its notes name the item.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody misses in a record
    error: BaseException


@public
class Failures(list[Failure]):
    """The failures of a map, in order of their positions. It is false if there are none."""

    def summary(self) -> str:
        """Return a text that groups them by class and message, largest group first.

        Timeouts, cancelled items and lost workers are alike whatever the item and the worker are.
        Each group has its count, the first 1,000 characters of its text, and an example by the note
        that names the item of its first failure.

        >>> from metainformant.core import parallel
        >>> _, failures = parallel.split(parallel.thread_map(int, ["1", "two", "", "two"]))
        >>> print(failures.summary())
        3 failures
           2 x ValueError: invalid literal for int() with base 10: 'two'
               item 1 ('two'), attempt 1
           1 x ValueError: invalid literal for int() with base 10: ''
               item 2 (''), attempt 1
        """
        groups: dict[str, list[Failure]] = {}
        for failure in self:
            groups.setdefault(_kind(failure.error), []).append(failure)
        largest = sorted(groups.values(), key=len, reverse=True)
        lines = [f"{len(self)} failure{'' if len(self) == 1 else 's'}"]
        for failures in largest[:_MAX_GROUPS]:
            error, text = failures[0].error, error_in_words(failures[0].error)
            example, named = note_of_item(error), _item_in_text(error)
            if len(failures) > 1 and named is not None:
                text, example = text.replace(named, "an item", 1), example or named
            lines.append(f"{len(failures):>4} x {_listed(text)}")
            if example is not None:
                lines.append(_INDENT + example)
        if len(largest) > _MAX_GROUPS:
            rest = sum(map(len, largest[_MAX_GROUPS:]))
            lines.append(f"{rest:>4} x others, of {len(largest) - _MAX_GROUPS} kinds")
        return "\n".join(lines)


def _kind(error: BaseException) -> str:
    """Return what errors that say the same have in common: the class and the text.

    In texts of this package, items, workers and quantities may differ.
    """
    text = error_in_words(error)
    if not isinstance(error, ParallelError):
        return text
    import re  # slow to import, and the errors of tasks are mostly others

    named = _item_in_text(error)
    if named is not None:
        text = text.replace(named, "", 1)
    return re.sub(r"'[^']*'|\d+", "", text)


def _item_in_text(error: BaseException) -> str | None:
    """Return how an error of this package names its item, if it does."""
    if not isinstance(error, (TaskTimeoutError, TaskCancelledError, WorkerDiedError)):
        return None
    return f"item {error.index} ({error.item})"


def _listed(text: str) -> str:
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}... ({len(text):,} characters)"
    return text.rstrip().replace("\n", f"\n{_INDENT}")


@public
def split(results: Iterable[R | BaseException]) -> tuple[list[R], Failures]:
    """Part the results of a map into values and failures.

    Every exception among the results counts as a failure, also one that a function has returned.

    Args:
        results: what a map returned, or any iterable of values and exceptions; not the records of
            `outcomes`, which say themselves what failed.

    Raises:
        TypeError: if `results` can't be iterated, or has such records.

    >>> from metainformant.core import parallel
    >>> values, failures = parallel.split(parallel.thread_map(int, ["1", "two", "3"]))
    >>> values
    [1, 3]
    >>> [(failure.index, type(failure.error).__name__) for failure in failures]
    [(1, 'ValueError')]
    """
    values: list[R] = []
    failures = Failures()
    try:
        iterator = iter(results)
    except TypeError:
        raise TypeError(
            f"split: results={describe(results)} can't be iterated; pass what a map returned"
        ) from None
    for index, result in enumerate(iterator):
        if isinstance(result, BaseException):
            failures.append(Failure(index, result))
            continue
        if not values and isinstance(result, Outcome):
            raise TypeError(
                "split: results has records of outcomes(), which say what failed: look at "
                "outcome.ok, or pass the results of imap()"
            )
        values.append(result)
    return values, failures
