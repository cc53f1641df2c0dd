"""An agent's calls: what each report, command and moment leads to."""

from __future__ import annotations

import math

import pytest

from tests.protocol.calling.call_witness import USER
from tests.protocol.calling.calls_at_service import report_of
from tocsin.protocol.calling import call_effects as e
from tocsin.protocol.calling.agent_call import HEARD_WITHIN
from tocsin.protocol.calling.agent_calls import AgentCalls
from tocsin.protocol.calling.agent_ring import ANSWER_WITHIN, MAX_RING, SLACK
from tocsin.protocol.calling.call_effects import Ask, CallEffects
from tocsin.protocol.calling.call_state import CallState, ParticipantState
from tocsin.protocol.calling.end_reason import APP_CLOSED
from tocsin.protocol.errors import Busy, CallEnded, IllegalCall
from tocsin.protocol.messages.calling import (
    MAX_LISTED_CALLS,
    MAX_OPEN_CALLS,
    MAX_RINGING_CALLS,
    AcceptCall,
    CallPhase,
    CallReady,
    CallRefused,
    CallReport,
    HangUpCall,
    RejectCall,
    SetCallMedia,
    StartCall,
)

ANN = e.Caller("8:acs:x_ann", "Ann")
REFUSED = CallRefused(0, "StateUnavailable", "it cannot be written", 0)


def taken(
    call: str = "c",
    phase: CallPhase = CallPhase.CONNECTED,
    *,
    incoming: bool = True,
    muted: bool = False,
    held: bool = False,
) -> CallReport:
    """Report a call that the agent is in."""
    return report_of(call, phase, incoming=incoming, here=True, peer_muted=muted, peer_held=held)


def ended(code: int, subcode: int, call: str = "c", *, incoming: bool = True, here: bool = False) -> CallReport:
    """Report an end."""
    return report_of(call, CallPhase.ENDED, incoming=incoming, here=here, reason=(code, subcode))


def forgotten(call: str = "c") -> CallReport:
    """Report that there is no such call."""
    return report_of(call, CallPhase.UNKNOWN, incoming=False, peer="", peer_name="")


def ringing(user: str = USER) -> AgentCalls:
    """Return the calls of an agent with which a call rings."""
    calls = AgentCalls(user)
    calls.heard(report_of("c", CallPhase.RINGING), 0)
    return calls


def accepting() -> AgentCalls:
    """Return those of one that accepts it, muted."""
    calls = ringing()
    calls.accept("c", muted=True)
    return calls


def talking() -> AgentCalls:
    """Return those of one that is in a call, which has come in."""
    calls = ringing()
    calls.accept("c")
    calls.heard(taken(), 0)
    return calls


def calling() -> AgentCalls:
    """Return those of one that calls."""
    calls = AgentCalls(USER)
    calls.start("c", ANN.raw_id, 0)
    return calls


def asked(effects: CallEffects) -> list[e.Asked]:
    """Return what the service is asked."""
    return [effect.message for effect in effects if isinstance(effect, Ask)]


def states(effects: CallEffects) -> list[CallState]:
    """Return the states that a call goes through."""
    return [effect.state for effect in effects if isinstance(effect, e.CallStateChanged)]


