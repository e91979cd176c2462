"""The page: one file of a bounded size, in which every text stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from metainformant.core import parallel
from metainformant.core.parallel.host.usage import Usage
from metainformant.core.parallel.report.judging import judge
from metainformant.core.parallel.report.page import MAX_BYTES, page
from metainformant.core.parallel.report.record import Record

HOSTILE = "</script><img src=x onerror=alert(1)><!-- ' \" & \x00 \ud800"
VOID = {"meta", "br", "rect", "line", "circle", "path"}


class Parsed(HTMLParser):
    """The elements of a page, with their attributes, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)


def run_of(record: Record, elapsed: float = 10.0, **about: Any) -> dict[str, Any]:
    """The data of a run, as an observer makes it."""
    run: dict[str, Any] = {
        "caller": "thread_map",
        "function": "f",
        "backend": "thread",
        "max_workers": 8,
        "auto": False,
        "rate": None,
        "started": "2026-01-01T00:00:00",
        "ending": "completed",
        "reason": "",
        "options": {},
        "host": {
            "python": "3.11",
            "implementation": "CPython",
            "platform": "Linux",
            "machine": "host",
            "cpus": 2,
            "gil": True,
            "pid": 1,
        },
        **record.data(elapsed, None),
        **about,
    }
    run["counts"]["retried"] = 0
    run["limit"] = judge(run)._asdict()
    return run


def hostile_record(workers: int, groups: int) -> Record:
    record = Record(workers)
    for number in range(workers):
        name = f"{HOSTILE}{number}"
        times = [number * 0.001 * at for at in range(51)]
        usage = Usage(0.1, 0.0, 1 << 30, 0.1)
        record.chunk(
            name, 0, 0.01 * number, 10.0, 50 * number, 50, lambda _: HOSTILE * 9, times=times,
            usage=usage,
        )  # fmt: skip
        for at in range(240):
            if (at + number) % 2:
                record.timeline.add(f"busy {name}", at / 24, at / 24 + 0.01, 0.005)
    for number in range(groups):
        error = ValueError(f"{number} {HOSTILE * 50}")
        record.outcomes(1, {number: error}, lambda _: HOSTILE)
    record.timeline.peak("memory", 5.0, 1e9)
    return record


@pytest.mark.parametrize("runs", [1, 3, 50])
def test_the_page_is_small_and_whole_whatever_is_in_it(runs: int) -> None:
    run = run_of(hostile_record(600, 150), function=HOSTILE, options={"kwargs": HOSTILE})
    text = page({"runs": [run] * runs})
    assert len(text.encode()) <= MAX_BYTES
    parsed = Parsed(text)
    assert not parsed.open
    names = [name for name, _ in parsed.elements]
    assert "img" not in names
    assert names.count("script") == 1
    assert "</script><img src=x onerror=alert(1)>" in "".join(parsed.words)
    for name, attributes in parsed.elements:
        assert not {"src", "href", "xlink:href", "srcset", "action"} & set(attributes), name
        assert not any(key.startswith("on") for key in attributes)
        assert "url(" not in (attributes.get("style") or "")
    assert "url(" not in text
    assert "@import" not in text
    for plot in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        assert plot.count("<") <= 2000 + 2


def test_every_plot_has_a_table_and_sections_are_in_order() -> None:
    parsed = Parsed(page({"runs": [run_of(hostile_record(3, 2))]}))
    heads = [
        word
        for word in parsed.words
        if word
        in (
            "Where the time went",
            "What was running when",
            "Workers",
            "Durations",
            "Throughput",
            "Failures",
            "Memory",
            "Versions, host, options",
        )
    ]
    assert heads[0] == "Where the time went"
    assert len(heads) == 8
    names = [name for name, _ in parsed.elements]
    for at, name in enumerate(names):
        if name == "figure":
            following = names[at : at + 600]
            assert "table" in following[: [*following[1:], "figure"].index("figure") + 1]


@pytest.mark.parametrize("runs", [0, 2])
def test_any_number_of_runs_has_a_page(runs: int) -> None:
    parsed = Parsed(page({"runs": [run_of(Record(1), 0.0)] * runs}))
    assert not parsed.open


def test_the_policy_allows_the_one_script() -> None:
    text = page({"runs": [run_of(Record(1), 1.0)]})
    assert "sha256-" in text
    assert "default-src &#x27;none&#x27;" in text


def test_items_can_be_left_out(tmp_path: Any) -> None:
    report = parallel.Report(items=False)

    def fail(item: str) -> None:
        raise ValueError(item)

    parallel.thread_map(fail, ["confidential"] * 3, report=report)
    report.save(tmp_path / "run.html")
    assert "confidential" not in (tmp_path / "run.html").read_text()
    assert "confidential" not in repr(report.data)
    assert "ValueError" in repr(report.data)


def test_what_the_system_says_about_processors_is_shown() -> None:
    record = Record(2)
    record.time.pressure, record.time.involuntary_switches, record.time.throttled = 4.0, 1234, 2.5
    text = page({"runs": [run_of(record)]})
    assert "waited for a processor 40% of the time" in text
    assert "taken from this process 1,234 times" in text
    assert "a control group stopped this process for 2.5 s" in text
    assert "The system says" not in page({"runs": [run_of(Record(2))]})
