"""Incoming calls: how they ring, and what accepting and declining come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing

from tests.calling.playing import ANN, BOB, CALL, RINGS, PlayedService, agent_of, ended
from tocsin.calling import (
    Call,
    CallDirection,
    CallState,
    IncomingCall,
)
from tocsin.protocol.messages.calling import AcceptCall, CallPhase, CallReady, HangUpCall


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_a_call_rings_is_accepted_and_connects(tmp_path: Path) -> None:
    """The call is CONNECTING when accept returns, and handlers that are added then see it become CONNECTED."""
    service = PlayedService()
    rung: list[IncomingCall] = []
    states: list[CallState] = []
    calls: list[Call] = []
    async with agent_of(service, tmp_path) as agent, anyio.create_task_group() as tasks:
        agent.incoming_call_received.add(lambda args: rung.append(args.incoming_call))
        await service.send(RINGS)
        await anyio.sleep(0.1)
        (incoming,) = rung
        assert (incoming.id, incoming.caller_info.shown, incoming.caller_info.identifier.raw_id) == (CALL, "Ann", ANN)
        assert incoming.is_ringing
        assert incoming.info.callee.raw_id == BOB
        assert 119 < incoming.rings_for <= 120

        async def accept() -> None:
            call = await incoming.accept()
            assert call.state is CallState.CONNECTING
            call.state_changed.add(lambda args: states.append(args.state))
            calls.append(call)

        tasks.start_soon(accept)
        asked = await service.expect(AcceptCall)
        assert not incoming.is_ringing
        await service.answer(asked, RINGS, phase=CallPhase.CONNECTING, here=True)
        ready = await service.expect(CallReady)
        await service.answer(ready, RINGS, phase=CallPhase.CONNECTED, here=True)
        await anyio.sleep(0.1)
        (call,) = calls
        assert states == [CallState.CONNECTED]
        assert agent.calls == (call,)
        assert not agent.incoming_calls
        assert call.direction is CallDirection.INCOMING
        tasks.start_soon(call.hang_up)
        asked_last = await service.expect(HangUpCall)
        await service.answer(asked_last, ended(0, 0, here=True))
        assert str(await call.wait_until_ended()) == "0/0: A participant hung up."
        await anyio.sleep(0.1)
        assert states == [CallState.CONNECTED, CallState.DISCONNECTING, CallState.DISCONNECTED]
        assert not agent.calls
