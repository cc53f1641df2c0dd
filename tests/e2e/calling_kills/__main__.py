"""``python -m tests.e2e.calling_kills --cycles 30``: kill the calling service with SIGKILL while it rings and is answered."""

from __future__ import annotations

import sys

from tests.e2e.calling_kills.loop import CallKills, CallPlan
from tests.e2e.kill_command import kill_command

if __name__ == "__main__":
    sys.exit(
        kill_command(
            "tests.e2e.calling_kills",
            __doc__,
            lambda cycles, seed, folder: CallKills(CallPlan(cycles, seed), folder).run,
        )
    )
