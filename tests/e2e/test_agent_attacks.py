"""An agent among hostile processes: it stays up, says each thing once, and an honest app does not feel it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.e2e.agent_attackers import ATTACKS
from tests.e2e.agent_attacks import attacked, open_to_all
from tests.e2e.agents import Agent, running_agent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the agent's memory is read from /proc")

FULL = {"held"}
"""What shows nothing in a small number."""

OUTCOMES = {
    "other_user": ("refused (NotSupported)", "of the user with the id 65534"),
    "wrong_hellos": ("refused (ProtocolViolation)", "the agent has cut off a peer"),
    "garbage": ("refused (FrameError)", "the agent has cut off"),
    "large_frames": ("refused (FrameError)", "a frame has 1 to 65536 bytes, not 104857600"),
    "opened_and_dropped": ("dropped", ""),
    "many_names": ("SessionWelcome", ""),
    "held": ("511 SessionWelcome, 89 Busy", "the agent has 512 sessions, and takes no more"),
    "unread": ("cut off", "the app leaves 16384 frames unread"),
    "thief": ("0 payloads stolen", ""),
    "forbidden": ("refused (ProtocolViolation)", "must not come from there"),
    "drip": ("went on to the end", ""),
    "many_channels": ("refused (ProtocolViolation)", "must not come from there"),
}
"""What becomes of each attack, and what the log says of it."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    """Run one agent for all attacks, in a folder that any user may enter."""
    with TemporaryDirectory() as folder, running_agent(Path(folder)) as found:
        open_to_all(Path(folder))
        yield found


@pytest.mark.parametrize("name", [name for name in ATTACKS if name in OUTCOMES])
async def test_an_attack_is_refused_or_survived(agent: Agent, name: str) -> None:
    """No payload of an honest app is late or lost, and the agent is no larger than before."""
    if name == "other_user" and os.geteuid() != 0:
        pytest.skip("only the superuser can start a process of another user")
    row = await attacked(agent, name, seconds=0.3, share=1 if name in FULL else 0.3 if name == "unread" else 0.03)
    outcome, said = OUTCOMES[name]
    assert outcome in row.outcome
    assert said in row.said
    assert row.up
    assert row.failures == 0
    assert row.lines <= 3
    assert row.after - row.before < 32


def test_all_attacks_are_tried() -> None:
    """Each has an outcome here, but for the comparison, and the one that takes as long as a greeting may."""
    assert ATTACKS.keys() - OUTCOMES.keys() == {"nothing", "silent"}
