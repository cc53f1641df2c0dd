"""Pushes about calls: what becomes of each, with an agent, without a connection, and before there is an agent."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.calling.playing import ANN, CALL, RINGS, PlayedService, agent_of, client_of, connected, ended, push
from tests.calling.test_incoming import accepted, ring
from tests.protocol.calling.test_push_notification import NOISE
from tocsin.calling import (
    CommonCallAgent,
    IncomingCall,
    PushNotificationDetails,
    PushNotificationHandledEventArgs,
    PushOutcome,
)
from tocsin.calling.agent_events import AgentEvents
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.calling.kept_pushes import MOST, KeptPushes
from tocsin.calling.push_desk import PushReader
from tocsin.protocol.messages.calling import AttendCall, CallPhase, CallRefused, CallReport
from tocsin.repeat_log import RepeatLog


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def look(service: PlayedService, agent: CommonCallAgent, text: str, answer: CallReport) -> PushOutcome:
    """Give an agent a push about which it asks the service."""
    outcomes: list[PushOutcome] = []

    async def handle() -> None:
        outcomes.append(await agent.handle_push_notification(text))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(handle)
        asked = await service.expect(AttendCall)
        assert (asked.call, asked.context) == (json.loads(text)["callId"], "Y3A=")
        await service.answer(asked, answer)
    return outcomes[0]


async def test_a_push_rings_if_the_service_says_that_the_call_rings(tmp_path: Path) -> None:
    """Once: the same push again is a duplicate, and one behind the answer was handled."""
    service = PlayedService()
    rung: list[IncomingCall] = []
    told: list[PushNotificationHandledEventArgs] = []
    async with agent_of(service, tmp_path) as agent:
        agent.incoming_call_received.add(lambda args: rung.append(args.incoming_call))
        agent.push_notification_handled.add(told.append)
        assert await look(service, agent, push(), RINGS) is PushOutcome.RINGS
        assert await agent.handle_push_notification(PushNotificationDetails.parse(push())) is PushOutcome.DUPLICATE
        await service.send(RINGS)
        await anyio.sleep(0.1)
        (incoming,) = rung
        assert incoming.info.push == PushNotificationDetails.parse(push())
        await accepted(service, incoming)
        assert await agent.handle_push_notification(push().encode()) is PushOutcome.ALREADY_HANDLED
        await anyio.sleep(0.1)
    assert [args.outcome for args in told] == [
        PushOutcome.RINGS,
        PushOutcome.DUPLICATE,
        PushOutcome.ALREADY_HANDLED,
    ]
    assert [args.incoming_call for args in told] == [incoming, incoming, None]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (ended(487, 0), PushOutcome.ALREADY_ENDED),
        (ended(487, 10003), PushOutcome.ANSWERED_ELSEWHERE),
        (evolve(RINGS, phase=CallPhase.UNKNOWN), PushOutcome.UNKNOWN_CALL),
    ],
)
async def test_no_call_rings_after_it_has_ended(tmp_path: Path, answer: CallReport, outcome: PushOutcome) -> None:
    """The service is always asked first, and its reason is told."""
    service = PlayedService()
    told: list[PushNotificationHandledEventArgs] = []
    async with agent_of(service, tmp_path) as agent:
        agent.push_notification_handled.add(told.append)
        assert await look(service, agent, push(), answer) is outcome
        assert not agent.incoming_calls
        await anyio.sleep(0.1)
    (args,) = told
    assert (args.reason is not None) == (answer.phase is CallPhase.ENDED)


async def test_a_push_stops_a_ring(tmp_path: Path) -> None:
    """Where it comes before the service's word over the connection."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        assert await look(service, agent, push(110), ended(487, 0)) is PushOutcome.STOPPED_RINGING
        assert incoming.call_end_reason is not None
        assert not incoming.is_ringing


async def test_a_push_with_a_wrong_context_silences_nothing(tmp_path: Path) -> None:
    """The service knows no such call then, and the ring goes on."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        incoming = await ring(service, agent)
        unknown = evolve(RINGS, phase=CallPhase.UNKNOWN)
        assert await look(service, agent, push(110), unknown) is PushOutcome.UNKNOWN_CALL
        assert incoming.is_ringing


async def test_a_push_of_another_user_or_kind_is_left_alone(tmp_path: Path) -> None:
    """The service is not asked about it."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        assert await agent.handle_push_notification(push(recipientId=ANN)) is PushOutcome.NOT_OURS
        assert await agent.handle_push_notification(push(999)) is PushOutcome.UNKNOWN_KIND
        assert await agent.handle_push_notification(push(0)) is PushOutcome.UNKNOWN_KIND
        await service.silent()


async def test_malformed_pushes_are_counted_and_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """None of them raises anything, with or without an agent."""
    service = PlayedService()
    told: list[PushNotificationHandledEventArgs] = []
    async with client_of(service, tmp_path) as client:
        client.push_notification_handled.add(told.append)
        wrong: list[Any] = ["", "nonsense", b"\xff", "[]", "{}", '{"eventId": 107}', None, 5]
        for each in wrong:
            assert await client.handle_push_notification(each) is PushOutcome.MALFORMED
        agent = await connected(service, client)
        for each in wrong:
            assert await agent.handle_push_notification(each) is PushOutcome.MALFORMED
        assert client.malformed_pushes == 16
        assert caplog.text.count("could not be read") == 1
        await anyio.sleep(0.1)
        assert [args.outcome for args in told] == [PushOutcome.MALFORMED] * 16
        assert {args.details for args in told} == {None}


