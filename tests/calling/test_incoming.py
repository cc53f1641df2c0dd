"""Incoming calls: how they ring, and what accepting and declining come to."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing
from attrs import evolve

from tests.calling.playing import ANN, BOB, CALL, RINGS, PlayedService, agent_of, ended
from tocsin.calling import (
    Call,
    CallDirection,
    CallEndReason,
    CallState,
    CommonCallAgent,
    IncomingCall,
    IncomingCallReceivedEventArgs,
    UnrungCallEndedEventArgs,
)
from tocsin.protocol.errors import Busy, CallEnded, IllegalCall, PlatformUnavailable, PushError, TimedOut
from tocsin.protocol.messages.calling import (
    MAX_RINGING_CALLS,
    AcceptCall,
    AttendCall,
    CallPhase,
    CallReady,
    CallRefused,
    HangUpCall,
    RejectCall,
)

OTHER = "00000000-0000-0000-0000-000000000002"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def ring(service: PlayedService, agent: CommonCallAgent, call: str = CALL) -> IncomingCall:
    """Have a call ring, and return it."""
    await service.send(evolve(RINGS, call=call))
    await anyio.sleep(0.1)
    found = agent.find_incoming_call(call)
    assert found is not None
    return found


async def accepted(service: PlayedService, incoming: IncomingCall) -> Call:
    """Accept a call that rings, and connect it."""
    calls: list[Call] = []

    async def accept() -> None:
        calls.append(await incoming.accept())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(accept)
        asked = await service.expect(AcceptCall)
        await service.answer(asked, evolve(RINGS, call=incoming.id), phase=CallPhase.CONNECTING, here=True)
        ready = await service.expect(CallReady)
        await service.answer(ready, evolve(RINGS, call=incoming.id), phase=CallPhase.CONNECTED, here=True)
    await anyio.sleep(0.1)
    return calls[0]


async def failure_of(asked: Callable[[], Awaitable[object]], failures: list[Exception]) -> None:
    """Note what a question raises."""
    try:
        await asked()
    except PushError as failure:
        failures.append(failure)


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
        assert incoming.info.push is None
        assert 119 < incoming.rings_for <= 120

        async def accept() -> None:
            call = await incoming.accept()
            assert call.state is CallState.CONNECTING
            call.state_changed.add(lambda args: states.append(args.state))
            calls.append(call)

        tasks.start_soon(accept)
        asked = await service.expect(AcceptCall)
        assert not incoming.is_ringing
        assert incoming.rings_for == 0
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


async def test_the_service_hears_that_this_side_is_ready_once_the_app_holds_the_call(tmp_path: Path) -> None:
    """However long the app's task takes until it waits for something: only then goes the word out."""
    service = PlayedService()
    order: list[str] = []
    async with agent_of(service, tmp_path) as agent, anyio.create_task_group() as tasks:
        incoming = await ring(service, agent)

        async def accept() -> None:
            call = await incoming.accept()
            order.append("held")
            call.state_changed.add(lambda args: order.append(args.state.name))
            await anyio.sleep(1)

        tasks.start_soon(accept)
        asked = await service.expect(AcceptCall)
        await service.answer(asked, RINGS, phase=CallPhase.CONNECTING, here=True)
        ready = await service.expect(CallReady)
        order.append("ready")
        await service.answer(ready, RINGS, phase=CallPhase.CONNECTED, here=True)
        await anyio.sleep(2)
    assert order[:3] == ["held", "ready", "CONNECTED"]


async def test_a_call_that_was_accepted_elsewhere_ends_without_a_call(tmp_path: Path) -> None:
    """Accept says so in words, and so does every later one."""
    service = PlayedService()
    failures: list[Exception] = []
    ends: list[CallEndReason] = []
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        incoming.call_ended.add(lambda args: ends.append(args.reason))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, incoming.accept, failures)
            await service.answer(await service.expect(AcceptCall), ended(487, 10003))
        (failure,) = failures
        assert isinstance(failure, CallEnded)
        assert failure.reason == (487, 10003)
        assert "accepted the call on another device" in str(failure)
        for again in (incoming.accept, incoming.reject):
            with pytest.raises(CallEnded, match="on another device"):
                await again()
        assert incoming.call_end_reason == await incoming.wait_until_ended()
        assert not agent.incoming_calls
        assert not agent.calls
        await anyio.sleep(0.1)
    assert [(reason.code, reason.subcode) for reason in ends] == [(487, 10003)]


