"""Calls that were started here, and what both kinds of calls can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing
from attrs import evolve

from tests.calling.playing import ANN, RINGS, PlayedService, agent_of, ended
from tests.calling.test_incoming import accepted, failure_of, ring
from tocsin.calling import (
    Call,
    CallDirection,
    CallState,
    CallsUpdatedEventArgs,
    CommonCallAgent,
    CommunicationIdentifier,
    IdentifierKind,
    ParticipantState,
    StartCallOptions,
)
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotFound, PlatformUnavailable, TimedOut
from tocsin.protocol.messages.calling import CallPhase, CallRefused, CallReport, HangUpCall, SetCallMedia, StartCall


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def outgoing(asked: StartCall, phase: CallPhase = CallPhase.RINGING) -> CallReport:
    """Say how a call stands that was started here."""
    return evolve(RINGS, call=asked.call, phase=phase, incoming=False, here=True)


async def started(service: PlayedService, agent: CommonCallAgent) -> tuple[Call, StartCall]:
    """Start a call that rings at Ann's."""
    calls: list[Call] = []

    async def start() -> None:
        calls.append(await agent.start_call(ANN))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        asked = await service.expect(StartCall)
        await service.answer(asked, outgoing(asked))
    return calls[0], asked


async def test_a_call_rings_is_accepted_and_ends(tmp_path: Path) -> None:
    """Its states come in order, and the agent tells of its calls."""
    service = PlayedService()
    states: list[CallState] = []
    updates: list[CallsUpdatedEventArgs] = []
    async with agent_of(service, tmp_path) as agent:
        agent.calls_updated.add(updates.append)
        call, asked = await started(service, agent)
        assert (call.state, call.direction) == (CallState.RINGING, CallDirection.OUTGOING)
        assert (asked.callee, asked.video) == (ANN, False)
        (participant,) = call.remote_participants
        assert (participant.identifier.raw_id, participant.state) == (ANN, ParticipantState.RINGING)
        call.state_changed.add(lambda args: states.append(args.state))
        await service.send(outgoing(asked, CallPhase.CONNECTING), outgoing(asked, CallPhase.CONNECTED))
        await service.send(ended(0, 0, outgoing(asked)))
        assert (await call.wait_until_ended()).code == 0
        await anyio.sleep(0.1)
        assert states == [CallState.CONNECTING, CallState.CONNECTED, CallState.DISCONNECTED]
        assert not call.remote_participants
        assert [(args.added_calls, args.removed_calls) for args in updates] == [((call,), ()), ((), (call,))]


async def test_a_callee_that_cannot_be_reached_is_no_error(tmp_path: Path) -> None:
    """The call is over when start_call returns, and says why."""
    service = PlayedService()
    calls: list[Call] = []
    async with agent_of(service, tmp_path) as agent:

        async def start() -> None:
            callee = CommunicationIdentifier(ANN, IdentifierKind.COMMUNICATION_USER)
            calls.append(await agent.start_call(callee, StartCallOptions(video=True)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start)
            asked = await service.expect(StartCall)
            assert asked.video
            await service.answer(asked, ended(480, 10037, outgoing(asked)))
        (call,) = calls
        assert call.state is CallState.DISCONNECTED
        assert str(call.call_end_reason) == "480/10037: The callee has no device that could ring."
        assert not agent.calls
        await call.hang_up()
        with pytest.raises(IllegalCall):
            await call.mute()


async def test_a_refused_call_raises_the_error_of_the_service(tmp_path: Path) -> None:
    """And is gone."""
    service = PlayedService()
    failures: list[Exception] = []
    async with agent_of(service, tmp_path) as agent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, lambda: agent.start_call(ANN), failures)
            asked = await service.expect(StartCall)
            await service.send(CallRefused(asked.request, "NotFound", "no such way", 0x80070490))
        assert [type(failure) for failure in failures] == [NotFound]
        assert not agent.calls


