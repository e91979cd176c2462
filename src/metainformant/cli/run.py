"""One run of `metainformant map`: from records to rows, and to an exit status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

from metainformant.core import parallel

from .calls import NotStartedError
from .failures import failure_of, why_stopped
from .interrupt_handler import INTERRUPTED, InterruptHandler
from .kept import Kept
from .pairs_out import PairWriter
from .record import BrokenInputError, Record
from .row_writer import Writer
from .rows import Rows
from .tally import Tally

OnError = Literal["record", "skip", "stop"]

SOME_FAILED = 1
BROKEN_PIPE = 141  # 128 + SIGPIPE, as shells have it

# Records that may be read and not written, if there are batches.
_BUFFER = 32768


class Settings(NamedTuple):
    """The options of one run."""

    map_options: dict[str, Any]  # what the map takes under the same names
    batch_size: int | None
    buffer: int | None  # in records
    on_error: OnError
    with_traceback: bool
    drop_none: bool = False
    kept: Kept | None = None


class Run:
    """A map from records to rows.

    Args:
        call: called with each record, or each batch.
        records: what to read.
        settings: the options.
        rows: how results are written.
        output: where they are written.
        tally: where they are counted.
        say: prints a message for the user.

    Attributes:
        is_complete: whether all records of all inputs have come out of the map, and were written.
    """

    def __init__(
        self,
        call: Callable[[Any], Any],
        records: Iterable[Record],
        settings: Settings,
        rows: Rows[Any],
        output: Writer[Any] | PairWriter,
        tally: Tally,
        say: Callable[[str], None],
    ) -> None:
        self._call = call
        self._records = records
        self._settings = settings
        self._rows = rows
        self._output = output
        self._tally = tally
        self._say = say
        self.is_complete: bool = False

    def __call__(self, interrupts: InterruptHandler) -> int:
        """Call the function with all records; return the exit status."""
        try:
            status = self._map(interrupts)
            if self._tally.done:  # else no header either
                self._output.write(self._rows.end())
            self._output.flush()
        except OSError as error:
            self.is_complete = False
            if isinstance(error, BrokenPipeError):
                return BROKEN_PIPE
            self._say(f"error: the output can't be written: {error.strerror}; the rest is lost")
            return SOME_FAILED
        return status

    def _map(self, interrupts: InterruptHandler) -> int:
        status = 0
        outcomes = self._outcomes(interrupts)
        try:
            for outcome in outcomes:
                if not self._take(outcome) and self._settings.on_error == "stop":
                    self._say("stopped at the first failure (--on-error stop)")
                    break
            else:
                self.is_complete = not interrupts.stopping
        except BrokenInputError as error:
            self._say(f"error: {error}")
            status = SOME_FAILED
        except parallel.TaskCancelledError as error:
            if not interrupts.stopping:
                self._say(f"error: stopped when {why_stopped(error)}")
            status = SOME_FAILED
        except parallel.TooManyFailuresError as error:
            self._say(
                f"error: stopped, since {error.failures} of {error.finished} finished "
                f"{'records' if self._settings.batch_size is None else 'batches'} failed "
                "(--max-failures)"
            )
            status = SOME_FAILED
        except parallel.ParallelError as error:
            self._say(f"error: {error}")
            status = SOME_FAILED
        except KeyboardInterrupt:
            self._say("error: the function raised KeyboardInterrupt, which stops the map")
            status = INTERRUPTED
        except SystemExit as error:
            self._say(f"error: the function raised SystemExit({error.code!r}), which stops the map")
            # Not 0, whatever it says: there are records without a result.
            return error.code if isinstance(error.code, int) and error.code else SOME_FAILED
        finally:
            outcomes.close()
        if interrupts.stopping:
            return interrupts.status
        return status or (SOME_FAILED if self._tally.bad else 0)

    def _outcomes(self, interrupts: InterruptHandler) -> Any:
        settings = self._settings
        size, buffer = settings.batch_size, settings.buffer
        records = interrupts.interruptible(self._records)
        if size is not None:
            buffer = max(1, (buffer or _BUFFER) // size)
        return parallel.outcomes(
            self._call,
            records if size is None else batches(records, size),
            buffer_size=buffer,
            cancel=interrupts.cancel,
            retry_on=lambda error: isinstance(error, Exception) and not interrupts.stopping,
            **settings.map_options,
        )

    def _take(self, outcome: parallel.Outcome[Any, Any]) -> bool:
        """Write and count one outcome; return whether it was a success."""
        self._tally.throttled += outcome.throttled
        if outcome.recorded:
            self._tally.recorded += 1 if self._settings.batch_size is None else len(outcome.item)
        if self._settings.batch_size is None:
            return self._one(outcome.index, outcome.item, outcome.value, outcome.error)
        first = outcome.index * self._settings.batch_size  # only the last batch is shorter
        good = True
        for position, record in enumerate(outcome.item):
            value = outcome.value[position] if outcome.ok else None
            good &= self._one(first + position, record, value, outcome.error)
        return good

    def _one(self, index: int, record: Record, value: Any, error: BaseException | None) -> bool:
        kept = () if self._settings.kept is None else self._settings.kept.of(record.value)
        if error is None:
            if value is None and self._settings.drop_none:
                self._tally.ok += 1
                self._tally.dropped += 1
                return True
            try:
                line = self._rows.success(index, record.name, value, kept)
            except Exception as unfit:  # values have their own repr() and conversions
                error = unfit
            else:
                self._tally.ok += 1
                self._output.write(line)
                return True
        elif _not_started(error):
            self._tally.not_started += 1
            return True
        failure = failure_of(record.name, error, with_traceback=self._settings.with_traceback)
        self._tally.failure(error, failure)
        if self._settings.on_error != "skip":
            self._output.write(self._rows.failure(index, failure, kept))
        return False


def batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """Divide records into lists of that size; those before broken input are not lost."""
    batch: list[Record] = []
    try:
        for record in records:
            batch.append(record)
            if len(batch) == size:
                yield batch
                batch = []
    except BrokenInputError:  # what was read before is whole
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _not_started(error: BaseException) -> bool:
    """Return whether the run ended before the record was started: it has no row."""
    if isinstance(error, parallel.TaskCancelledError):
        return not error.started
    return isinstance(error, NotStartedError)