@pytest.mark.parametrize(("code", "subcode"), [(487, 0), (487, 10004), (603, 0)])
async def test_the_bell_stops_when_the_call_ends(tmp_path: Path, code: int, subcode: int) -> None:
    """That its ringing stops is told, and its end, each once."""
    service = PlayedService()
    told: list[str] = []
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        incoming.ringing_stopped.add(lambda _: told.append("stopped"))
        incoming.call_ended.add(lambda args: told.append(f"{args.reason.code}/{args.reason.subcode}"))
        await service.send(ended(code, subcode))
        await service.send(ended(code, subcode))
        await anyio.sleep(0.1)
        assert sorted(told) == [f"{code}/{subcode}", "stopped"]
        assert not incoming.is_ringing


async def test_declining_ends_the_call_for_all(tmp_path: Path) -> None:
    """The bell stops at once, and reject returns when the service has done it."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(incoming.reject)
            asked = await service.expect(RejectCall)
            assert not incoming.is_ringing
            with pytest.raises(IllegalCall, match="declined already"):
                await incoming.reject()
            await service.answer(asked, ended(603, 0))
        assert incoming.call_end_reason is not None
        assert incoming.call_end_reason.code == 603


async def test_of_two_accepts_at_a_time_the_second_is_refused(tmp_path: Path) -> None:
    """A call has one owner; the first gets it."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        calls: list[Call] = []

        async def accept() -> None:
            calls.append(await incoming.accept())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(accept)
            asked = await service.expect(AcceptCall)
            with pytest.raises(IllegalCall, match="accepted already"):
                await incoming.accept()
            with pytest.raises(IllegalCall, match="accepted already"):
                await incoming.reject()
            await service.answer(asked, RINGS, phase=CallPhase.CONNECTING, here=True)
        assert agent.calls == tuple(calls)
        with pytest.raises(IllegalCall, match="accepted"):
            await incoming.accept()


async def test_a_cancelled_accept_hangs_up(tmp_path: Path) -> None:
    """The call does not go on without an owner, also where the service agrees after all."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(incoming.accept)
            asked = await service.expect(AcceptCall)
            tasks.cancel_scope.cancel()
        hang_up = await service.expect(HangUpCall)
        await service.answer(asked, RINGS, phase=CallPhase.CONNECTING, here=True)
        await service.answer(hang_up, ended(0, 0, here=True))
        await anyio.sleep(0.1)
        assert not agent.calls
        assert not agent.incoming_calls


async def test_an_accept_that_is_not_answered_times_out_and_hangs_up(tmp_path: Path) -> None:
    """After 30 seconds."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        began = anyio.current_time()
        with pytest.raises(TimedOut, match="30 s"):
            await incoming.accept()
        assert anyio.current_time() - began == pytest.approx(30)
        await service.expect(AcceptCall)
        await service.answer(await service.expect(HangUpCall), ended(0, 0, here=True))
        await anyio.sleep(0.1)
        assert not agent.incoming_calls


async def test_what_the_service_refuses_is_raised_and_may_be_asked_again(tmp_path: Path) -> None:
    """By the class of its error; the bell stays silent."""
    service = PlayedService()
    failures: list[Exception] = []
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, incoming.accept, failures)
            asked = await service.expect(AcceptCall)
            await service.send(CallRefused(asked.request, "Busy", "too much to do", 0x880403FE))
        (failure,) = failures
        assert isinstance(failure, Busy)
        assert str(failure) == "too much to do"
        assert not incoming.is_ringing
        assert (await accepted(service, incoming)).state is CallState.CONNECTED


async def test_without_a_connection_nothing_is_accepted_or_declined(tmp_path: Path) -> None:
    """The error says why there is none; the call rings on, and can be accepted when there is one."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        service.reachable = False
        await service.cut()
        await anyio.sleep(0.1)
        for asked in (incoming.accept, incoming.reject):
            with pytest.raises(PlatformUnavailable, match="the wire was cut"):
                await asked()
        assert incoming.is_ringing
        service.reachable = True
        hello = await service.accept()
        assert hello.open_calls == (CALL,)
        assert (await accepted(service, incoming)).state is CallState.CONNECTED


async def test_an_accept_outlives_a_lost_connection(tmp_path: Path) -> None:
    """It is asked again on the next one."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(incoming.accept)
            await service.expect(AcceptCall)
            await service.cut()
            hello = await service.accept()
            assert hello.open_calls == (CALL,)
            asked = await service.expect(AcceptCall)
            await service.answer(asked, RINGS, phase=CallPhase.CONNECTING, here=True)
        assert [call.id for call in agent.calls] == [CALL]


