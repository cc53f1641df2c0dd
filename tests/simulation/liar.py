"""A session that lies: it greets as it should, speaks of what is not its own, and reads nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import SocketStream

from tests.simulation.app_process import LIAR
from tocsin.agent.launcher import Launcher
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.messages.unpacking import MAX_OWN_FRAME
from tocsin.protocol.values import AGENT_VERSION, Outcome
from tocsin.transport.frame_stream import FrameStream, StreamBroken

if TYPE_CHECKING:
    from tests.simulation.runner import Simulation

LIES = (
    "handled",
    "handled of another attempt",
    "not handled",
    "given back",
    "holding",
    "claim of another app",
    "made-up claim",
    "channel of another app",
    "no message of an app",
)
"""What it may say, all of payloads, claims and channels that are another app's."""

STAYS = 50.0
"""Seconds that it stays, without reading."""


async def tell(sim: Simulation, kind: str, number: int) -> None:
    """Lie about the payload, claim or channel of that number, then stay for a while."""
    with suppress(StreamBroken, ConnectionRefusedError):
        async with sim.processes.connect() as stream:
            frames = FrameStream(cast(SocketStream, stream), MAX_OWN_FRAME)
            await frames.send([encode(m.SessionHello(AGENT_VERSION, LIAR))])
            await frames.receive()
            await frames.send(list(map(encode, _lies(sim, kind, number))))
            with anyio.move_on_after(STAYS):
                await sim.life.ended.wait()


def _lies(sim: Simulation, kind: str, number: int) -> Iterator[m.Message]:
    """Say something of another's."""
    open_ = list(sim.store._open.values())
    if open_:
        sequence, _, _, _, attempt, _, channel, _, _ = open_[number % len(open_)]
        lies = _of_payload(sequence, attempt) | {"channel of another app": m.Subscribe(channel)}
        yield from [lies[kind]] if kind in lies else []
    if kind == "channel of another app":
        yield from (m.CloseChannel(2, name) for name in list(sim.store._channels)[:1])
    elif kind == "claim of another app":
        yield from (m.ClaimPayload(3, claim) for claim in _claims(sim.life.launcher))
    elif kind == "made-up claim":
        yield m.ClaimPayload(3, f"claim {number}")
    elif kind == "no message of an app":
        yield m.SessionEnded(f"contoso.chat/{number}")


def _of_payload(sequence: int, attempt: int) -> dict[str, m.Message]:
    return {
        "handled": m.Handled((sequence,), (attempt,)),
        "handled of another attempt": m.Handled((sequence,), (attempt + 1,)),
        "not handled": m.Outcomes((m.OutcomeRow(sequence, Outcome.NOT_HANDLED, "", attempt),)),
        "given back": m.Outcomes((m.OutcomeRow(sequence, Outcome.GIVEN_BACK, "", attempt),)),
        "holding": m.Holding((sequence,)),
    }


def _claims(launcher: Launcher | None) -> list[str]:
    """Return the secrets of others: no session can know them, and none may use them."""
    assert launcher is not None
    return [launch.claim.decode() for launch in launcher._launches.values()]
