"""What the commands of the kills have in common: cycles, a seed, the figures as JSON, and the violations one by one."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import anyio
from attrs import AttrsInstance, asdict

from tests.e2e.crash.victims import Stuck

SHOWN = 20
"""How many of the violations are told one by one."""


class Figures(AttrsInstance, Protocol):
    """What a loop of kills has come to."""

    @property
    def violations(self) -> Sequence[object]:
        """What must not be, in words."""
        ...


def kill_command(
    name: str, text: str | None, kills: Callable[[int, int, Path], Callable[[], Awaitable[Figures]]]
) -> int:
    """Run a loop of kills and print its figures; 1 where there is a violation, or the loop stood still.

    :param name: of the module that is run.
    :param text: what it is, for ``--help``.
    :param kills: makes the loop, for so many cycles, with a seed, in a folder.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=text)
    parser.add_argument("--cycles", type=int, default=30, help="how many times to kill (default: 30)")
    parser.add_argument("--seed", type=int, help="decides what happens and when it is killed (default: any)")
    arguments = parser.parse_args()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed  # noqa: S311  # not a secret
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = anyio.run(kills(arguments.cycles, seed, Path(folder)))
        except Stuck as stuck:
            sys.stderr.write(f"seed {seed}: {stuck}\n")
            return 1
    told: dict[str, Any] = {"seed": seed, **asdict(figures), "violations": len(figures.violations)}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    sys.stdout.write("".join(f"{violation}\n" for violation in figures.violations[:SHOWN]))
    return 1 if figures.violations else 0