class TestRinging:
    """A call that rings."""

    def test_it_rings_once(self) -> None:
        """On the word of the service, however often that is said."""
        calls = AgentCalls(USER)
        report = report_of("c", CallPhase.RINGING, video=True)
        assert calls.heard(report, 10.0) == (e.Ring("c", ANN, video=True, until=70.0),)
        assert calls.heard(report, 11.0) == ()
        assert calls.open_calls() == ("c",)

    def test_the_caller_may_come_to_be_known_better(self) -> None:
        """Which is told, without another ring."""
        calls = ringing()
        named = report_of("c", CallPhase.RINGING, peer_name="Ann B.")
        assert calls.heard(named, 1) == (e.CallerInfoChanged("c", e.Caller(ANN.raw_id, "Ann B.")),)
        assert calls.heard(named, 1) == ()

    @pytest.mark.parametrize("reason", [(487, 0), (603, 0), (487, 10003), (0, 5300)])
    def test_it_ends_once_and_rings_no_more(self, reason: tuple[int, int]) -> None:
        """With the reason that the service has."""
        calls = ringing()
        assert calls.heard(ended(*reason), 1) == (e.Silence("c"), e.IncomingEnded("c", *reason))
        assert calls.heard(ended(487, 0), 1) == ()
        assert calls.heard(report_of("c", CallPhase.RINGING), 1) == ()
        assert calls.open_calls() == ()

    def test_it_ends_where_another_endpoint_has_it(self) -> None:
        """Also where the service only says that it goes on there."""
        effects = ringing().heard(report_of("c", CallPhase.CONNECTING), 1)
        assert effects == (e.Silence("c"), e.IncomingEnded("c", 487, 10003))

    def test_it_ends_where_the_service_knows_it_no_more(self) -> None:
        """As after its state was lost."""
        assert ringing().heard(forgotten(), 1) == (e.Silence("c"), e.IncomingEnded("c", 404, 0))

    def test_a_report_of_the_other_direction_is_none_of_it(self) -> None:
        """An id is that of one call."""
        assert ringing().heard(report_of("c", CallPhase.ENDED, incoming=False), 1) == ()
        assert calling().heard(report_of("c", CallPhase.RINGING), 1) == ()

    def test_an_end_that_comes_first_is_remembered(self) -> None:
        """And told, as an earlier process may have rung for it."""
        calls = AgentCalls(USER)
        told = (e.UnrungEnded("c", ANN, video=False, code=487, subcode=0),)
        assert calls.heard(ended(487, 0), 1) == told
        assert calls.heard(ended(487, 0), 1) == ()
        assert calls.heard(report_of("c", CallPhase.RINGING), 1) == ()

    def test_so_is_an_acceptance_elsewhere(self) -> None:
        """That the service tells as what it is."""
        told = (e.UnrungEnded("c", ANN, video=False, code=487, subcode=10003),)
        assert AgentCalls(USER).heard(report_of("c", CallPhase.CONNECTED), 1) == told

    def test_an_end_of_a_call_that_an_earlier_process_was_in_is_not_told(self) -> None:
        """No bell is of interest there."""
        assert AgentCalls(USER).heard(ended(0, 4521, here=True), 1) == ()

    def test_only_so_many_ends_are_remembered(self) -> None:
        """The newest."""
        calls = AgentCalls(USER, remembered=2)
        for call in "abc":
            calls.heard(ended(487, 0, call), 1)
        assert calls.heard(report_of("c", CallPhase.RINGING), 1) == ()
        assert calls.heard(report_of("b", CallPhase.RINGING), 1) == ()
        assert calls.heard(report_of("a", CallPhase.RINGING), 1) != ()

    def test_only_so_many_ring_at_a_time(self) -> None:
        """Others do not until there is room; none of them is declined, as it may ring elsewhere."""
        calls = AgentCalls(USER)
        for number in range(MAX_RINGING_CALLS):
            calls.heard(report_of(f"{number}", CallPhase.RINGING), 0)
        assert calls.heard(report_of("c", CallPhase.RINGING), 0) == (e.NotRung("c"),)
        calls.heard(ended(487, 0, "0"), 1)
        assert isinstance(calls.heard(report_of("c", CallPhase.RINGING), 1)[0], e.Ring)


