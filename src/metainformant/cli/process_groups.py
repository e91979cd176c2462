"""The process groups of commands that are running, each of which ends as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

# Seconds between two looks at whether anybody still waits for a command.
_POLL_SECONDS = 0.05


class ProcessGroups:
    """The groups whose leaders are waited for now. Any thread may wait, and terminate them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leaders: set[subprocess.Popen[bytes]] = set()  # under the lock

    def __reduce__(self) -> tuple[type[ProcessGroups], tuple[()]]:
        return ProcessGroups, ()  # elsewhere, others are running

    def output_of(
        self,
        leader: subprocess.Popen[bytes],
        timeout: float | None,
        is_given_up: Callable[[], bool],
    ) -> tuple[bytes, bytes]:
        """Return what the leader and its group write, once all of them have closed both pipes.

        Args:
            leader: a process in a group of its own.
            timeout: the seconds after which it may be given up; None for never.
            is_given_up: whether nobody waits for the output any more. Its whole group is killed
                then, also what the leader has left in the background.
        """
        with self._lock:
            self._leaders.add(leader)
        try:
            while True:
                try:
                    return leader.communicate(timeout=timeout)
                except subprocess.TimeoutExpired:
                    if is_given_up():
                        raise
                    timeout = _POLL_SECONDS
        finally:
            try:
                self._end(leader, is_given_up)
            except BaseException:  # what ends an overdue call comes once, and may come in there
                self._end(leader, is_given_up)
                raise

    def _end(self, leader: subprocess.Popen[bytes], is_given_up: Callable[[], bool]) -> None:
        """Let nothing of a group be left that was given up, and forget its leader."""
        # What ended the leader may have spared others.
        if leader.returncode != 0 and is_given_up():
            _signal_group(leader, signal.SIGKILL)
            for pipe in (leader.stdout, leader.stderr):
                if pipe is not None:
                    pipe.close()
            leader.wait()
        with self._lock:
            self._leaders.discard(leader)

    def terminate(self) -> None:
        """Send SIGTERM to all groups."""
        with self._lock:
            for leader in self._leaders:
                _signal_group(leader, signal.SIGTERM)


def _signal_group(leader: subprocess.Popen[bytes], number: int) -> None:
    # Its id is that of the leader, and no other process gets it as long as there are members, or
    # the leader was not waited for. Where that has just happened, the system would have to go
    # through all process ids to use it again.
    with suppress(OSError):  # all have ended
        os.killpg(leader.pid, number)
