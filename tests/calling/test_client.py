"""The client: one agent at a time, and an end in order."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing

from tests.calling.playing import RINGS, PlayedService, agent_of, client_of, connected, ended, push, token
from tests.calling.test_incoming import accepted, failure_of, ring
from tocsin.calling import (
    CallAgentOptions,
    CallClient,
    CallClientOptions,
    CallState,
    CallsUpdatedEventArgs,
    CallTokenCredential,
    CommonCallAgent,
    ConnectionState,
    DisconnectedReason,
    PushOutcome,
)
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotSupported, PlatformUnavailable, StateUnavailable
from tocsin.protocol.messages.calling import AcceptCall, CallPhase, HangUpCall


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_a_client_has_one_agent_at_a_time(tmp_path: Path) -> None:
    """Another one can be made when it is disposed; the client tells of both."""
    service = PlayedService()
    told: list[CommonCallAgent | None] = []
    async with client_of(service, tmp_path) as client:
        client.call_agent_changed.add(lambda args: told.append(args.agent))
        first = await connected(service, client)
        assert client.call_agent is first
        with pytest.raises(IllegalCall, match="one agent"):
            await client.create_call_agent(CallTokenCredential(token()))
        await first.dispose()
        await first.dispose()
        assert first.is_disposed
        assert client.call_agent is None
        second = await connected(service, client)
        late: list[CommonCallAgent | None] = []
        client.call_agent_changed.add(lambda args: late.append(args.agent))
        assert await client.wait_for_call_agent() is second
        await anyio.sleep(0.1)
        assert told == [first, None, second]
        assert late == [second]
        assert first.connection_reason is DisconnectedReason.DISPOSED
        with pytest.raises(PlatformUnavailable, match="disposed"):
            await first.start_call("8:acs:a_b")


async def test_the_client_tells_what_its_agents_tell(tmp_path: Path) -> None:
    """Also to handlers that are there before the agent: that it is connected and disconnected, and has one call more or less."""
    service = PlayedService()
    states: list[ConnectionState] = []
    updates: list[CallsUpdatedEventArgs] = []
    async with client_of(service, tmp_path) as client:
        client.connection_state_changed.add(lambda args: states.append(args.state))
        client.calls_updated.add(updates.append)
        agent = await connected(service, client)
        await accepted(service, await ring(service, agent))
        await service.send(ended(0, 0))
        await anyio.sleep(0.1)
        await agent.dispose()
        await anyio.sleep(0.1)
    assert states == [ConnectionState.CONNECTING, ConnectionState.CONNECTED, ConnectionState.DISCONNECTED]
    assert [(len(update.added_calls), len(update.removed_calls)) for update in updates] == [(1, 0), (0, 1)]


async def test_an_agent_is_waited_for(tmp_path: Path) -> None:
    """As the handler of a click does that has started the process."""
    service = PlayedService()
    found: list[CommonCallAgent] = []
    async with client_of(service, tmp_path) as client, anyio.create_task_group() as tasks:

        async def wait() -> None:
            found.append(await client.wait_for_call_agent())

        tasks.start_soon(wait)
        agent = await connected(service, client)
        await anyio.wait_all_tasks_blocked()
        assert found == [agent]


async def test_the_end_of_the_block_hangs_up(tmp_path: Path) -> None:
    """Calls that are open, and those that are just being accepted; the service is told over the connection that there is."""
    service = PlayedService()
    async with anyio.create_task_group() as tasks:
        leave = anyio.Event()
        held: list[Any] = []

        async def live() -> None:
            async with agent_of(service, tmp_path) as agent:
                call = await accepted(service, await ring(service, agent))
                held.append(call)
                await leave.wait()
            assert call.state is CallState.DISCONNECTED

        tasks.start_soon(live)
        while not held:
            await anyio.wait_all_tasks_blocked()
            await anyio.sleep(0.1)
        leave.set()
        asked = await service.expect(HangUpCall)
        await service.answer(asked, ended(0, 0, here=True))
    (call,) = held
    assert str(call.call_end_reason).startswith("0/0")


async def test_a_service_that_does_not_answer_holds_no_end_up(tmp_path: Path) -> None:
    """A second is enough; what rings here rings on elsewhere."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        call = await accepted(service, await ring(service, agent))
        other = await ring(service, agent, "00000000-0000-0000-0000-000000000002")
        began = anyio.current_time()
    assert anyio.current_time() - began <= 1.5
    assert call.call_end_reason is not None
    assert other.call_end_reason is not None
    assert (other.call_end_reason.code, other.call_end_reason.subcode) == (0, 4521)


async def test_an_accept_that_is_cut_off_by_the_end_says_so(tmp_path: Path) -> None:
    """It does not wait for an answer that cannot come."""
    service = PlayedService()
    failures: list[Exception] = []
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, incoming.accept, failures)
            asked = await service.expect(AcceptCall)
            tasks.start_soon(agent.dispose)
            hang_up = await service.expect(HangUpCall)
            await service.answer(asked, RINGS, phase=CallPhase.CONNECTING, here=True)
            await service.answer(hang_up, ended(0, 0, here=True))
        assert len(failures) == 1
        assert not agent.calls