async def test_a_call_that_the_service_does_not_answer_times_out(tmp_path: Path) -> None:
    """And is withdrawn, so that it does not ring later."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        with pytest.raises(TimedOut):
            await agent.start_call(ANN)
        assert anyio.current_time() >= 30
        await anyio.sleep(60)
        assert not agent.calls


async def test_a_cancelled_start_withdraws_the_call(tmp_path: Path) -> None:
    """It does not ring on without an owner."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        with anyio.move_on_after(1):
            await agent.start_call(ANN)
        asked = await service.expect(StartCall)
        assert (await service.expect(HangUpCall)).call == asked.call


async def test_a_callee_is_named_by_a_raw_id(tmp_path: Path) -> None:
    """Anything else is refused before the service is asked; so is a call without a connection."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        for wrong in ("", "a b", 5, None):
            with pytest.raises(InvalidArgument):
                await agent.start_call(wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument):
            await agent.start_call(ANN, {"video": True})  # type: ignore[arg-type]
        await service.silent()
        service.reachable = False
        await service.cut()
        await anyio.sleep(0.1)
        with pytest.raises(PlatformUnavailable):
            await agent.start_call(ANN)


async def test_muting_and_holding_are_told_to_the_other_side(tmp_path: Path) -> None:
    """They count here at once, and return when the service knows."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        call = await accepted(service, await ring(service, agent))
        connected = evolve(RINGS, phase=CallPhase.CONNECTED, here=True)
        for asked, wanted, state in (
            (call.mute, (True, False), CallState.CONNECTED),
            (call.hold, (True, True), CallState.LOCAL_HOLD),
            (call.unmute, (False, True), CallState.LOCAL_HOLD),
            (call.resume, (False, False), CallState.CONNECTED),
        ):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(asked)
                question = await service.expect(SetCallMedia)
                assert (question.muted, question.held) == wanted
                assert call.is_muted == wanted[0]
                assert call.state is state
                await service.answer(question, connected)
        await call.resume()  # it is so already, and nothing is asked
        await service.silent()


async def test_what_the_other_side_does_is_told(tmp_path: Path) -> None:
    """That it is muted, and holds the call."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        call = await accepted(service, await ring(service, agent))
        seen: list[tuple[ParticipantState, bool]] = []
        call.remote_participants_updated.add(
            lambda args: seen.extend((each.state, each.is_muted) for each in args.added_participants)
        )
        await service.send(evolve(RINGS, phase=CallPhase.CONNECTED, here=True, peer_muted=True))
        await service.send(evolve(RINGS, phase=CallPhase.CONNECTED, here=True, peer_muted=True, peer_held=True))
        await anyio.sleep(0.1)
        assert seen[-1] == (ParticipantState.HOLD, True)
        assert call.state is CallState.REMOTE_HOLD


async def test_what_cannot_be_set_is_taken_back(tmp_path: Path) -> None:
    """The service has refused it, and the error of the service is raised."""
    service = PlayedService()
    failures: list[Exception] = []
    async with agent_of(service, tmp_path) as agent:
        call = await accepted(service, await ring(service, agent))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, call.mute, failures)
            question = await service.expect(SetCallMedia)
            await service.send(CallRefused(question.request, "IllegalCall", "not now", 0))
        assert [str(failure) for failure in failures] == ["not now"]
        assert not call.is_muted


async def test_a_change_over_a_lost_connection_is_said_to_be_open(tmp_path: Path) -> None:
    """And is told on the next one."""
    service = PlayedService()
    failures: list[Exception] = []
    async with agent_of(service, tmp_path) as agent:
        call = await accepted(service, await ring(service, agent))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, call.mute, failures)
            await service.expect(SetCallMedia)
            await service.cut()
        assert [type(failure) for failure in failures] == [PlatformUnavailable]
        hello = await service.accept()
        assert hello.open_calls == (call.id,)
        assert (await service.expect(SetCallMedia)).muted
        assert call.state is CallState.CONNECTED


async def test_hanging_up_ends_here_also_where_the_service_is_away(tmp_path: Path) -> None:
    """After 30 seconds at most."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        call = await accepted(service, await ring(service, agent))
        service.reachable = False
        await service.cut()
        await anyio.sleep(0.1)
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.hang_up)
            tasks.start_soon(call.hang_up)
        assert anyio.current_time() - began == pytest.approx(30)
        assert call.state is CallState.DISCONNECTED
