"""The command: ``python -m bench NAME``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import machine, plot, render
from bench.framework import Missing, Options, Report, optional

NAMES = (
    *("inprocess", "durable", "wire", "latency", "scale", "peers", "startup", "looking_in", "agent", "idle", "soak"),
    *("mixed", "toasts", "hub", "calling", "spread", "alone", "million", "headers", "client", "page", "nodelink"),
    *("engines", "nodes", "planning", "webpush"),
)
RESULTS = Path(__file__).parent / "results"

_DESCRIPTION = """\
Measure Tocsin beside its floor and its peers, and print medians of several rounds.

--keep writes bench/results/NAME.md with a picture, beside those of the other benches. 'all' runs and keeps everything,
which takes two hours.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a bench, or all of them, and print or write what it found."""
    given = _parser().parse_args(arguments)
    try:
        options = _options(given)
        if given.name == "all":
            return _all(options)
        if given.keep:
            optional("matplotlib")
        described = machine.describe(options.folder, options.sized(200, 5))
        report = run(given.name, options)
        if given.plot is not None:
            plot.draw(report, given.plot)
        if given.keep:
            _keep(report, described, arguments or sys.argv[1:])
    except Missing as missing:
        print(f"bench: {missing}", file=sys.stderr)
        return 2
    print(json.dumps(render.to_json(report, described)) if given.json else render.to_text(report, described))
    return 0


def run(name: str, options: Options) -> Report:
    """Run a bench by its name."""
    report: Report = import_module(f"bench.{name}").run(options)
    if options.quick:
        report.remarks.append("The rounds were tiny: the figures mean nothing.")
    return report


def _all(options: Options) -> int:
    """Run and keep everything."""
    optional("matplotlib")
    for name in NAMES:
        print(f"{name} ...", file=sys.stderr)
        described = machine.describe(options.folder, options.sized(200, 5))
        print(_keep(run(name, options), described, [name, "--keep", "--rounds", str(options.rounds)]))
    return 0


def _keep(report: Report, described: dict[str, Any], arguments: list[str]) -> Path:
    """Write a report as a page with a picture, which say by what command and on what day they were made."""
    RESULTS.mkdir(exist_ok=True)
    plot.draw(report, RESULTS / f"{report.name}.png")
    page = RESULTS / f"{report.name}.md"
    made = f"`python -m bench {' '.join(arguments)}`, {datetime.now(UTC).date()}"
    page.write_text(render.to_markdown(report, described, made, f"{report.name}.png"), encoding="utf-8")
    return page


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m bench", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[*NAMES, "all"], metavar="NAME", help=f"{', '.join(NAMES)}, or all")
    parser.add_argument("--json", action="store_true", help="print one JSON object, with the figures of every round")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it, too (needs matplotlib)")
    parser.add_argument("--keep", action="store_true", help="write it to bench/results, too (needs matplotlib)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds to take the median of (default: 5)")
    parser.add_argument(
        "--quick", action="store_true", help="only prove that it runs; so it is where CI is in the environment"
    )
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], help="one event loop (default: all that are here)")
    parser.add_argument("--folder", type=Path, default=Options().folder, help="where to write (default: %(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="how long to soak, also mixed (default: %(default)g)"
    )
    parser.add_argument(
        "--rate", type=float, help="payloads a second to soak at (default: half of what it can; mixed: 400)"
    )
    return parser


def _options(given: argparse.Namespace) -> Options:
    quick = given.quick or bool(os.environ.get("CI"))
    rounds = given.rounds or (1 if quick else 5)
    return Options(rounds, quick, _loops(given.loop), given.folder, given.minutes, given.rate)


def _loops(wanted: str | None) -> tuple[str, ...]:
    """Return the event loops to measure on: the wanted one, or asyncio's and, where it is installed, uvloop's."""
    if wanted != "asyncio":
        try:
            optional("uvloop")
        except Missing:
            if wanted:
                raise
            return ("asyncio",)
    return (wanted,) if wanted else ("asyncio", "uvloop")


if __name__ == "__main__":
    sys.exit(main())
