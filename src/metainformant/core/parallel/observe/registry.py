"""The choice of the observers of a run, by the options of its call."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..calls import MapCall
    from ..engine.events import Observer
    from .live import LivePage


def make_observers(call: MapCall, total: int | None) -> list[Observer]:
    """Return the observers that were asked for; usually none.

    Raises:
        ImportError: if a bar is asked for and nothing can draw it.
        OSError: if the file of a trace can't be made.
    """
    observers: list[Observer] = []
    if call.options.progress is not None:
        from .progress_bar import ProgressReporter

        observers.append(ProgressReporter(call, total))
    if call.options.slow_after is not None:
        from .slow_log import SlowLog

        observers.append(SlowLog(call.caller))
    if call.options.report is not None or call.options.live:
        from .recorder import RunRecorder

        observers.append(RunRecorder(call, total, _make_live(call)))
    if call.options.trace is not None:
        from .tracer import Tracer

        observers.append(Tracer(call, call.options.trace))
    if call.workers.auto is not None:
        from .workers_log import WorkersLog

        observers.append(WorkersLog(call.caller))
    return observers


def _make_live(call: MapCall) -> LivePage | None:
    if not call.options.live:
        return None
    from .live import LivePage  # needed only by those who ask for it

    return LivePage(call.caller)
