"""``python -m tests.e2e.calling_kills --cycles 30``: kill the calling service with SIGKILL while it rings and is answered."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import anyio
from attrs import asdict

from tests.e2e.calling_kills.loop import CallKills, CallPlan
from tests.e2e.crash.victims import Stuck

SHOWN = 20
"""How many of the violations are told one by one."""


def main() -> int:
    """Run the loop and print the figures; 1 where a call has not one end, or the loop stood still."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.calling_kills", description=__doc__)
    parser.add_argument("--cycles", type=int, default=30, help="how many times to kill (default: 30)")
    parser.add_argument("--seed", type=int, help="decides when it is killed (default: any)")
    arguments = parser.parse_args()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed  # noqa: S311  # not a secret
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = anyio.run(CallKills(CallPlan(arguments.cycles, seed), Path(folder)).run)
        except Stuck as stuck:
            sys.stderr.write(f"seed {seed}: {stuck}\n")
            return 1
    told = {"seed": seed, **asdict(figures), "violations": len(figures.violations)}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    sys.stdout.write("".join(f"{violation}\n" for violation in figures.violations[:SHOWN]))
    return 1 if figures.violations else 0


if __name__ == "__main__":
    sys.exit(main())
