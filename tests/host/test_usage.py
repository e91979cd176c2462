"""What the system says about a lack of processors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from metainformant.core.parallel.host.usage import involuntary_switches, pressure_seconds

PRESSURE = """\
some avg10=99.11 avg60=98.88 avg300=98.42 total=24221232318
full avg10=0.00 avg60=0.00 avg300=0.00 total=7
"""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(PRESSURE, 24221.232318), ("", None), ("some avg10=1", None), ("some total=x", None)],
)
def test_pressure_is_what_the_kernel_has_counted(
    tmp_path: Path, text: str, seconds: float | None
) -> None:
    path = tmp_path / "proc/pressure/cpu"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert pressure_seconds(str(tmp_path)) == seconds


def test_a_kernel_that_tells_no_pressure(tmp_path: Path) -> None:
    assert pressure_seconds(str(tmp_path)) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_switches_only_grow() -> None:
    before = involuntary_switches()
    assert before is not None
    assert (involuntary_switches() or 0) >= before >= 0
