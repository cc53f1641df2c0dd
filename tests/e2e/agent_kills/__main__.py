"""``python -m tests.e2e.agent_kills --cycles 1000``: kill the agent, its apps and what it has launched with SIGKILL, at random."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

import anyio

from tests.e2e.agent_kills.loop import AgentFigures, AgentKills, AgentPlan
from tests.e2e.crash.victims import Stuck

SHOWN = 20
"""How many of the violations are told one by one."""


def main() -> int:
    """Run the cycles and print the figures; 1 where one of them must not be, or the run stood still."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.agent_kills", description=__doc__)
    parser.add_argument("--cycles", type=int, default=100, help="how many times to kill (default: 100)")
    parser.add_argument("--seed", type=int, help="decides whom to kill and when (default: any)")
    arguments = parser.parse_args()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed  # noqa: S311  # not a secret
    plan = AgentPlan(arguments.cycles, seed)
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = anyio.run(AgentKills(plan, Path(folder)).run)
        except Stuck as stuck:
            said = (Path(folder) / "agent.log").read_text(encoding="utf-8")
            sys.stderr.write(f"seed {plan.seed}: {stuck}; the agent said last:\n{said[-2000:]}\n")
            return 1
    sys.stdout.write(describe(plan, figures))
    return 1 if figures.violations else 0


def describe(plan: AgentPlan, figures: AgentFigures) -> str:
    """Say the figures a line each."""
    cycles = figures.cycles.total()
    lines = {
        "cycles": f"{cycles} (seed {plan.seed}): {_each(figures.cycles)}",
        "killed once more while starting": f"{figures.killed_at_the_start}",
        "launched processes killed": f"{figures.launched_killed}",
        "posts": f"{figures.posts}",
        "acknowledged": f"{figures.acknowledged}, {figures.messages} of them messages of Web Push",
        "not acknowledged": _each(figures.unacknowledged),
        "handled": f"{_each(figures.handled)}; {figures.redelivered} came with attempt > 1",
        "dead letters": _each(figures.dead_letters),
        "acknowledged payloads lost": f"{len(figures.lost)}",
        "handled twice under one attempt": f"{len(figures.doubled)}",
        "orphan processes": f"{len(figures.orphans)}",
        "starts of the agent that were blocked": f"{len(figures.blocked_starts)}",
        "tracebacks": f"{len(figures.tracebacks)}",
        "seconds": f"{figures.seconds:.1f}, {figures.seconds / max(cycles, 1):.2f} a cycle",
    }
    text = "".join(f"{name + ':':39} {value}\n" for name, value in lines.items())
    return text + "".join(f"  {violation}\n" for violation in figures.violations[:SHOWN])


def _each(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


if __name__ == "__main__":
    sys.exit(main())