class TestClock:
    """What the agent's own clock ends."""

    def test_a_bell_stops_without_a_connection(self) -> None:
        """A few seconds after its time, once."""
        calls = ringing()
        assert calls.next_due() == 60 + SLACK
        assert calls.due(60 + SLACK - 1) == ()
        assert calls.due(60 + SLACK) == (e.Silence("c"), e.IncomingEnded("c", 487, 10004))
        assert calls.next_due() is None
        assert calls.heard(report_of("c", CallPhase.RINGING), 66) == ()

    def test_the_service_may_let_it_ring_on(self) -> None:
        """Its word counts, whenever it says another time."""
        calls = ringing()
        calls.heard(report_of("c", CallPhase.RINGING, rings_for=90), 30)
        assert calls.next_due() == 120 + SLACK

    @pytest.mark.parametrize(("said", "until"), [(math.inf, MAX_RING), (1e300, MAX_RING), (-5, 0), (math.nan, 0)])
    def test_no_time_is_believed_that_cannot_be(self, said: float, until: float) -> None:
        """A bell neither rings for ever, nor has it an end before its beginning."""
        ring = AgentCalls(USER).heard(report_of("c", CallPhase.RINGING, rings_for=said), 0)[0]
        assert isinstance(ring, e.Ring)
        assert ring.until == until

    def test_what_was_declined_ends_as_declined(self) -> None:
        """Though the service has not said so: no call is missed."""
        calls = ringing()
        calls.reject("c")
        assert calls.due(60 + SLACK) == (e.IncomingEnded("c", 603, 0),)

    def test_what_was_accepted_is_waited_for_longer(self) -> None:
        """The acceptance may have arrived just in time."""
        calls = accepting()
        assert calls.due(60 + SLACK) == ()
        assert calls.due(60 + SLACK + ANSWER_WITHIN) == (e.IncomingEnded("c", 408, 10057),)

    def test_what_is_to_be_hung_up_as_well(self) -> None:
        """It was accepted before."""
        calls = accepting()
        calls.hang_up("c", 1)
        assert calls.due(60 + SLACK) == ()
        assert calls.due(60 + SLACK + ANSWER_WITHIN) == (e.IncomingEnded("c", 0, 0),)

    def test_a_call_that_cannot_begin_is_given_up(self) -> None:
        """So that it does not ring long after its caller has turned away."""
        calls = calling()
        assert calls.next_due() == HEARD_WITHIN
        assert calls.due(HEARD_WITHIN)[-1] == e.CallDisconnected("c", 496, 7)
        assert calls.reconnected() == ()

    def test_one_that_rings_is_waited_for(self) -> None:
        """The service has an end for it."""
        calls = calling()
        calls.heard(taken(phase=CallPhase.RINGING, incoming=False), 1)
        assert calls.next_due() is None

    def test_a_hang_up_does_not_take_for_ever(self) -> None:
        """Its user is not interested in what the service has to say."""
        calls = talking()
        calls.hang_up("c", 10)
        assert calls.due(10 + HEARD_WITHIN)[-1] == e.CallDisconnected("c", 0, 0)