async def test_pushes_before_the_agent_are_looked_at_when_it_is_there(tmp_path: Path) -> None:
    """In their order, those that say the same once; the service is asked about each."""
    service = PlayedService()
    told: list[PushOutcome] = []
    async with client_of(service, tmp_path) as client:
        client.push_notification_handled.add(lambda args: told.append(args.outcome))
        other = "00000000-0000-0000-0000-000000000002"
        for text in (push(), push(), push(call=other), push(110, call=other)):
            assert await client.handle_push_notification(text) is PushOutcome.KEPT
        agent = await connected(service, client)
        await service.answer(await service.expect(AttendCall), RINGS)
        await service.answer(await service.expect(AttendCall), ended(487, 0, evolve(RINGS, call=other)))
        await anyio.sleep(0.1)
        assert [incoming.id for incoming in agent.incoming_calls] == [CALL]
        await service.silent()
        await anyio.sleep(0.1)
    assert told[4:] == [PushOutcome.RINGS, PushOutcome.ALREADY_ENDED, PushOutcome.ALREADY_ENDED]


async def test_pushes_without_a_connection_are_kept(tmp_path: Path) -> None:
    """Also where it is lost, or the service is not able to answer, while one is looked at."""
    service = PlayedService()
    outcomes: list[PushOutcome] = []
    async with agent_of(service, tmp_path) as agent:

        async def handle() -> None:
            outcomes.append(await agent.handle_push_notification(push()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            await service.expect(AttendCall)
            service.reachable = False
            await service.cut()
        await handle()
        assert outcomes == [PushOutcome.KEPT, PushOutcome.KEPT]
        service.reachable = True
        await service.accept()
        asked = await service.expect(AttendCall)
        await service.send(CallRefused(asked.request, "StateUnavailable", "the disk is full", 0))
        await service.silent()
        await service.cut()
        await service.accept()
        await service.answer(await service.expect(AttendCall), RINGS)
        await anyio.sleep(0.1)
        assert [incoming.id for incoming in agent.incoming_calls] == [CALL]


async def test_a_push_that_is_looked_at_while_its_agent_ends_is_kept_for_the_next(tmp_path: Path) -> None:
    """The service had not answered yet."""
    service = PlayedService()
    async with client_of(service, tmp_path) as client:
        assert await client.handle_push_notification(push()) is PushOutcome.KEPT
        first = await connected(service, client)
        await service.expect(AttendCall)
        await first.dispose()
        second = await connected(service, client)
        await service.answer(await service.expect(AttendCall), RINGS)
        await anyio.sleep(0.1)
        assert [incoming.id for incoming in second.incoming_calls] == [CALL]


async def test_a_push_about_which_the_service_is_silent_is_kept(tmp_path: Path) -> None:
    """After 30 seconds; what it answers later is not taken twice."""
    service = PlayedService()
    async with agent_of(service, tmp_path) as agent:
        assert await agent.handle_push_notification(push()) is PushOutcome.KEPT
        asked = await service.expect(AttendCall)
        await service.answer(asked, RINGS)
        await anyio.sleep(0.1)
        assert not agent.incoming_calls
        await service.cut()
        await service.accept()
        await service.answer(await service.expect(AttendCall), RINGS)
        await anyio.sleep(0.1)
        assert len(agent.incoming_calls) == 1


class Lines(logging.Handler):
    """Takes what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one."""
        self.lines.append(record.getMessage())


@given(
    st.lists(st.sampled_from([push(), push(110)]) | NOISE.map(json.dumps) | NOISE | st.binary(max_size=9), max_size=20)
)
def test_of_whatever_comes_what_is_no_push_is_counted_and_logged_once(notifications: list[Any]) -> None:
    """And what is one is given on; nothing is raised."""
    reader = PushReader(AgentEvents("a test", HandlerCalls(), tuple), RepeatLog())
    log, logged = logging.getLogger("tocsin.calling.push_desk"), Lines()
    log.addHandler(logged)
    try:
        read = [reader.read(each) for each in notifications]
    finally:
        log.removeHandler(logged)
    assert reader.malformed == read.count(None)
    assert len(logged.lines) == (None in read)
    for given_in, details in zip(notifications, read, strict=True):
        if given_in == push() or given_in == push(110):
            assert details is not None
            assert details.call_id == CALL


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from([107, 110]))))
def test_the_newest_pushes_are_kept_each_once(pushes: list[tuple[int, int]]) -> None:
    """By call and kind, 32 at most; what there is no room for is returned."""
    kept = KeptPushes()
    dropped = 0
    for number, event in pushes:
        dropped += kept.keep(PushNotificationDetails.parse(push(event, call=f"call-{number}"))) is not None
    newest = list(dict.fromkeys(reversed(pushes)))[:MOST]
    assert [(int(each.call_id.removeprefix("call-")), each.event_id) for each in kept.take()] == newest[::-1]
    assert (dropped > 0) <= (len(set(pushes)) > MOST)
    assert not kept.take()
