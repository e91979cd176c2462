"""The place between the engine and the delivery, where a checkpoint records outcomes.

Without a checkpoint nothing is there, and nothing is imported.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from ..calls import MapCall
    from ..engine.ending import Ending
    from ..engine.events import Observer
    from ..engine.loop import Engine
    from ..engine.outcome_batch import OutcomeBatch
    from ..engine.source import Source

    Deliver = Callable[[OutcomeBatch], object]

    class Recorder(Protocol):
        """The recorder of a run, which need not know whether it records anything.

        Attributes:
            source: the items that are to be run.
            observers: to be installed in the engine.
        """

        @property
        def source(self) -> Source: ...

        @property
        def observers(self) -> Sequence[Observer]: ...

        def begin(self, engine: Engine) -> Deliver:
            """Prepare for a run of the engine; return what takes its outcomes."""
            ...

        def finish(self, ending: Ending) -> Ending:
            """Deliver all outcomes that are left; return the ending of the whole run."""
            ...

        def fail(self, error: BaseException) -> None:
            """Record what is left, after what was raised in `begin` or while the engine ran."""
            ...

        def leave(self) -> None:
            """Learn from any thread that nobody wants more, and that the run ends soon."""
            ...

        def close(self) -> None:
            """Let go of everything, for a run that was never started."""
            ...


class NoRecorder:
    """Outcomes are delivered as they come, and recorded nowhere."""

    observers: tuple[Observer, ...] = ()

    def __init__(self, source: Source, deliver: Deliver) -> None:
        self.source = source
        self._deliver = deliver

    def begin(self, engine: Engine) -> Deliver:
        return self._deliver

    def finish(self, ending: Ending) -> Ending:
        return ending

    def fail(self, error: BaseException) -> None:
        """Do nothing: nothing was recorded."""

    def leave(self) -> None:
        """Do nothing: nobody waits for it."""

    def close(self) -> None:
        """Do nothing: nothing is open."""


def run_recorded(engine: Engine, recorder: Recorder) -> Ending:
    """Run the engine until every outcome that it found is delivered."""
    try:
        ending = engine.run(recorder.begin(engine))
    except BaseException as error:
        recorder.fail(error)
        raise
    return recorder.finish(ending)


def make_list_recorder(call: MapCall, source: Source, deliver: Deliver, keep: Deliver) -> Recorder:
    """Return the recorder of a list whose outcomes are delivered in the caller's thread.

    Args:
        call: the map.
        source: all its items.
        deliver: takes outcomes that are recorded.
        keep: takes those that could not be recorded, for the results of the error.

    Raises:
        CheckpointError: if the checkpoint can't be used.
        TypeError: if an item has no key.
    """
    if call.options.checkpoint is None:
        return NoRecorder(source, deliver)
    from .durable import ListRecorder

    return ListRecorder(call, source, deliver, keep)


def make_stream_recorder(call: MapCall, source: Source, send: Deliver) -> Recorder:
    """Return the recorder of a stream; `send` takes outcomes in any thread.

    Raises:
        CheckpointError: if the checkpoint can't be used.
    """
    if call.options.checkpoint is None:
        return NoRecorder(source, send)
    from .durable import StreamRecorder

    return StreamRecorder(call, source, send)