async def test_a_handler_hears_of_calls_that_ring_already(tmp_path: Path) -> None:
    """A call that comes while the agent is made is not missed, and each is told once to a handler."""
    service = PlayedService()
    rung: list[str] = []

    def note(args: IncomingCallReceivedEventArgs) -> None:
        rung.append(args.incoming_call.id)

    async with agent_of(service, tmp_path) as agent:
        await ring(service, agent)
        agent.incoming_call_received.add(note)
        await ring(service, agent, OTHER)
        await service.send(RINGS)
        await anyio.sleep(0.1)
        assert rung == [CALL, OTHER]
        await service.send(ended(487, 0))
        await anyio.sleep(0.1)
        agent.incoming_call_received.add(note)
        await anyio.sleep(0.1)
        assert rung == [CALL, OTHER, OTHER]


async def test_the_bell_stops_without_the_service_when_its_time_is_over(tmp_path: Path) -> None:
    """A ring that the service has forgotten, or cannot end, is over some seconds after its time."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        reason = await incoming.wait_until_ended()
        assert reason is not None
        assert (reason.code, reason.subcode) == (487, 10004)
        assert anyio.current_time() < 200


async def test_more_becomes_known_of_a_caller(tmp_path: Path) -> None:
    """And is told."""
    service = PlayedService()
    names: list[str] = []
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        incoming.caller_info_changed.add(lambda args: names.append(args.caller_info.display_name))
        await service.send(evolve(RINGS, peer_name="Ann Lee"))
        await anyio.sleep(0.1)
        assert names == ["Ann Lee"]
        assert incoming.caller_info.shown == "Ann Lee"


async def test_an_end_of_a_call_that_has_not_rung_here_is_told_by_itself(tmp_path: Path) -> None:
    """Its toast may be there, shown by an earlier process."""
    service = PlayedService()
    told: list[UnrungCallEndedEventArgs] = []
    async with agent_of(service, tmp_path) as agent:
        agent.unrung_call_ended.add(told.append)
        await service.send(ended(487, 0))
        await anyio.sleep(0.1)
        (args,) = told
        assert (args.call_id, args.caller_info.shown, args.reason.code) == (CALL, "Ann", 487)


async def test_a_call_is_attended_by_its_id(tmp_path: Path) -> None:
    """As a process does that was started by a click on the toast of another."""
    service = PlayedService()
    found: list[IncomingCall] = []
    async with agent_of(service, tmp_path) as agent:

        async def attend() -> None:
            found.append(await agent.attend_call(CALL.upper()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attend)
            asked = await service.expect(AttendCall)
            assert (asked.call, asked.context) == (CALL, "")
            await service.answer(asked, RINGS)
        assert found == [agent.find_incoming_call(CALL)]
        assert await agent.attend_call(CALL) is found[0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ended(487, 0), "CallEnded: .* hung up before the call was answered"),
        (evolve(RINGS, phase=CallPhase.CONNECTED), "CallEnded: .* on another device"),
        (evolve(RINGS, phase=CallPhase.UNKNOWN), "NotFound: .* knows no call"),
    ],
)
async def test_a_call_that_is_gone_cannot_be_attended(tmp_path: Path, answer: Any, words: str) -> None:
    """The error says what has become of it."""
    service = PlayedService()
    failures: list[Exception] = []
    async with agent_of(service, tmp_path) as agent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure_of, lambda: agent.attend_call(CALL), failures)
            await service.answer(await service.expect(AttendCall), answer)
        (failure,) = failures
        assert re.match(words, f"{type(failure).__name__}: {failure}")


async def test_a_call_too_many_does_not_ring_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another device may ring; here as many do as may at a time."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        await service.send(*(evolve(RINGS, call=f"call-{number}") for number in range(MAX_RINGING_CALLS + 1)))
        await anyio.sleep(0.1)
        assert [incoming.id for incoming in agent.incoming_calls] == [f"call-{n}" for n in range(MAX_RINGING_CALLS)]
    assert caplog.messages == [
        f"the call call-{MAX_RINGING_CALLS} does not ring on this device, where as many ring as may at a time"
    ]
