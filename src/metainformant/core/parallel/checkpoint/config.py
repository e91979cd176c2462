"""Where a map keeps its outcomes, and what resuming it means."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TextIO

from ..public import public
from .identity import run_name
from .opening import Mode

if TYPE_CHECKING:
    from .entries import Entry
    from .export import Format
    from .report import Plan, Status

OnChange = Literal["warn", "accept", "rerun", "raise"]
_ON_CHANGE = ("warn", "accept", "rerun", "raise")
_FAILURES = ("retry", "keep")
_FILE_SYSTEMS = ("local", "network")


@public
class Checkpoint:
    """A file that holds the outcomes of a map, so that a run that was killed can go on.

    Pass it, or just its path, as `checkpoint=`. An item whose outcome is in the file is not run
    again, wherever in the input it is now; what is delivered is in the file. One file may hold
    several runs: they are told apart by the function's name and `version`.

    Args:
        path: the file. It is made if there is none.
        key: a function of the item that returns what identifies it, for items that have no
            canonical form, or whose content may change under one name: see `file_key`.
        name: what to call the run, instead of the function's qualified name with the arguments that
            `functools.partial` has bound. A lambda needs one.
        version: a word that is part of the run's identity: another one begins anew.
        failures: "retry" to run items again whose recorded outcome is a failure; "keep" to put
            the recorded failure into their slots.
        on_change: what to do about outcomes that were recorded with other code of the function.
            "warn" keeps them and says how many there are; "accept" keeps them; "rerun" runs their
            items again; "raise" raises `CheckpointError`.
        file_system: "local" or "network", where that can't be seen from the path. On file systems
            that several hosts share, nobody can read the file during a run.

    >>> import os, tempfile
    >>> from metainformant.core import parallel
    >>> path = os.path.join(tempfile.mkdtemp(), "lengths.ckpt")
    >>> parallel.thread_map(len, ["ATG", "GG"], checkpoint=path)
    [3, 2]
    >>> done = [one.recorded for one in parallel.outcomes(len, ["GG", "T"], checkpoint=path)]
    >>> done  # "GG" was not run again
    [True, False]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        key: Callable[[Any], Any] | None = None,
        name: str | None = None,
        version: str | None = None,
        failures: Literal["retry", "keep"] = "retry",
        on_change: OnChange = "warn",
        *,
        file_system: Mode | None = None,
    ) -> None:
        if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
            raise TypeError(f"Checkpoint: path={path!r} must be the path of a file")
        if not os.fspath(path):
            raise ValueError("Checkpoint: path='' must be the path of a file")
        if key is not None and not callable(key):
            raise TypeError(f"Checkpoint: key={key!r} must be a function of the item, or None")
        for argument, text in (("name", name), ("version", version)):
            if text is not None and not isinstance(text, str):
                raise TypeError(f"Checkpoint: {argument}={text!r} must be a string, or None")
        _check("failures", failures, _FAILURES)
        _check("on_change", on_change, _ON_CHANGE)
        if file_system is not None:
            _check("file_system", file_system, _FILE_SYSTEMS)
        self.path: str = os.fspath(path)
        self.key = key
        self.name = name
        self.version = version
        self.keeps_failures: bool = failures == "keep"
        self.on_change: OnChange = on_change
        self.file_system: Mode | None = file_system

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r})"

    def named(self, func: Callable[..., Any]) -> Checkpoint:
        """Return a copy that has a name: its own, or that of `func`.

        Raises:
            ValueError: if `func` has no name of its own.
        """
        return self if self.name is not None else self._with(name=run_name(func))

    def with_key(self, key: Callable[[Any], Any]) -> Checkpoint:
        """Return a copy with another key."""
        return self._with(key=key)

    def _with(self, **changes: Any) -> Checkpoint:
        other = copy.copy(self)
        vars(other).update(changes)
        return other

    def status(self) -> Status:
        """Return what is in the file, also while a run writes it.

        Raises:
            CheckpointError: if it can't be read.
        """
        from .report import status

        return status(self)

    def plan(self, func: Callable[..., Any], items: Iterable[Any]) -> Plan:
        """Return what a map of `func` over `items` would run and what it has already.

        Nothing is written. It takes memory for the keys of all items.

        Raises:
            CheckpointError: if the file can't be read.
            TypeError: if an item has no key.
        """
        from .report import plan

        return plan(self, func, items)

    def outcomes(self, *, allow_pickle: bool = False) -> Iterator[Entry]:
        """Yield the last recorded outcome of every item, in the order in which they came.

        Args:
            allow_pickle: whether to load values that are stored as pickles. That may run code: only
                for files that you trust. Otherwise their `value` is None and `pickled` True.

        Raises:
            CheckpointError: if the file can't be read, or has no run of this name and version.
        """
        from .entries import Entries

        with Entries(self, allow_pickle=allow_pickle) as entries:
            yield from entries

    def failures(self, *, allow_pickle: bool = False) -> Iterator[Entry]:
        """Yield the outcomes that are failures; see `outcomes`."""
        from .entries import Entries

        with Entries(self, allow_pickle=allow_pickle, failures=True) as entries:
            yield from entries

    def export(
        self,
        target: str | os.PathLike[str] | TextIO,
        *,
        format: Format | None = None,  # noqa: A002  # the word that other libraries have
        failures: bool = False,
        allow_pickle: bool = False,
        skip_damaged: bool = False,
    ) -> int:
        """Write all outcomes for other programs; return how many there were.

        In memory are the keys of all items, one piece, and a row group of Parquet. In JSON Lines,
        NaN and infinities are null. Parquet has a column of a real type if all values are booleans,
        integers, floats, strings or bytes, else JSON; it needs pyarrow.

        Args:
            target: a path, whose file appears when it is complete; or a file that is open for
                writing text.
            format: "jsonl", "csv" or "parquet"; None to go by the end of the path's name.
            failures: whether to write only the failures, with their tracebacks.
            allow_pickle: see `outcomes`. Values that are not loaded are "<pickled>".
            skip_damaged: whether to leave out what is damaged, with a `CheckpointWarning`, instead
                of raising. Of an item whose last outcome is left out, an earlier one is written.

        Raises:
            ValueError: if the format can't be told from the name, or is none of these; if the
                target is the checkpoint itself.
            CheckpointError: if the checkpoint can't be read, or is damaged.
            ModuleNotFoundError: if pyarrow is needed and not installed.
            OSError: if the target can't be written.
        """
        from .export import export

        return export(
            self,
            target,
            format,
            failures=failures,
            allow_pickle=allow_pickle,
            skip_damaged=skip_damaged,
        )

    def merge(self, *sources: str | os.PathLike[str]) -> int:
        """Make this checkpoint of several others, those of an array job, say.

        It holds all their runs; those of one name and version become one. Of several outcomes of
        one item, the one that was recorded last counts. The sources are only read, and may be
        written meanwhile: what is in them at the start is merged. The file appears when it is
        complete.

        Returns how many outcomes were copied.

        Raises:
            ValueError: if there is no source, if one is given twice, or is this checkpoint itself.
            CheckpointError: if there is a file already; if a source can't be read, is damaged, or
                is no checkpoint; or if the file can't be written.
        """
        from .merging import merge

        return merge(self, sources)

    def reset_kills(self) -> None:
        """Forget which items were in flight when runs were killed, so that they are run again."""
        from .store import Store

        store = Store(self.path, self.file_system)
        try:
            store.forget_suspects()
        finally:
            store.close()


def _check(argument: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        choice = ", ".join(map(repr, known))
        raise ValueError(f"Checkpoint: {argument}={value!r} must be one of {choice}")
