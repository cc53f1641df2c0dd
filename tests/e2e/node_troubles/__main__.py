"""``python -m tests.e2e.node_troubles --cycles 20``: kill, stop and cut off nodes, and restart PostgreSQL, under load."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

import anyio
from attrs import asdict

from tests.e2e.crash.victims import Stuck
from tests.e2e.kill_command import SHOWN
from tests.e2e.node_troubles.loop import NodeTroubles, TroublePlan


def main() -> int:
    """Make the troubles and print the figures; 1 where there is a violation, or the run stood still."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.node_troubles", description=__doc__)
    parser.add_argument("--cycles", type=int, default=20, help="how many troubles (default: 20)")
    parser.add_argument("--seed", type=int, help="decides what happens and when (default: any)")
    parser.add_argument("--nodes", type=int, default=3, help="how many nodes (default: 3)")
    parser.add_argument("--devices", type=int, default=60, help="how many devices (default: 60)")
    parser.add_argument("--rate", type=float, default=120.0, help="requests a second (default: 120)")
    parser.add_argument("--at-once", type=int, default=1, help="how many troubles at a time (default: 1)")
    parser.add_argument("--wires", choices=["either", "relays", "namespaces"], default="either", help="what is cut")
    parser.add_argument("--keep", type=Path, help="where the nodes' logs go")
    arguments = parser.parse_args()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed  # noqa: S311  # not a secret
    plan = TroublePlan(
        *(arguments.cycles, seed, arguments.nodes, arguments.devices, arguments.rate),
        at_once=arguments.at_once,
        wires=arguments.wires,
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = anyio.run(NodeTroubles(plan, Path(folder)).run)
        except Stuck as stuck:
            sys.stderr.write(f"seed {seed}: {stuck}\n")
            return 1
        finally:
            if arguments.keep is not None:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                for log in Path(folder).glob("*.log"):
                    shutil.copy(log, arguments.keep)
    told = {"seed": seed, **asdict(figures), "violations": len(figures.violations)}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    sys.stdout.write("".join(f"{violation}\n" for violation in figures.violations[:SHOWN]))
    return 1 if figures.violations else 0


if __name__ == "__main__":
    sys.exit(main())
