"""``python -m tests.e2e.crash --cycles 500``: kill the push service and the app with SIGKILL, again and again."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import anyio
from attrs import asdict

from tests.e2e.crash.loop import VICTIMS, Figures, KillLoop, Plan
from tests.e2e.crash.victims import Stuck

SHOWN = 20
"""How many of the losses are told one by one."""


def main() -> int:
    """Run the loop and print the figures; 1 where a payload was lost or doubled, or the loop stood still."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.crash", description=__doc__)
    parser.add_argument("--cycles", type=int, default=500, help="how many times to kill (default: 500)")
    parser.add_argument("--victims", choices=[*VICTIMS, "mixed"], default="mixed", help="whom to kill (default: mixed)")
    parser.add_argument("--seed", type=int, help="decides whom to kill and when (default: any)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed  # noqa: S311  # not a secret
    plan = Plan(arguments.cycles, arguments.victims, seed)
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = anyio.run(KillLoop(plan, Path(folder)).run)
        except Stuck as stuck:
            sys.stderr.write(f"seed {plan.seed}: {stuck}\n")
            return 1
    if arguments.json:
        sys.stdout.write(json.dumps({"seed": plan.seed, **asdict(figures)}) + "\n")
    else:
        sys.stdout.write(describe(plan, figures))
    return 1 if figures.lost or figures.doubled else 0


def describe(plan: Plan, figures: Figures) -> str:
    """Say the figures a line each."""
    cycles = figures.cycles.total()
    lines = {
        "cycles": f"{cycles} (seed {plan.seed}): {_each(figures.cycles)}",
        "killed once more while starting": f"{figures.killed_at_the_start}",
        "acknowledged": f"{figures.acknowledged}, {figures.messages} of them messages of Web Push",
        "handed out": f"{figures.handed_out}, {figures.redelivered} of them with attempt > 1",
        "not acknowledged": _each(figures.unacknowledged),
        "dead letters": _each(figures.dead_letters),
        "rows left in the inbox": f"{figures.rows}",
        "lost": f"{len(figures.lost)}",
        "handed out twice without a higher attempt": f"{len(figures.doubled)}",
        "seconds": f"{figures.seconds:.1f}, {cycles / figures.seconds:.1f} cycles a second",
    }
    text = "".join(f"{name + ':':43} {value}\n" for name, value in lines.items())
    return text + "".join(f"  {failure}\n" for failure in (figures.lost + figures.doubled)[:SHOWN])


def _each(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


if __name__ == "__main__":
    sys.exit(main())