class TestAccepting:
    """The user takes a call that rings."""

    def test_the_bell_stops_before_the_service_is_asked(self) -> None:
        """In this order."""
        assert ringing().accept("c", muted=True, video=True) == (
            e.Silence("c"),
            Ask(AcceptCall(0, "c", muted=True, video=True)),
        )

    def test_it_begins_when_the_service_says_so(self) -> None:
        """Then the agent gets ready."""
        calls = accepting()
        bob = e.Participant(ANN.raw_id, "Ann", ParticipantState.CONNECTING, is_muted=False)
        assert calls.heard(taken(phase=CallPhase.CONNECTING), 1) == (
            e.CallBegan("c", incoming=True, state=CallState.CONNECTING, participant=bob, video=False, muted=True),
            Ask(CallReady(0, "c")),
        )
        assert states(calls.heard(taken(), 1)) == [CallState.CONNECTED]

    def test_it_may_be_gone(self) -> None:
        """Which is no call then."""
        assert accepting().heard(ended(487, 10003), 1) == (e.IncomingEnded("c", 487, 10003),)

    def test_it_is_asked_anew_on_each_connection(self) -> None:
        """With all that was said, and once."""
        calls = accepting()
        for _ in range(2):
            assert calls.reconnected() == (Ask(AcceptCall(0, "c", muted=True, video=False)),)
        calls.heard(taken(phase=CallPhase.CONNECTING), 1)
        assert calls.reconnected() == (Ask(CallReady(0, "c")),)

    def test_it_may_be_refused_and_tried_again(self) -> None:
        """The bell stays silent; and one of a report that comes late is no acceptance."""
        calls = accepting()
        assert calls.answered(AcceptCall(0, "c", muted=True, video=False), REFUSED, 1) == ()
        assert calls.heard(report_of("c", CallPhase.RINGING), 1) == ()
        assert asked(calls.accept("c")) == [AcceptCall(0, "c", muted=False, video=False)]
        assert calls.answered(RejectCall(0, "c"), REFUSED, 1) == ()  # that of another question changes nothing
        assert isinstance(calls.heard(taken(phase=CallPhase.CONNECTING), 1)[0], e.CallBegan)

    def test_what_was_refused_is_not_begun(self) -> None:
        """Where it was done all the same, it is hung up: its user was told that it failed."""
        calls = accepting()
        calls.answered(AcceptCall(0, "c", muted=True, video=False), REFUSED, 1)
        assert calls.heard(taken(phase=CallPhase.CONNECTING), 1) == (Ask(HangUpCall(0, "c")),)
        assert calls.heard(ended(0, 0, here=True), 1) == (e.IncomingEnded("c", 0, 0),)

    def test_it_can_be_taken_back(self) -> None:
        """By a hang-up, whether the service has accepted it or not."""
        calls = accepting()
        assert calls.hang_up("c", 1) == (Ask(HangUpCall(0, "c")),)
        assert calls.hang_up("c", 1) == ()
        assert calls.heard(taken(phase=CallPhase.CONNECTING), 1) == ()
        assert calls.reconnected() == (Ask(HangUpCall(0, "c")),)
        assert calls.heard(ended(0, 0, here=True), 1) == (e.IncomingEnded("c", 0, 0),)

    def test_it_cannot_be_decided_twice(self) -> None:
        """The sentence says how it was decided."""
        with pytest.raises(IllegalCall, match="'c' is being accepted already"):
            accepting().accept("c")
        calls = ringing()
        calls.reject("c")
        with pytest.raises(IllegalCall, match="'c' is being declined already"):
            calls.accept("c")
        with pytest.raises(IllegalCall, match="'c' was accepted already"):
            talking().accept("c")
        with pytest.raises(IllegalCall, match="this agent has no call 'd'"):
            talking().accept("d")

    def test_what_has_ended_says_why(self) -> None:
        """In words, and as a reason."""
        calls = ringing()
        calls.heard(ended(487, 0), 1)
        with pytest.raises(CallEnded, match=r"has ended \(487/0\): The caller hung up before") as gone:
            calls.accept("c")
        assert gone.value.reason == (487, 0)

    def test_an_agent_is_in_so_many_calls(self) -> None:
        """Those that it is about to accept count as well."""
        calls = AgentCalls(USER)
        for number in range(MAX_OPEN_CALLS):
            calls.start(f"{number}", ANN.raw_id, 0)
        with pytest.raises(Busy, match="64 calls are open here"):
            calls.start("64", ANN.raw_id, 0)
        calls.heard(report_of("c", CallPhase.RINGING), 0)
        with pytest.raises(Busy, match="64 calls are open here"):
            calls.accept("c")
        calls.heard(ended(487, 0, "0", incoming=False, here=True), 0)
        calls.accept("c")
        calls.heard(report_of("d", CallPhase.RINGING), 0)
        with pytest.raises(Busy, match="64 calls are open here"):
            calls.accept("d")
        with pytest.raises(Busy, match="64 calls are open here"):
            calls.start("64", ANN.raw_id, 0)
        assert len(calls.open_calls()) <= MAX_LISTED_CALLS


