"""Measure maps against other libraries and against what is physically possible.

Use it through make: bench, bench-page, bench-check, bench-record.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .harness import gate, page, plots
from .harness.environment import environment
from .harness.measure import measure
from .harness.results import Result, Run, result_to
from .harness.runner import ROOT, run_all
from .workloads import ENTRIES, GROUPS, QUICK, choose


def run(words: Sequence[str], scale: float, root: Path) -> bool:
    """Measure, print, and renew the results and the page in `root`; whether all went well."""
    chosen = choose(words)
    file = root / "benchmarks" / "results.json"
    here = environment()
    old = Run.load(file) if file.exists() else Run(here, {})
    # Some results fit beside the others only if those are from here too.
    fits = not words or (old.environment == here and bool(old.results)) or root != ROOT
    found: dict[str, Result] = {}
    for result in run_all(chosen, scale):
        print(page.section(result), flush=True)
        found[result.name] = result
    if fits:
        both = old.results | found if words else found
        Run(here, {name: both[name] for name in ENTRIES if name in both}).save(file)
        write_page(root)
        print(f"written to {root / 'docs'}")
    else:
        print("not written: the results on file are missing, or from another machine or versions")
    troubles = [name for name, result in found.items() if troubled(result)]
    print("".join(f"failed: {name}\n" for name in troubles), end="")
    return not troubles


def troubled(result: Result) -> bool:
    return any(
        reason.startswith("failed") for reason in [result.trouble, *(r.reason for r in result.rows)]
    )


def write_page(root: Path) -> None:
    """Write docs/benchmarks.md and its pictures from the results on file."""
    results = Run.load(root / "benchmarks" / "results.json")
    docs = root / "docs"
    drawn = plots.draw_all(results, GROUPS, docs / "benchmarks")
    docs.mkdir(exist_ok=True)
    (docs / "benchmarks.md").write_text(page.page(results, GROUPS, drawn))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "page"):
        command = commands.add_parser(name)
        command.add_argument("--into", type=Path, default=ROOT, help="instead of this project")
    commands.choices["run"].add_argument("only", nargs="*", help="groups or workloads")
    one = commands.add_parser("one", help="in this process, for `run`")
    one.add_argument("name", choices=ENTRIES)
    one.add_argument("answer", type=Path)
    for command in (commands.choices["run"], one):
        command.add_argument("--scale", type=float, default=1.0, help="of the usual time")
    commands.add_parser("check")
    commands.add_parser("record")
    commands.add_parser("list")
    chosen = parser.parse_args()
    match chosen.command:
        case "run":
            try:
                return not run(chosen.only, chosen.scale, chosen.into)
            except ValueError as error:
                parser.error(str(error))
        case "page":
            write_page(chosen.into)
        case "one":
            # What hangs shows where, shortly before its process is ended.
            faulthandler.dump_traceback_later(0.9 * ENTRIES[chosen.name].patience)
            result = measure(ENTRIES[chosen.name], chosen.scale)
            chosen.answer.write_text(json.dumps(result_to(result)))
        case "check":
            return not gate.check(QUICK)
        case "record":
            gate.write_record(QUICK)
        case "list":
            for group in GROUPS:
                print(f"{group.name}:", *(entry.name for entry in group.entries))
    return 0


if __name__ == "__main__":
    sys.exit(main())
