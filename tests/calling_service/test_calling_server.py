"""The calling service as a whole, over real connections."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from aiohttp import ClientSession
from attrs import Factory, define
from websockets.frames import Frame, Opcode

from tests.calling_service.dialling import agent_of, dial
from tests.calling_service.played_agent import EPOCH, hello
from tests.service.world import connected, ending
from tocsin.calling_service.calling_server import open_calling_service
from tocsin.calling_service.calling_settings import CallingSettings
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.calling.call_at_service import Phase
from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable
from tocsin.protocol.messages import codec
from tocsin.protocol.messages.calling import (
    CALLING_PATH,
    AcceptCall,
    CallDone,
    CallPhase,
    CallPushRegistered,
    CallReady,
    CallRefused,
    HangUpCall,
    RegisterForCallPush,
    RenewCallToken,
    StartCall,
)

HERE = CallingSettings.private()
HANDSHAKE = (
    f"GET {CALLING_PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
URI = "https://push.example/w/?token=channel"


@define
class Bell:
    """A pusher that takes every push, and shows them."""

    pushes: asyncio.Queue[dict[str, Any]] = Factory(asyncio.Queue)

    def check(self, uri: str) -> None:
        """Take any channel."""
        assert uri

    async def push(self, uri: str, body: bytes, ttl: float) -> Pushed:
        """Take a push."""
        assert ttl > 0
        self.pushes.put_nowait(json.loads(body) | {"uri": uri})
        return Pushed.ACCEPTED

    async def next(self) -> dict[str, Any]:
        """Wait for the next push."""
        with anyio.fail_after(10):
            return await self.pushes.get()


async def test_a_call_goes_all_the_way(tmp_path: Path) -> None:
    """Rung over the connection, accepted, connected, hung up: both sides hear of each state, and it is kept."""
    async with (
        open_calling_service(tmp_path, HERE) as service,
        agent_of(service, "ann") as ann,
        agent_of(service, "bob") as bob,
    ):
        call, callee = str(uuid4()), service.users.named("bob")
        assert callee is not None
        await ann.send(StartCall(1, call, callee.raw_id, video=True))
        started, rung = await ann.report(), await bob.report()
        assert (started.request, started.phase, started.here) == (1, CallPhase.RINGING, True)
        assert (rung.call, rung.phase, rung.incoming, rung.peer_name, rung.video) == (
            call,
            CallPhase.RINGING,
            True,
            "Ann",
            True,
        )
        assert 0 < rung.rings_for <= 120
        await bob.send(AcceptCall(1, call, muted=False, video=False), CallReady(2, call))
        assert [(await bob.report()).phase for _ in range(2)] == [CallPhase.CONNECTING, CallPhase.CONNECTED]
        assert [(await ann.report()).phase for _ in range(2)] == [CallPhase.CONNECTING, CallPhase.CONNECTED]
        (row,) = await service.calls()
        assert row.phase is Phase.CONNECTED
        await ann.send(HangUpCall(2, call))
        ends = [await ann.report(), await bob.report()]
        assert [(end.phase, end.code, end.subcode) for end in ends] == [(CallPhase.ENDED, 0, 0)] * 2
        assert service.report().fields(details=True)["now"] == {
            "users": 2,
            "agents": 2,
            "connections": 2,
            "connections_refused": 0,
            "connections_dropped": 0,
        }


async def test_a_device_that_is_away_is_rung_by_a_push(tmp_path: Path) -> None:
    """And told by another that it rings no more; the call rings as long as the settings say."""
    bell = Bell()
    settings = CallingSettings.private(ring_time=0.2)
    async with open_calling_service(tmp_path, settings, pusher=bell) as service, agent_of(service, "ann") as ann:
        async with agent_of(service, "bob") as bob:
            await bob.send(RegisterForCallPush(1, URI, 3_600))
            assert (await bob.receive(CallPushRegistered)).ttl == pytest.approx(3_600)
        callee, call = service.users.named("bob"), str(uuid4())
        assert callee is not None
        await ann.send(StartCall(1, call, callee.raw_id, video=False))
        assert (await ann.report()).phase is CallPhase.RINGING
        ring, stop = await bell.next(), await bell.next()
        assert (ring["eventId"], ring["callId"], ring["displayName"], ring["uri"]) == (107, call, "Ann", URI)
        assert (stop["eventId"], stop["callId"]) == (110, call)
        end = await ann.report()
        assert (end.code, end.subcode) == (487, 10004)


async def test_calls_and_users_outlive_a_restart(tmp_path: Path) -> None:
    """An agent comes back with the call that it is in, by the token that it has, and the call goes on."""
    async with (
        open_calling_service(tmp_path, HERE) as service,
        agent_of(service, "bob"),
        agent_of(service, "ann") as ann,
    ):
        call, callee = str(uuid4()), service.users.named("bob")
        assert callee is not None
        await ann.send(StartCall(1, call, callee.raw_id, video=False))
        await ann.report()
        token, _ = service.users.issue_token("bob")
    async with open_calling_service(tmp_path, HERE) as service, dial(service) as bob:
        await bob.hello(token)
        rung = await bob.report()
        assert (rung.call, rung.phase) == (call, CallPhase.RINGING)


async def test_a_token_ends_by_the_service_clock(tmp_path: Path) -> None:
    """Whatever the machine's clock says; a token that has ended lets no agent in."""
    time = [EPOCH]
    async with open_calling_service(tmp_path, HERE, now=lambda: time[0]) as service, dial(service) as agent:
        await service.users.add("ann")
        token, expires = service.users.issue_token("ann")
        assert expires == EPOCH + 86_400
        assert (await agent.hello(token)).token_left == 86_400
        await agent.send(RenewCallToken(1, service.users.issue_token("ann", 3_600)[0]))
        assert await agent.receive(CallDone) == CallDone(1)
        time[0] += 3_601
        await agent.send(RenewCallToken(2, token))
        refused = await agent.receive(CallRefused)
        assert (refused.request, refused.error, "has expired" in refused.text) == (0, "SenderNotAllowed", True)
        assert (await agent.closed())[0] == 1008
        async with dial(service) as other:
            time[0] += 86_400
            await other.send(hello(token))
            refused = await other.receive(CallRefused)
            assert (refused.error, "has expired" in refused.text) == ("SenderNotAllowed", True)