async def test_a_push_behind_the_end_of_an_agent_is_kept_for_the_next(tmp_path: Path) -> None:
    """It may be for that one."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        await agent.dispose()
        assert await agent.handle_push_notification(push()) is PushOutcome.KEPT


async def test_a_handler_may_dispose_the_agent(tmp_path: Path) -> None:
    """It runs in a task of the client's, which goes on."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:

        async def dispose(_: object) -> None:
            await agent.dispose()

        agent.incoming_call_received.add(dispose)
        await service.send(RINGS)
        await anyio.sleep(2)
        assert agent.is_disposed


async def test_handlers_come_to_their_end_or_are_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Half a second after all else, which is said."""
    service = PlayedService()
    ends: list[str] = []
    async with agent_of(service, tmp_path) as agent:

        async def quick(_: object) -> None:
            await anyio.sleep(0.2)
            ends.append("quick")

        async def slow(_: object) -> None:
            await anyio.sleep(3600)
            ends.append("slow")

        agent.connection_state_changed.add(quick)
        agent.connection_state_changed.add(slow)
    assert ends == ["quick"]
    assert caplog.text.count("is cut off") == 1
    assert anyio.current_time() < 5


async def test_a_client_is_used_within_its_block(tmp_path: Path) -> None:
    """Before and after it there are no agents, but pushes are kept; and it is entered once."""
    service = PlayedService()
    service.close()
    options = CallClientOptions(signalling=service)
    client = CallClient("https://calling.test", app="a", state=tmp_path, options=options)
    with pytest.raises(IllegalCall, match="block"):
        await client.create_call_agent(CallTokenCredential(token()))
    assert await client.handle_push_notification(push()) is PushOutcome.KEPT
    async with client:
        pass
    with pytest.raises(IllegalCall, match="block"):
        await client.create_call_agent(CallTokenCredential(token()))
    with pytest.raises(IllegalCall, match="once"):
        await client.__aenter__()


async def test_a_device_without_an_id_is_no_endpoint(tmp_path: Path) -> None:
    """What is wrong with the folder is raised."""
    (tmp_path / "file").touch()
    service = PlayedService()
    async with client_of(service, tmp_path / "file") as client:
        with pytest.raises(StateUnavailable):
            await client.create_call_agent(CallTokenCredential(token()))
        assert client.call_agent is None


async def test_a_cancelled_creation_leaves_no_agent(tmp_path: Path) -> None:
    """And another one can be made."""
    service = PlayedService()
    async with client_of(service, tmp_path) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.create_call_agent, CallTokenCredential(token()))
            await service.accept(welcome=False, patience=float("inf"))
            tasks.cancel_scope.cancel()
        assert client.call_agent is None
        await connected(service, client)


async def test_who_waits_for_an_agent_is_told_that_the_block_is_left(tmp_path: Path) -> None:
    """Also who has it made just then: by a refresher that takes its time, or a service that does not greet."""
    failures: list[Exception] = []

    async def late() -> str:
        await anyio.sleep(5)
        return token()

    for credential in (CallTokenCredential("", late), CallTokenCredential(token())):
        service = PlayedService()
        async with anyio.create_task_group() as tasks, client_of(service, tmp_path) as client:
            tasks.start_soon(failure_of, client.wait_for_call_agent, failures)
            tasks.start_soon(failure_of, partial(client.create_call_agent, credential), failures)
            await anyio.wait_all_tasks_blocked()
    assert [type(failure) for failure in failures] == [IllegalCall] * 4


async def test_websockets_need_asyncio(tmp_path: Path) -> None:
    """Which is said when the block is entered, and not by attempts that fail."""
    with pytest.raises(NotSupported, match="asyncio"):
        async with CallClient("https://calling.test", app="a", state=tmp_path):
            pass


def test_arguments_that_cannot_be_right_are_refused(tmp_path: Path) -> None:
    """Each with a sentence."""
    for wrong in ("", "ftp://x", "calling.test", "https://u:p@calling.test", "https://calling.test?x=1", 5):
        with pytest.raises(InvalidArgument):
            CallClient(wrong, app="a", state=tmp_path)  # type: ignore[arg-type]
    for name in ("", "a\n", 5):
        with pytest.raises(InvalidArgument):
            CallClient("https://calling.test", app=name, state=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        CallClient("https://calling.test", app="a", options={})  # type: ignore[arg-type]
    wrong_options: list[dict[str, Any]] = [
        {"display_name": "a\nb"},
        {"display_name": "a" * 257},
        {"push_notification_ttl": 5},
        {"disable_internal_push_for_incoming_call": 1},
    ]
    for options in wrong_options:
        with pytest.raises(InvalidArgument):
            CallAgentOptions(**options)
