"""Pairs of sequences in two files, which take their names together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from .failures import Failure
from .output_file import OutputFile
from .records_out import Sequences
from .row_writer import RowWriter
from .values import UnfitValueError

Texts = tuple[str, ...]  # one for each of the two files, or none


class PairedSequences:
    """Pairs of sequences, in FASTA or FASTQ; each is what `Sequences` takes."""

    def __init__(self, *, with_qualities: bool) -> None:
        self._sequences = Sequences(with_qualities=with_qualities)

    def success(self, index: int, name: str, value: Any, kept: Sequence[Any] = ()) -> Texts:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise UnfitValueError(
                f"the result is {type(value).__name__}; return a pair of records, or None to "
                "leave both out"
            )
        return tuple(self._sequences.success(index, name, part) for part in value)

    def failure(self, index: int, failure: Failure, kept: Sequence[Any] = ()) -> Texts:
        return ()

    def end(self) -> Texts:
        return ()


class PairWriter:
    """Two buffers of lines before two files."""

    def __init__(self, writers: Sequence[Any]) -> None:
        self._writers: Sequence[RowWriter] = writers

    def write(self, rows: Texts) -> None:
        for writer, text in zip(self._writers, rows, strict=False):
            writer.write(text)

    def flush(self, *, wait: bool = True) -> None:
        for writer in self._writers:
            writer.flush(wait=wait)


class PairedOutput:
    """Two output files as one: a context manager, see `OutputFile`.

    Args:
        paths: the two files.
        keeps_part: whether the rows of a run that is not whole are kept.
    """

    def __init__(self, paths: Sequence[str], *, keeps_part: bool) -> None:
        self._files: list[OutputFile] = []
        with ExitStack() as opened:
            for path in paths:
                file = OutputFile(path, keeps_part=keeps_part)
                self._files.append(opened.enter_context(file))
            opened.pop_all()
        self.writer: PairWriter = PairWriter([file.writer for file in self._files])

    def __enter__(self) -> PairedOutput:
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self._files:
            file.__exit__(*exception)

    def close(self, *, whole: bool) -> None:
        """Give both files their names if they are `whole` and both were written.

        Raises:
            OSError: if the system could not write it all. Neither is given its name then.
        """
        for file in self._files:
            file.finish(whole=whole)
        if whole:
            for file in self._files:
                file.take_name()

    def whereabouts(self) -> str:
        return "; ".join(file.whereabouts() for file in self._files)