async def test_who_is_removed_is_sent_away(tmp_path: Path) -> None:
    """The connection ends, and the token is good for nothing."""
    async with open_calling_service(tmp_path, HERE) as service, agent_of(service, "ann") as ann:
        token, _ = service.users.issue_token("ann")
        await service.users.remove("ann")
        refused = await ann.receive(CallRefused)
        assert refused.request == 0
        assert (await ann.closed())[0] == 1008
        async with dial(service) as again:
            await again.send(hello(token))
            assert "was removed" in (await again.receive(CallRefused)).text


async def test_the_doors_are_bounded(tmp_path: Path) -> None:
    """One connection too many is told so, one that says nothing is dropped, a frame too long is refused, agents are pinged."""
    settings = CallingSettings.private(max_connections=2, head_timeout=0.05, hello_timeout=0.2, ping_interval=0.1)
    async with open_calling_service(tmp_path, settings) as service:
        async with dial(service) as silent:
            assert await silent.closed() == (1002, "no CallHello within 0.2 s")
        async with agent_of(service, "ann") as ann, agent_of(service, "bob"):
            async with connected(service.port) as (reader, _):
                assert (await ending(reader)).startswith(b"HTTP/1.1 503")
            await ann.socket.send(b"x" * 100_000)
            assert (await ann.closed())[0] == 1002
        async with connected(service.port) as (reader, _):
            assert await ending(reader) == b""


