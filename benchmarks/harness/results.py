"""What was measured, as it is written to JSON, and the ratios that follow from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .workload import Kind, Unit


@dataclass(frozen=True)
class Row:
    """What one contender did, or the reason why it did nothing."""

    name: str
    kind: Kind
    median: float | None = None
    fastest: float | None = None
    slowest: float | None = None
    rounds: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Result:
    """What one workload came to."""

    name: str
    title: str
    date: str
    rows: list[Row] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    unit: Unit = "s"
    limit: str = ""
    ideal: float | None = None
    note: str = ""
    x: int | None = None
    trouble: str = ""  # why there are no rows
    python: str = ""  # if it is not the one that the page says

    def median(self, name: str) -> float | None:
        return next((row.median for row in self.rows if row.name == name), None)

    @property
    def best_peer(self) -> tuple[float, str] | None:
        """Median and name of the fastest peer, or of the smallest one."""
        rows = [row for row in self.rows if row.kind == "peer"]
        return min(((row.median, row.name) for row in rows if row.median is not None), default=None)

    @property
    def fastest_peer(self) -> float | None:
        """The median of the fastest peer."""
        best = self.best_peer
        return best and best[0]


def ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


@dataclass(frozen=True)
class Run:
    """The results of a whole run, and where they come from."""

    environment: dict[str, str]
    results: dict[str, Result]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "environment": self.environment,
            "results": [result_to(result) for result in self.results.values()],
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Run:
        content = json.loads(path.read_text())
        results = [result_from(entry) for entry in content["results"]]
        return cls(content["environment"], {result.name: result for result in results})


def result_from(entry: dict[str, Any]) -> Result:
    known = {field.name for field in fields(Result)}
    values = {key: value for key, value in entry.items() if key in known}
    return Result(**values | {"rows": [Row(**row) for row in entry.get("rows", [])]})


def result_to(result: Result) -> dict[str, Any]:
    slim: dict[str, Any] = _slim(asdict(result))
    return slim


def _slim(value: Any) -> Any:
    """Without what is empty, and without digits that mean nothing."""
    if isinstance(value, dict):
        return {key: _slim(part) for key, part in value.items() if part not in (None, "", [], {})}
    if isinstance(value, list):
        return [_slim(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
