"""A calling service, a push service with a hub, and a device that is away from the first: rung by a push that it fetches later."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from tests.calling_service.dialling import agent_of, dial
from tests.calling_service.test_pusher_choice import chosen
from tests.service.world import dial as dial_device
from tocsin.calling_service.calling_server import open_calling_service
from tocsin.protocol.messages import Payload
from tocsin.protocol.messages.calling import (
    AttendCall,
    CallPhase,
    CallPushRegistered,
    HangUpCall,
    RegisterForCallPush,
    StartCall,
)
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service


@pytest.mark.parametrize("way", ["hub", "pushes"])
async def test_a_device_learns_of_a_call_by_a_push(tmp_path: Path, way: str) -> None:
    """It finds the call by what the push has of it, and no other; when the caller hangs up, another push says so."""
    (state := tmp_path / "service").mkdir()
    (calling := tmp_path / "calling").mkdir()
    async with open_service(state, ServiceSettings.private()) as push, dial_device(push) as device:
        settings = await chosen(push, way, tmp_path / "secret", port=0)
        await device.greet()
        uri = (await device.channel(push.registrations.apps()[0].remote_id)).uri
        async with open_calling_service(calling, settings) as service, agent_of(service, "ann") as ann:
            async with agent_of(service, "bob") as bob:
                await bob.send(RegisterForCallPush(1, uri, 3_600))
                await bob.receive(CallPushRegistered)
            row, call = service.users.named("bob"), str(uuid4())
            assert row is not None
            await ann.send(StartCall(1, call, row.raw_id, video=True))
            assert (await ann.report()).phase is CallPhase.RINGING
            with anyio.fail_after(10):
                rung = json.loads((await device.acknowledge()).body)
            assert (rung["eventId"], rung["callId"], rung["recipientId"], rung["videoCall"]) == (
                107,
                call,
                row.raw_id,
                "true",
            )
            async with dial(service) as woken:
                await woken.hello(service.users.issue_token("bob")[0], quiet=True)
                await woken.send(AttendCall(1, call, "bm90IHRoZSBjb250ZXh0"), AttendCall(2, "", rung["cp"]))
                assert [(await woken.report()).phase for _ in range(2)] == [CallPhase.UNKNOWN, CallPhase.RINGING]
            await ann.send(HangUpCall(2, call))
            assert (await ann.report()).phase is CallPhase.ENDED
            with anyio.fail_after(10):
                stopped = json.loads((await device.receive(Payload)).body)
            assert (stopped["eventId"], stopped["callId"]) == (110, call)
