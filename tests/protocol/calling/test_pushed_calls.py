"""Pushes about calls: what becomes of each, given what is known here, and what the service says."""

from __future__ import annotations

import pytest

from tests.protocol.calling.call_witness import USER
from tests.protocol.calling.calls_at_service import report_of
from tocsin.protocol.calling.agent_calls import AgentCalls
from tocsin.protocol.calling.call_effects import Ask, IncomingEnded, NotRung, Ring, Silence, UnrungEnded
from tocsin.protocol.calling.push_notification import PushEventType, PushNotificationDetails
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.calling.raw_id import read_raw_id
from tocsin.protocol.messages.calling import MAX_RINGING_CALLS, AttendCall, CallPhase, CallReport, HangUpCall

INCOMING, STOP = PushEventType.INCOMING_CALL, PushEventType.STOP_RINGING
RINGING = report_of("c", CallPhase.RINGING)
CANCELLED = report_of("c", CallPhase.ENDED, reason=(487, 0))
ELSEWHERE = report_of("c", CallPhase.ENDED, reason=(487, 10003))
CONNECTING = report_of("c", CallPhase.CONNECTING, here=True)
UNKNOWN = report_of("c", CallPhase.UNKNOWN, incoming=False)


def push(
    kind: PushEventType = INCOMING, call: str = "c", context: str = "", recipient: str = USER
) -> PushNotificationDetails:
    """Return what a push says."""
    return PushNotificationDetails(kind, int(kind), call, recipient=read_raw_id(recipient), context=context)


def after(*reports: CallReport, accept: bool = False, reject: bool = False) -> AgentCalls:
    """Return an agent's calls after reports, the first of which was decided about."""
    calls = AgentCalls(USER)
    for report in reports:
        calls.heard(report, 0)
        if accept and report is RINGING:
            calls.accept("c")
        if reject and report is RINGING:
            calls.reject("c")
    return calls


class TestBeforeAsking:
    """What can be said without the service."""

    @pytest.mark.parametrize(
        "kind", [INCOMING, STOP, PushEventType.INCOMING_GROUP_CALL, PushEventType.INCOMING_PSTN_CALL]
    )
    def test_of_an_unknown_call_nothing(self, kind: PushEventType) -> None:
        """Whatever kind of call it is, and though only its context is known."""
        assert AgentCalls(USER).before_asking(push(kind)) is None
        assert AgentCalls(USER).before_asking(push(kind, "", "c2VjcmV0")) is None

    def test_a_kind_that_is_not_known(self) -> None:
        """Is said to be one."""
        assert AgentCalls(USER).before_asking(push(PushEventType.NONE)) is PushOutcome.UNKNOWN_KIND
        assert AgentCalls(USER).before_asking(PushNotificationDetails(None, 4711, "c")) is PushOutcome.UNKNOWN_KIND

    def test_another_recipient(self) -> None:
        """It is none of ours; one without is."""
        assert AgentCalls(USER).before_asking(push(recipient="8:acs:x_carl")) is PushOutcome.NOT_OURS
        assert AgentCalls(USER).before_asking(PushNotificationDetails(INCOMING, int(INCOMING), "c")) is None

    def test_one_that_names_no_call(self) -> None:
        """There is nothing to ask about."""
        assert AgentCalls(USER).before_asking(push(call="")) is PushOutcome.MALFORMED

    @pytest.mark.parametrize(
        ("calls", "outcome"),
        [
            (after(RINGING), PushOutcome.DUPLICATE),
            (after(RINGING, accept=True), PushOutcome.ALREADY_HANDLED),
            (after(RINGING, CONNECTING, accept=True), PushOutcome.ALREADY_HANDLED),
            (after(RINGING, reject=True), PushOutcome.ALREADY_HANDLED),
            (after(RINGING, CANCELLED, reject=True), PushOutcome.ALREADY_HANDLED),
            (after(RINGING, CONNECTING, CANCELLED, accept=True), PushOutcome.ALREADY_HANDLED),
            (after(RINGING, CANCELLED), PushOutcome.ALREADY_ENDED),
            (after(CANCELLED), PushOutcome.ALREADY_ENDED),
            (after(RINGING, ELSEWHERE), PushOutcome.ANSWERED_ELSEWHERE),
            (after(RINGING, ELSEWHERE, accept=True), PushOutcome.ANSWERED_ELSEWHERE),
            (after(ELSEWHERE), PushOutcome.ANSWERED_ELSEWHERE),
        ],
    )
    def test_a_call_that_is_known(self, calls: AgentCalls, outcome: PushOutcome) -> None:
        """By how it stands, or has ended; to stop its ring the service is asked unless it has ended."""
        assert calls.before_asking(push()) is outcome
        assert calls.before_asking(push(STOP)) in ({None} if "c" in calls.open_calls() else {outcome})

    def test_the_question(self) -> None:
        """Names the call, and has the context."""
        assert AgentCalls(USER).question(push(context="c2VjcmV0")) == AttendCall(0, "c", "c2VjcmV0")