async def test_an_agent_that_answers_no_ping_is_dropped(tmp_path: Path) -> None:
    """It may have lost the network: its calls are then for its other endpoints."""
    settings = CallingSettings.private(ping_interval=0.1)
    async with open_calling_service(tmp_path, settings) as service:
        await service.users.add("ann")
        frame = Frame(Opcode.BINARY, codec.encode(hello(service.users.issue_token("ann")[0])))
        async with connected(service.port) as (reader, writer):
            writer.write(HANDSHAKE)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(frame.serialize(mask=True, extensions=[]))
            got = await ending(reader)
        assert b"keepalive ping timeout" in got


async def test_other_paths_are_answered(tmp_path: Path) -> None:
    """Whether it is well, for load balancers; what is wanted instead, for all else."""
    async with open_calling_service(tmp_path, HERE) as service, ClientSession() as http:
        async with http.get(f"{service.url}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok", "causes": []})
        async with http.get(f"{service.url}{CALLING_PATH}") as answer:
            assert (answer.status, answer.headers["Upgrade"]) == (426, "websocket")
        for path in ("/", "/device", "/w/?token=x"):
            async with http.get(f"{service.url}{path}") as answer:
                assert (answer.status, CALLING_PATH in await answer.text()) == (404, True)
        async with http.ws_connect(f"{service.url}{CALLING_PATH}") as socket:
            await socket.close()
        with pytest.raises(Exception, match="404"):
            await http.ws_connect(f"{service.url}/device")


async def test_it_speaks_tls_as_the_push_service_does(tmp_path: Path) -> None:
    """With a certificate for development, that clients are told to trust."""
    settings = CallingSettings.private(dev_tls=True)
    async with open_calling_service(tmp_path, settings) as service:
        assert service.url == f"https://127.0.0.1:{service.port}"
        assert service.authority == tmp_path / "dev-tls" / "ca.pem"
        await service.users.add("ann")
        async with dial(service, ssl=ssl.create_default_context(cafile=service.authority)) as ann:
            await ann.hello(service.users.issue_token("ann")[0])
        service.renew_certificate()
    async with open_calling_service(tmp_path, HERE) as service:
        with pytest.raises(PlatformUnavailable, match="there is no certificate"):
            service.renew_certificate()


async def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    """And nothing is left open."""
    with state_folder(tmp_path / "one") as one, state_folder(tmp_path / "two") as two:
        async with open_calling_service(one, HERE) as service:
            with pytest.raises(PlatformUnavailable, match=f"port {service.port} on 127.0.0.1 is in use"):
                async with open_calling_service(two, CallingSettings(port=service.port)):
                    pass


async def test_half_a_way_to_ring_is_refused(tmp_path: Path) -> None:
    """Before anything is opened."""
    with pytest.raises(InvalidArgument, match="--hub needs its secret"):
        async with open_calling_service(tmp_path, CallingSettings.private(hub="contoso-hub")):
            pass
    assert not await anyio.Path(tmp_path / "calling.db").exists()


async def test_an_app_that_is_killed_as_a_call_ends_hears_of_that_by_a_push(tmp_path: Path) -> None:
    """Its connection breaks without a word, so that the service cannot know whether it was heard: its toast is to go."""
    bell = Bell()
    async with open_calling_service(tmp_path, HERE, pusher=bell) as service, agent_of(service, "ann") as ann:
        callee, call = await service.users.add("bob", "Bob"), str(uuid4())
        async with agent_of(service, "bob") as bob:
            await bob.send(RegisterForCallPush(1, URI, 3_600))
            await bob.receive(CallPushRegistered)
            await ann.send(StartCall(1, call, callee.raw_id, video=False))
            assert (await bell.next())["eventId"] == 107
            await bob.report()
            await ann.send(HangUpCall(2, call))
            await bob.report()
            bob.socket.transport.abort()
            push = await bell.next()
    assert (push["eventId"], push["callId"]) == (110, call)
