"""The choice of the observers of a run, by the options of its call."""

from __future__ import annotations

from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..calls import MapCall
    from ..engine.events import Observer
    from .live import LivePage
    from .recording import Recording


def make_observers(call: MapCall, total: int | None) -> list[Observer]:
    """Return the observers that were asked for; usually none.

    Raises:
        ImportError: if a bar is asked for and nothing can draw it.
        OSError: if the file of a trace can't be made.
    """
    options = call.options
    observers: list[Observer] = []
    recording: Recording | None = None
    if options.is_reported or options.shows_progress:
        from .recording import Recording

        recording = Recording(call)
        observers.append(recording)
    if options.progress is not None:
        from .progress_bar import ProgressReporter

        record = None if recording is None else recording.record
        observers.append(ProgressReporter(call, total, record))
    if options.slow_after is not None:
        from .slow_log import SlowLog

        observers.append(SlowLog(call.caller))
    if options.is_reported and recording is not None:
        from .recorder import RunRecorder

        observers.append(RunRecorder(call, total, recording, _make_live(call)))
    if options.trace is not None:
        from ..report.trace import TraceWriter
        from .tracer import Tracer

        observers.append(Tracer(call, TraceWriter(options.trace), monotonic()))
    if options.report is not None and options.report.keep_trace:
        from .tracer import Tracer

        began = monotonic()
        observers.append(Tracer(call, options.report.new_track(began), began))
    if call.workers.auto is not None:
        from .workers_log import WorkersLog

        observers.append(WorkersLog(call.caller))
    return observers


def _make_live(call: MapCall) -> LivePage | None:
    if not call.options.live:
        return None
    from .live import LivePage  # needed only by those who ask for it

    return LivePage(call.caller)
