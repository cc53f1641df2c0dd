"""Apps that call each other over real connections, by a real calling service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import Factory, define

from tests.helpers import PATIENCE
from tocsin.calling import (
    CallAgent,
    CallAgentOptions,
    CallClient,
    CallState,
    CallTokenCredential,
    ConnectionState,
    DisconnectedReason,
    IncomingCall,
    PushOutcome,
)
from tocsin.calling_service.calling_server import CallingService, open_calling_service
from tocsin.calling_service.calling_settings import CallingSettings
from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.protocol.errors import CallEnded, InvalidArgument

HERE = CallingSettings.private()
CHANNEL = "https://push.example/w/?token=channel"


@define
class Bell:
    """A pusher that takes every push, and shows them."""

    pushes: asyncio.Queue[bytes] = Factory(asyncio.Queue)

    def check(self, uri: str) -> None:
        """Take any channel."""
        assert uri

    async def push(self, uri: str, body: bytes, ttl: float) -> Pushed:
        """Take a push."""
        assert uri == CHANNEL
        assert ttl > 0
        self.pushes.put_nowait(body)
        return Pushed.ACCEPTED

    async def next(self) -> bytes:
        """Wait for the next push."""
        with anyio.fail_after(PATIENCE):
            return await self.pushes.get()


@asynccontextmanager
async def serving(
    folder: Path, settings: CallingSettings = HERE, *, pusher: Bell | None = None
) -> AsyncIterator[CallingService]:
    """Run a calling service."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240  # as fast as it gets
    async with open_calling_service(folder, settings, pusher=pusher) as service:
        yield service


async def credential_of(service: CallingService, name: str) -> CallTokenCredential:
    """Sign a user's token."""
    if service.users.named(name) is None:
        await service.users.add(name, name.title())
    return CallTokenCredential(service.users.issue_token(name)[0])


@asynccontextmanager
async def agent_of(
    service: CallingService, name: str, state: Path, options: CallAgentOptions | None = None
) -> AsyncIterator[CallAgent]:
    """Run an app of a user's."""
    async with CallClient(service.url, app=f"contoso.{name}", state=state) as client:
        yield await client.create_call_agent(await credential_of(service, name), options)


async def rung(agent: CallAgent) -> IncomingCall:
    """Wait until a call rings."""
    found: asyncio.Queue[IncomingCall] = asyncio.Queue()
    with agent.incoming_call_received(lambda args: found.put_nowait(args.incoming_call)), anyio.fail_after(PATIENCE):
        return await found.get()


async def test_a_call_goes_all_the_way(tmp_path: Path) -> None:
    """Both sides see its states, mute and hold included, and the second device of the callee stops ringing."""
    async with (
        serving(tmp_path / "service") as service,
        agent_of(service, "ann", tmp_path / "ann") as ann,
        agent_of(service, "bob", tmp_path / "bob") as bob,
        agent_of(service, "bob", tmp_path / "bob2") as other,
    ):
        outgoing = await ann.start_call(bob.user)
        assert outgoing.state is CallState.RINGING
        states: asyncio.Queue[CallState] = asyncio.Queue()
        outgoing.state_changed.add(lambda args: states.put_nowait(args.state))
        incoming, elsewhere = await rung(bob), await rung(other)
        assert incoming.caller_info.shown == "Ann"
        call = await incoming.accept()
        assert call.state is CallState.CONNECTING
        connected = asyncio.Event()
        call.state_changed.add(lambda args: connected.set() if args.state is CallState.CONNECTED else None)
        with anyio.fail_after(PATIENCE):
            reason = await elsewhere.wait_until_ended()
            assert reason is not None
            assert (reason.code, reason.subcode) == (487, 10003)
            await connected.wait()
            assert [await states.get() for _ in range(2)] == [CallState.CONNECTING, CallState.CONNECTED]
            await call.mute()
            await call.hold()
            assert await states.get() is CallState.REMOTE_HOLD
            assert outgoing.remote_participants[0].is_muted
            await call.resume()
            assert await states.get() is CallState.CONNECTED
            await outgoing.hang_up()
            assert str(await call.wait_until_ended()).startswith("0/0")
        with pytest.raises(CallEnded, match="another device"):
            await elsewhere.accept()


async def test_a_push_rings_an_app_that_is_not_connected(tmp_path: Path) -> None:
    """The push comes before there is an agent, which then rings, and answers; a second one is a duplicate, and a late one rings nothing."""
    bell = Bell()
    async with serving(tmp_path / "service", pusher=bell) as service:
        async with agent_of(service, "bob", tmp_path / "bob") as bob:
            await bob.register_for_push_notification(CHANNEL)
        async with agent_of(service, "ann", tmp_path / "ann") as ann:
            outgoing = await ann.start_call(bob.user.raw_id)
            push = await bell.next()
            assert json.loads(push)["eventId"] == 107
            async with CallClient(service.url, app="contoso.bob", state=tmp_path / "bob") as client:
                outcomes: asyncio.Queue[PushOutcome] = asyncio.Queue()
                client.push_notification_handled.add(lambda args: outcomes.put_nowait(args.outcome))
                assert await client.handle_push_notification(push) is PushOutcome.KEPT
                quiet = CallAgentOptions(disable_internal_push_for_incoming_call=True)
                agent = await client.create_call_agent(await credential_of(service, "bob"), quiet)
                incoming = await rung(agent)
                assert await agent.handle_push_notification(push) is PushOutcome.DUPLICATE
                call = await incoming.accept()
                await outgoing.hang_up()
                with anyio.fail_after(PATIENCE):
                    await call.wait_until_ended()
                    assert [await outcomes.get() for _ in range(3)] == [
                        PushOutcome.KEPT,
                        PushOutcome.RINGS,
                        PushOutcome.DUPLICATE,
                    ]
                assert await agent.handle_push_notification(push) is PushOutcome.ALREADY_HANDLED
            async with agent_of(service, "bob", tmp_path / "bob") as late:
                outcome = await late.handle_push_notification(push)
                assert outcome in {PushOutcome.ALREADY_ENDED, PushOutcome.ALREADY_HANDLED}
                assert not late.incoming_calls