class TestDeclining:
    """The user does not take it."""

    def test_the_bell_stops_before_the_service_is_asked(self) -> None:
        """And it ends when the service says so."""
        calls = ringing()
        assert calls.reject("c") == (e.Silence("c"), Ask(RejectCall(0, "c")))
        assert calls.reconnected() == (Ask(RejectCall(0, "c")),)
        assert calls.heard(ended(603, 0), 1) == (e.IncomingEnded("c", 603, 0),)

    def test_where_the_service_has_forgotten_it_was_declined_still(self) -> None:
        """No call is missed."""
        calls = ringing()
        calls.reject("c")
        assert calls.heard(forgotten(), 1) == (e.IncomingEnded("c", 603, 0),)

    def test_what_rings_is_not_hung_up(self) -> None:
        """The sentence says what would be right."""
        with pytest.raises(IllegalCall, match="accepted or declined, not hung up"):
            ringing().hang_up("c", 0)


class TestStarting:
    """The user calls."""

    def test_it_goes_on_as_the_service_says(self) -> None:
        """To the end of it."""
        calls = AgentCalls(USER)
        bob = e.Participant(ANN.raw_id, "", ParticipantState.IDLE, is_muted=False)
        assert calls.start("c", ANN.raw_id, 0, video=True) == (
            e.CallBegan("c", incoming=False, state=CallState.CONNECTING, participant=bob, video=True, muted=False),
            Ask(StartCall(0, "c", ANN.raw_id, video=True)),
        )
        seen: CallEffects = ()
        for phase in (CallPhase.RINGING, CallPhase.CONNECTING, CallPhase.CONNECTED):
            seen += calls.heard(taken(phase=phase, incoming=False), 1)
        assert states(seen) == [CallState.RINGING, CallState.CONNECTING, CallState.CONNECTED]
        assert calls.heard(ended(0, 0, incoming=False, here=True), 1) == (
            e.ParticipantChanged("c", e.Participant(*vars_of(ANN), ParticipantState.DISCONNECTED, is_muted=False)),
            e.CallDisconnected("c", 0, 0),
        )

    def test_it_may_be_over_at_once(self) -> None:
        """As where the callee has no endpoint."""
        effects = calling().heard(ended(480, 10037, incoming=False, here=True), 1)
        assert effects[-1] == e.CallDisconnected("c", 480, 10037)

    def test_what_the_service_has_not_heard_of_is_not_over(self) -> None:
        """On the next connection the service is asked to ring, after it has said that it knows no such call."""
        calls = calling()
        assert calls.open_calls() == ("c",)
        assert calls.heard(forgotten(), 1) == ()
        assert calls.reconnected() == (Ask(StartCall(0, "c", ANN.raw_id, video=False)),)
        assert calls.answered(StartCall(0, "c", ANN.raw_id, video=False), forgotten(), 1)[-1] == (
            e.CallDisconnected("c", 404, 0)
        )

    def test_nor_is_it_where_it_was_hung_up_meanwhile(self) -> None:
        """The answer to that comes behind what the service says of the calls of a connection that has just begun."""
        calls = calling()
        calls.hang_up("c", 1)
        assert calls.heard(forgotten(), 1) == ()
        assert calls.answered(HangUpCall(0, "c"), forgotten(), 1)[-1] == e.CallDisconnected("c", 487, 0)

    def test_it_may_be_refused(self) -> None:
        """It is over then."""
        effects = calling().answered(StartCall(0, "c", ANN.raw_id, video=False), REFUSED, 1)
        assert effects[-1] == e.CallDisconnected("c", 503, 0)

    @pytest.mark.parametrize(
        ("phase", "reason"),
        [
            (None, (487, 0)),
            (CallPhase.RINGING, (487, 0)),
            (CallPhase.CONNECTING, (0, 0)),
            (CallPhase.CONNECTED, (0, 0)),
        ],
    )
    def test_a_hang_up_ends_it(self, phase: CallPhase | None, reason: tuple[int, int]) -> None:
        """As cancelled where it was not answered, also where the service does not know it any more."""
        calls = calling()
        if phase is not None:
            calls.heard(taken(phase=phase, incoming=False), 1)
        assert asked(calls.hang_up("c", 1)) == [HangUpCall(0, "c")]
        assert calls.hang_up("c", 2) == ()
        assert states(calls.heard(taken(incoming=False), 3)) == []
        assert calls.reconnected() == (Ask(HangUpCall(0, "c")),)
        assert calls.answered(HangUpCall(0, "c"), forgotten(), 3)[-1] == e.CallDisconnected("c", *reason)
        with pytest.raises(CallEnded):
            calls.hang_up("c", 4)

    def test_an_id_is_good_once(self) -> None:
        """Whatever has become of the call."""
        calls = calling()
        with pytest.raises(IllegalCall, match="an id of its own"):
            calls.start("c", ANN.raw_id, 1)
        calls.heard(ended(0, 0, incoming=False, here=True), 1)
        with pytest.raises(IllegalCall, match="an id of its own"):
            calls.start("c", ANN.raw_id, 1)

    def test_no_one_is_in_a_call_of_an_earlier_process(self) -> None:
        """It is hung up, once for each report; what is done on other devices of the user is none of it."""
        calls = AgentCalls(USER)
        for phase in (CallPhase.RINGING, CallPhase.CONNECTING, CallPhase.CONNECTED):
            assert calls.heard(taken(phase=phase, incoming=False), 1) == (Ask(HangUpCall(0, "c")),)
            assert calls.heard(report_of("c", phase, incoming=False), 1) == ()
        assert calls.heard(taken(), 1) == (Ask(HangUpCall(0, "c")),)
        assert calls.answered(HangUpCall(0, "c"), taken(), 1) == ()
        assert calls.open_calls() == ()


