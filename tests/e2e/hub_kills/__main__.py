"""``python -m tests.e2e.hub_kills --cycles 30``: kill the push service with SIGKILL while a hub's messages are on their way."""

from __future__ import annotations

import sys

from tests.e2e.hub_kills.loop import HubKills, HubPlan
from tests.e2e.kill_command import kill_command

if __name__ == "__main__":
    sys.exit(
        kill_command(
            "tests.e2e.hub_kills", __doc__, lambda cycles, seed, folder: HubKills(HubPlan(cycles, seed), folder).run
        )
    )