async def test_leaving_hangs_up_at_the_other_side(tmp_path: Path) -> None:
    """Where the app ends in order, the other side hears it at once."""
    async with (
        serving(tmp_path / "service") as service,
        agent_of(service, "ann", tmp_path / "ann") as ann,
    ):
        async with agent_of(service, "bob", tmp_path / "bob") as bob:
            outgoing = await ann.start_call(bob.user)
            await (await rung(bob)).accept()
        with anyio.fail_after(PATIENCE):
            reason = await outgoing.wait_until_ended()
        assert (reason.code, reason.subcode) == (0, 0)


async def test_a_call_outlives_a_restart_of_the_service(tmp_path: Path) -> None:
    """Both agents come back to it, on the same port."""
    async with serving(tmp_path / "service") as service:
        settings = CallingSettings.private(port=service.port)
        await credential_of(service, "ann")
        await credential_of(service, "bob")
        tokens = {name: service.users.issue_token(name)[0] for name in ("ann", "bob")}
    async with (
        CallClient(service.url, app="a", state=tmp_path / "ann") as anns,
        CallClient(service.url, app="b", state=tmp_path / "bob") as bobs,
    ):
        async with serving(tmp_path / "service", settings):
            ann = await anns.create_call_agent(CallTokenCredential(tokens["ann"]))
            bob = await bobs.create_call_agent(CallTokenCredential(tokens["bob"]))
            outgoing = await ann.start_call(bob.user)
            call = await (await rung(bob)).accept()
        states: asyncio.Queue[tuple[ConnectionState, DisconnectedReason]] = asyncio.Queue()
        ann.connection_state_changed.add(lambda args: states.put_nowait((args.state, args.reason)))
        async with serving(tmp_path / "service", settings):
            with anyio.fail_after(PATIENCE):
                while ann.connection_state is not ConnectionState.CONNECTED:
                    await states.get()
                await outgoing.hang_up()
                await call.wait_until_ended()


async def test_a_service_that_is_none_and_a_token_that_is_not_its_own(tmp_path: Path) -> None:
    """Are told apart: the one is a trouble of the connection, the other an invalid argument."""
    async with (
        serving(tmp_path / "service") as service,
        serving(tmp_path / "other") as other,
    ):
        strange = await credential_of(other, "eve")
        async with CallClient(service.url, app="a", state=tmp_path / "a") as client:
            with pytest.raises(InvalidArgument) as caught:
                await client.create_call_agent(strange)
            assert caught.value.hresult == 0x80070057
        async with CallClient(f"{service.url}/elsewhere", app="a", state=tmp_path / "a") as client:
            agent = await client.create_call_agent(await credential_of(service, "ann"))
            assert agent.connection_reason is DisconnectedReason.CONNECTION_ISSUE
            assert "there is no calling service at" in agent.connection_trouble
            assert "tocsin calling serve" in agent.connection_trouble


async def test_two_processes_of_one_device_do_not_take_turns(tmp_path: Path) -> None:
    """The later one stays; the earlier one says why it has ended."""
    async with (
        serving(tmp_path / "service") as service,
        agent_of(service, "ann", tmp_path / "ann") as first,
        agent_of(service, "ann", tmp_path / "ann") as second,
    ):
        reasons: asyncio.Queue[Any] = asyncio.Queue()
        with anyio.fail_after(PATIENCE):
            first.connection_state_changed.add(lambda args: reasons.put_nowait(args.reason))
            while first.connection_reason is not DisconnectedReason.REPLACED:
                await reasons.get()
        assert second.connection_state is ConnectionState.CONNECTED


async def test_an_app_that_ends_is_not_started_again_by_a_call_that_has_ended(tmp_path: Path) -> None:
    """It closes its connection in order, so that the service knows that it has heard of the end: the next push is another call's."""
    bell = Bell()
    async with serving(tmp_path / "service", pusher=bell) as service, agent_of(service, "bob", tmp_path / "b") as bob:
        async with agent_of(service, "ann", tmp_path / "a") as ann:
            await ann.register_for_push_notification(CHANNEL)
            call = await bob.start_call(ann.user)
            incoming = await rung(ann)
            await call.hang_up()
            with anyio.fail_after(PATIENCE):
                await incoming.wait_until_ended()
        assert json.loads(await bell.next())["callId"] == call.id
        again = await bob.start_call(ann.user)
        push = json.loads(await bell.next())
        assert (push["eventId"], push["callId"]) == (107, again.id)
