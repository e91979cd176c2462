"""The checkpoint of a run: what identifies a record, and what is said about the file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from metainformant.core import parallel

from .function import UNTAKEN
from .record import Record


class Durability(NamedTuple):
    """The options that say what is kept in which file."""

    path: str
    on_change: Literal["warn", "accept", "rerun"]
    keep_failures: bool

    def checkpoint(
        self, function: Callable[..., Any], spec: str, *, are_paths: bool, in_batches: bool
    ) -> parallel.Checkpoint:
        """Return the checkpoint of a map over records.

        Args:
            function: the function; the run has its name.
            spec: how the user wrote it, which is the name of a function that has none.
            are_paths: whether records are files, whose content counts.
            in_batches: whether the function gets lists of records.
        """
        key: Any = _key_of_file if are_paths else _key_of_value
        checkpoint = parallel.Checkpoint(
            self.path,
            key=_key_of_batch(key) if in_batches else key,
            failures="keep" if self.keep_failures else "retry",
            on_change=self.on_change,
        )
        try:
            checkpoint = checkpoint.named(function)
        except ValueError:  # a lambda, say
            checkpoint.name = spec
        else:
            checkpoint.name = (checkpoint.name or spec).removeprefix(UNTAKEN)
        return checkpoint

    def hint(self) -> str:
        return f"what is finished is in {self.path!r}; the same command goes on from there"


def _key_of_value(record: Record) -> Any:
    return record.value


def _key_of_file(record: Record) -> Any:
    try:
        return parallel.file_key(record.value)
    except OSError:  # the function will say the same
        return record.value


def _key_of_batch(key: Callable[[Record], Any]) -> Callable[[list[Record]], Any]:
    return lambda batch: list(map(key, batch))


@contextmanager
def changes_told(say: Callable[[str], None]) -> Iterator[None]:
    """Say in the words of the command that outcomes come from other code, instead of warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", parallel.CheckpointWarning)
        show = warnings.showwarning

        def tell(message: Any, category: Any, *rest: Any) -> None:
            if isinstance(message, parallel.CheckpointWarning):
                say(
                    f"warning: {message.count:,} results in {message.path!r} were recorded with "
                    f"other code of {message.name}; --on-change accept keeps them without a word, "
                    "--on-change rerun calls the function again"
                )
            else:
                show(message, category, *rest)

        warnings.showwarning = tell  # type: ignore[assignment]
        yield
