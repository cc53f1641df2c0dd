"""``python -m tests.e2e.hub_kills --cycles 30``: kill the push service with SIGKILL while a hub's messages are on their way."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import anyio
from attrs import asdict

from tests.e2e.crash.victims import Stuck
from tests.e2e.hub_kills.loop import HubKills, HubPlan

SHOWN = 20
"""How many of the violations are told one by one."""


def main() -> int:
    """Run the loop and print the figures; 1 where a message was lost or doubled, or the loop stood still."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.hub_kills", description=__doc__)
    parser.add_argument("--cycles", type=int, default=30, help="how many times to kill (default: 30)")
    parser.add_argument("--seed", type=int, help="decides what is sent and when it is killed (default: any)")
    arguments = parser.parse_args()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed  # noqa: S311  # not a secret
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = anyio.run(HubKills(HubPlan(arguments.cycles, seed), Path(folder)).run)
        except Stuck as stuck:
            sys.stderr.write(f"seed {seed}: {stuck}\n")
            return 1
    told = {"seed": seed, **asdict(figures), "violations": len(figures.violations)}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    sys.stdout.write("".join(f"{violation}\n" for violation in figures.violations[:SHOWN]))
    return 1 if figures.violations else 0


if __name__ == "__main__":
    sys.exit(main())
