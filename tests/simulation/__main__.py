"""The command of the seeded world: ``python -m tests.simulation --help``."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tests.simulation.many import run_seeds
from tests.simulation.plants import PLANTS, planted
from tests.simulation.report import saw
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.script import Script, draw, parse
from tests.simulation.seeds import Outcome, run
from tests.simulation.shrink import shrink
from tests.simulation.sweep import Table

SHOWN = 3
"""How many violations of many seeds are made short and shown."""

TEACHES = """\
A seed decides everything: what the apps, the service, the machine and its user do, what goes wrong, and which task goes
on first. The same seed does the same on every machine, whatever PYTHONHASHSEED says.

  python -m tests.simulation --seed 17               one seed: what happens, and what was seen of it
  python -m tests.simulation --seed 17 --trace       the same, with every store call, message and handler call
  python -m tests.simulation --seeds 0:200 --jobs 2  many seeds, added up
  python -m tests.simulation --seeds 0:200 --plant "keep a launch slot"    do they find that bug?
  python -m tests.simulation --sweep                 every store call of every scenario goes wrong in every way
  python -m tests.simulation --sweep "gate holds"    of one scenario only
  python -m tests.simulation --replay FILE           a script as it was printed; - reads it from the terminal

Where an invariant does not hold, the script is made short and printed, to be replayed; the exit code is 1.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for, and return the exit code: 1 where an invariant does not hold."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.plant is not None and options.jobs != 1:
        parser.error("a bug is planted in this process only: --jobs 1")
    with nullcontext() if options.plant is None else planted(options.plant):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    if options.sweep is not None:
        return _sweep(options.sweep or list(SCENARIOS), as_json=options.json)
    if options.seeds is not None:
        return _many(options.seeds, options.jobs, as_json=options.json)
    script = draw(options.seed) if options.replay is None else parse(_read(options.replay))
    return _one(script, trace=options.trace, as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description="Simulate the whole platform on virtual time, with faults.",
        epilog=TEACHES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, metavar="N", help="run one seed")
    what.add_argument("--seeds", type=_range, metavar="A:B", help="run the seeds from A up to B, which is not run")
    what.add_argument("--replay", metavar="FILE", help="run a script as it was printed")
    what.add_argument("--sweep", nargs="*", choices=SCENARIOS, metavar="NAME", help="run scenarios, by default all")
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="processes for --seeds (default: 1)")
    parser.add_argument("--plant", choices=PLANTS, metavar="BUG", help="plant one: " + ", ".join(PLANTS))
    parser.add_argument("--trace", action="store_true", help="print the whole trace of one run")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    return parser


def _range(text: str) -> range:
    first, _, end = text.partition(":")
    return range(int(first), int(end))


def _read(name: str) -> str:
    return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")


def _one(script: Script, *, trace: bool, as_json: bool) -> int:
    outcome = run(script)
    broken = outcome.violation is not None
    if as_json:
        _say(
            json.dumps({"seed": script.seed, "violation": broken and str(outcome.violation), "digest": outcome.digest})
        )
        return int(broken)
    _say(str(script))
    if trace:
        _say("\n" + "\n".join(outcome.trace))
    _say("\n" + saw(outcome))
    if broken:
        _explain(outcome)
    return int(broken)


def _many(seeds: range, jobs: int, *, as_json: bool) -> int:
    summary = run_seeds(seeds, jobs)
    if as_json:
        _say(json.dumps(summary.as_json()))
    else:
        for seed, text in sorted(summary.violations.items()):
            _say(f"seed {seed}: {text}")
        for seed in sorted(summary.violations)[:SHOWN]:
            _explain(run(draw(seed)))
        _say(summary.as_text())
    return int(bool(summary.violations))


def _sweep(scenarios: list[str], *, as_json: bool) -> int:
    table = Table.of(scenarios)
    _say(json.dumps(table.as_json()) if as_json else table.as_text())
    return int(bool(table.violations()))


def _explain(outcome: Outcome) -> None:
    """Print the short script of a violation."""
    short = shrink(outcome)
    _say(f"\n{short.violation}\n\nIt takes no more than this; paste it into a file for --replay:\n\n{short.script}\n")


def _say(text: Any) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