def vars_of(caller: e.Caller) -> tuple[str, str]:
    """Return a caller's id and name."""
    return caller.raw_id, caller.display_name


class TestMedia:
    """Who is muted, and who holds."""

    def test_our_hold_is_shown_where_both_hold(self) -> None:
        """And theirs when ours is over."""
        calls = talking()
        assert states(calls.heard(taken(held=True), 1)) == [CallState.REMOTE_HOLD]
        held = calls.set_media("c", held=True)
        assert (states(held), asked(held)) == ([CallState.LOCAL_HOLD], [SetCallMedia(0, "c", muted=False, held=True)])
        assert states(calls.set_media("c", held=False)) == [CallState.REMOTE_HOLD]
        calls.set_media("c", held=True)
        assert states(calls.heard(taken(), 1)) == []
        assert states(calls.set_media("c", held=False)) == [CallState.CONNECTED]

    def test_the_other_side_is_seen_as_it_is(self) -> None:
        """Muted, on hold, or by another name."""
        effects = talking().heard(taken(held=True, muted=True), 1)
        assert effects[-1] == (
            e.ParticipantChanged("c", e.Participant(*vars_of(ANN), ParticipantState.HOLD, is_muted=True))
        )

    def test_what_is_so_already_is_not_said(self) -> None:
        """Neither to the app, nor to the service."""
        calls = talking()
        assert calls.set_media("c", muted=False, held=False) == ()
        assert calls.set_media("c") == ()

    def test_a_refusal_undoes_it(self) -> None:
        """Unless another is under way; and it is said again later, as the service may have taken it in."""
        calls = talking()
        first, second = SetCallMedia(0, "c", muted=True, held=False), SetCallMedia(0, "c", muted=True, held=True)
        assert asked(calls.set_media("c", muted=True)) == [first]
        assert asked(calls.set_media("c", held=True)) == [second]
        assert calls.answered(first, REFUSED, 1) == ()
        effects = calls.answered(second, REFUSED, 1)
        assert (effects[0], states(effects)) == (e.MutedChanged("c", muted=False), [CallState.CONNECTED])
        assert asked(calls.reconnected()) == [SetCallMedia(0, "c", muted=False, held=False)]

    def test_it_is_said_again_where_that_is_not_sure(self) -> None:
        """Or where the service may have forgotten it."""
        calls = talking()
        assert calls.reconnected() == ()
        [muted] = asked(calls.set_media("c", muted=True))
        calls.answered(muted, taken(), 1)
        assert asked(calls.reconnected()) == [muted]
        [loud] = asked(calls.set_media("c", muted=False))
        assert asked(calls.reconnected()) == [loud]
        calls.answered(loud, taken(), 1)
        assert calls.reconnected() == ()

    def test_one_may_be_muted_before_the_other_side_is_there(self) -> None:
        """The service is told when it is."""
        calls = calling()
        assert calls.set_media("c", muted=True) == (e.MutedChanged("c", muted=True),)
        assert asked(calls.heard(taken(incoming=False), 1)) == [SetCallMedia(0, "c", muted=True, held=False)]

    def test_what_was_said_with_the_acceptance_is_not_said_again(self) -> None:
        """The service knows it."""
        calls = accepting()
        calls.heard(taken(phase=CallPhase.CONNECTING), 1)
        assert asked(calls.heard(taken(), 1)) == []

    def test_where_it_makes_no_sense_it_is_refused(self) -> None:
        """A call is held when both sides are there, and none is when it is hung up."""
        with pytest.raises(IllegalCall, match="is not connected yet"):
            calling().set_media("c", held=True)
        with pytest.raises(IllegalCall, match="rings, and was not accepted"):
            ringing().set_media("c", muted=True)
        calls = talking()
        calls.hang_up("c", 1)
        with pytest.raises(IllegalCall, match="is being hung up"):
            calls.set_media("c", muted=True)
        calls.heard(ended(0, 0, here=True), 1)
        with pytest.raises(CallEnded, match="A participant hung up"):
            calls.set_media("c", muted=True)


