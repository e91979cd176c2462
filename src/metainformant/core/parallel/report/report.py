"""The report on one or several runs, as users hold it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from ..public import public
from ..whole_file import whole_file
from .judging import judge
from .limit import Limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .track import Track

_NOTHING = Limit("unknown", "Can't tell what limited a run: none has ended.")


@public
class Report:
    """An account of one or several maps, and of what limited them.

    Pass it, or just a path, as `report=`. Each call adds a run when it ends, in whatever way.

    Args:
        path: where to write the report whenever a run has ended: a name that ends in `.html` or
            `.json`; None to write nothing.
        items: False to leave out the text of items, which may be confidential.
        keep_trace: False to keep nothing for `trace`, which saves up to 10 MB per run.

    It costs the workers about 0.1 us per item, and nothing for items in threads that are shorter
    than 10 us, whose durations are known as the mean of their chunk. On Linux the first map in
    threads begins some milliseconds later. The size of a report does not grow with the number of
    items.

    >>> from metainformant.core import parallel
    >>> report = parallel.Report()
    >>> parallel.thread_map(len, ["ATG", "GATTACA"], report=report)
    [3, 7]
    >>> report.data["runs"][0]["counts"]["ok"]
    2
    >>> report.limit.kind
    'unknown'
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        items: bool = True,
        keep_trace: bool = True,
    ) -> None:
        self._path = None if path is None else checked_path(path, "path", WRITERS)
        for name, value in {"items": items, "keep_trace": keep_trace}.items():
            if not isinstance(value, bool):
                raise TypeError(f"Report: {name}={value!r} must be True or False")
        self.items = items
        self.keep_trace = keep_trace
        self._lock = threading.Lock()
        # Under the lock:
        self._runs: list[dict[str, Any]] = []
        self._tracks: list[Track] = []

    @property
    def path(self) -> str | None:
        """The file that is written whenever a run has ended; None for no file."""
        return self._path

    @property
    def data(self) -> dict[str, Any]:
        """Everything as plain values (dicts, lists, numbers and text), as in the JSON file."""
        with self._lock:
            return {"format": "metainformant report", "version": 1, "runs": list(self._runs)}

    @property
    def limit(self) -> Limit:
        """The limit of the run that took longest; its `str` is a sentence, `kind` a word."""
        with self._lock:
            run = max(self._runs, key=lambda run: float(run["elapsed"]), default=None)
        return _NOTHING if run is None else Limit(*run["limit"].values())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report to a file that ends in `.html` or `.json`.

        The file is complete or as it was before: it is written beside it and renamed.

        Raises:
            ValueError: for another ending.
            OSError: if it can't be written.
        """
        name = path_ending(path, "path", WRITERS)
        text = WRITERS[_ending(name)](self.data)
        with whole_file(name) as file:
            file.write(text.encode("utf-8", "backslashreplace"))

    def trace(self, path: str | os.PathLike[str]) -> None:
        """Write a trace of the runs that have ended, for Perfetto or Chrome's `about:tracing`.

        It has what was kept of each run: a slice per chunk and item as long as these are no more
        than 40,000, and of more than that a sample which is spread over the whole run. Chunks with
        failed and with slow items are sampled apart, so that most of these are there. How many
        items have no slice is said in `otherData`. The option `trace` of a map has up to 1,000,000.

        Args:
            path: a file that ends in `.json.gz` or `.json`. It is complete or as it was before.

        Raises:
            ValueError: for another ending, or if the report was made with `keep_trace=False`.
            OSError: if it can't be written.

        >>> import os, tempfile
        >>> from metainformant.core import parallel
        >>> report = parallel.Report()
        >>> parallel.thread_map(len, ["ATG", "GATTACA"], report=report)
        [3, 7]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report.trace(os.path.join(folder, "run.json.gz"))
        """
        from .trace import ENDINGS, TraceWriter  # needed only where one is written

        name = path_ending(path, "path", ENDINGS)
        if not self.keep_trace:
            raise ValueError(
                "Report: keep_trace=False keeps nothing to trace; leave it out, or pass "
                f"trace={name!r} to the map"
            )
        with self._lock:
            tracks = [track for track in self._tracks if track.about is not None]
        began = min((track.began for track in tracks), default=0.0)
        writer = TraceWriter(name)
        try:
            for track in tracks:
                track.write(writer, track.began - began)
        except BaseException:
            writer.discard()
            raise
        writer.close({"runs": [track.about for track in tracks]})

    def new_track(self, began: float) -> Track:
        """Return what keeps the trace of a run that begins then. For this package."""
        from .track import Track

        track = Track(began)
        with self._lock:
            self._tracks.append(track)
        return track

    def complete(self, run: dict[str, Any]) -> None:
        """Add the limit to the data of a run, and leave out what is confidential.

        For this package.
        """
        if not self.items:
            _leave_out_items(run)
        run["limit"] = judge(run)._asdict()

    def add(self, run: dict[str, Any]) -> None:
        """Add the data of a run, with its limit, and write the file. For this package.

        Raises:
            OSError: if the file can't be written.
        """
        self.complete(run)
        with self._lock:
            self._runs.append(run)
        if self._path is not None:
            self.save(self._path)


def _leave_out_items(run: Mapping[str, Any]) -> None:
    for slow in run["slowest"]:
        slow["item"] = f"item {slow['index']}"
    for group in run["failures"]["groups"]:
        group["first_item"] = f"item {group['first_index']}"
        # Messages and tracebacks may quote an item.
        group["message"] = group["traceback"] = ""


def _html(data: Mapping[str, Any]) -> str:
    from .page import page  # needed only where one is written

    return page(data)


def _json(data: Mapping[str, Any]) -> str:
    import json  # needed only where one is written

    return json.dumps(data, indent=1)


WRITERS: dict[str, Callable[[Mapping[str, Any]], str]] = {".html": _html, ".json": _json}


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def path_ending(value: object, what: str, endings: Iterable[str]) -> str:
    """Return a path as text, with one of these endings; errors call it `what`."""
    try:
        path = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        path = None
    known = " or ".join(endings)
    if not isinstance(path, str):
        raise TypeError(f"{what}={value!r} must be the path of a file, as text or a Path")
    if not path.lower().endswith(tuple(endings)):
        raise ValueError(f"{what}={path!r} must be the path of a file that ends in {known}")
    return path


def checked_path(value: object, what: str, endings: Iterable[str]) -> str:
    """Return the path of a file that can be written, as far as can be seen before a run."""
    path = path_ending(value, what, endings)
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"{what}={path!r}: there is no folder {folder!r}; make it first")
    return path