class TestPushed:
    """What the service has said."""

    def test_it_rings(self) -> None:
        """Whatever the push was for."""
        for kind in (INCOMING, STOP):
            outcome, [ring] = AgentCalls(USER).pushed(push(kind), RINGING, 0)
            assert outcome is PushOutcome.RINGS
            assert isinstance(ring, Ring)

    def test_it_rings_already(self) -> None:
        """As the service had told it while it was asked."""
        assert after(RINGING).pushed(push(), RINGING, 0) == (PushOutcome.DUPLICATE, ())
        assert after(RINGING, reject=True).pushed(push(), RINGING, 0) == (PushOutcome.ALREADY_HANDLED, ())

    def test_it_had_ended_here(self) -> None:
        """What the service says of before does not count."""
        assert after(RINGING, CANCELLED).pushed(push(), RINGING, 0) == (PushOutcome.ALREADY_ENDED, ())

    def test_it_had_ended_before_it_rang(self) -> None:
        """It never rings; an earlier process may have rung for it."""
        outcome, effects = AgentCalls(USER).pushed(push(), CANCELLED, 0)
        assert outcome is PushOutcome.ALREADY_ENDED
        assert [type(effect) for effect in effects] == [UnrungEnded]
        outcome, effects = AgentCalls(USER).pushed(push(), ELSEWHERE, 0)
        assert outcome is PushOutcome.ANSWERED_ELSEWHERE

    @pytest.mark.parametrize(
        ("kind", "report", "outcome"),
        [
            (STOP, CANCELLED, PushOutcome.STOPPED_RINGING),
            (STOP, ELSEWHERE, PushOutcome.ANSWERED_ELSEWHERE),
            (STOP, report_of("c", CallPhase.CONNECTED), PushOutcome.ANSWERED_ELSEWHERE),
            (INCOMING, CANCELLED, PushOutcome.ALREADY_ENDED),
        ],
    )
    def test_it_stops_ringing(self, kind: PushEventType, report: CallReport, outcome: PushOutcome) -> None:
        """By the first push that brings the news."""
        calls = after(RINGING)
        found, effects = calls.pushed(push(kind), report, 0)
        assert found is outcome
        assert [type(effect) for effect in effects] == [Silence, IncomingEnded]

    def test_what_the_service_does_not_know_ends_nothing(self) -> None:
        """A push with the id of a call, and a wrong context, does not silence it."""
        calls = after(RINGING)
        assert calls.pushed(push(STOP, context="d3Jvbmc="), UNKNOWN, 0) == (PushOutcome.UNKNOWN_CALL, ())
        assert calls.open_calls() == ("c",)

    def test_without_an_answer_it_is_kept(self) -> None:
        """Until there is one."""
        assert AgentCalls(USER).pushed(push(), None, 0) == (PushOutcome.KEPT, ())

    def test_a_call_that_the_user_has_made_elsewhere(self) -> None:
        """Is not for this user."""
        outgoing = report_of("c", CallPhase.RINGING, incoming=False)
        assert AgentCalls(USER).pushed(push(), outgoing, 0) == (PushOutcome.NOT_OURS, ())

    def test_a_call_that_an_earlier_process_is_in(self) -> None:
        """Is hung up, as that process is no more."""
        assert AgentCalls(USER).pushed(push(), CONNECTING, 0) == (
            PushOutcome.ALREADY_HANDLED,
            (Ask(HangUpCall(0, "c")),),
        )

    def test_one_too_many(self) -> None:
        """It is said, and does not ring."""
        calls = after(*(report_of(f"{number}", CallPhase.RINGING) for number in range(MAX_RINGING_CALLS)))
        assert calls.pushed(push(), RINGING, 0) == (PushOutcome.TOO_MANY, (NotRung("c"),))