class TestEnds:
    """Other ends."""

    def test_a_call_that_the_service_has_forgotten_has_ended(self) -> None:
        """For whatever reason."""
        assert talking().heard(forgotten(), 1)[-1] == e.CallDisconnected("c", 404, 0)

    def test_one_that_cannot_get_ready_is_hung_up(self) -> None:
        """It would stay on its way for ever else."""
        calls = accepting()
        calls.heard(taken(phase=CallPhase.CONNECTING), 1)
        assert asked(calls.answered(CallReady(0, "c"), REFUSED, 1)) == [HangUpCall(0, "c")]
        assert calls.answered(HangUpCall(0, "c"), REFUSED, 1) == ()
        assert calls.reconnected() == (Ask(HangUpCall(0, "c")),)

    def test_all_can_be_ended_at_once(self) -> None:
        """As where the agent is disposed of."""
        calls = talking()
        calls.heard(report_of("d", CallPhase.RINGING), 1)
        effects = calls.end_all(APP_CLOSED)
        assert effects[:2] == (e.Silence("d"), e.IncomingEnded("d", 0, 4521))
        assert effects[-1] == e.CallDisconnected("c", 0, 4521)
        assert asked(effects) == []
        assert (calls.open_calls(), calls.next_due()) == ((), None)

    def test_a_refusal_that_comes_late_changes_nothing(self) -> None:
        """The call may be gone, or has gone on."""
        calls = talking()
        assert calls.answered(AcceptCall(0, "c", muted=False, video=False), REFUSED, 1) == ()
        assert calls.answered(HangUpCall(0, "d"), REFUSED, 1) == ()
