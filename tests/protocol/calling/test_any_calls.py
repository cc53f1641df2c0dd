"""An agent's calls against a service, with any order of reports, pushes, commands, losses and time: what may never happen, and where it ends."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.protocol.calling.call_witness import USER, Witness
from tests.protocol.calling.calls_at_service import OPEN, ServedCall, ServedCalls
from tocsin.protocol.calling.agent_calls import AgentCalls
from tocsin.protocol.calling.call_effects import Ask, Asked, CallEffects, Ring
from tocsin.protocol.calling.push_notification import PushEventType, PushNotificationDetails
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.calling.raw_id import read_raw_id
from tocsin.protocol.errors import IllegalCall
from tocsin.protocol.messages.calling import CallPhase, CallRefused, CallReport

Told = tuple[Asked | PushNotificationDetails | None, CallReport | CallRefused]
"""What has come of the service, and what it is the answer to."""

OVER = {PushOutcome.ALREADY_HANDLED, PushOutcome.ALREADY_ENDED, PushOutcome.ANSWERED_ELSEWHERE}
ENDS = st.sampled_from([(487, 0), (487, 10003), (487, 10004), (603, 0), (0, 0), (0, 4521)])


NEAR = 3
"""Things happen to so many of the newest calls."""

some = st.integers(0, NEAR - 1)


class AnyCalls(RuleBasedStateMachine):
    """One agent, its service, and the two wires between them, each in order; a break empties both."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.agent = AgentCalls(USER)
        self.service = ServedCalls()
        self.witness = Witness()
        self.calls: list[str] = []
        self.is_connected = True
        self.to_agent: deque[Told] = deque()
        self.to_service: deque[Asked] = deque()

    # The service's side

    @rule(is_lucky=st.booleans())
    def a_call_comes(self, is_lucky: bool) -> None:
        """It rings, and the agent is told, if it is connected."""
        call = self._new("in")
        self.service.calls[call] = ServedCall(call, incoming=True, until=self.now + 60)
        self._tell(call)
        if is_lucky and self.is_connected:
            self._let_arrive(len(self.to_agent))

    @precondition(lambda self: self.is_connected)
    @rule(incoming=st.booleans(), count=st.integers(4, 12))
    def a_call_is_answered(self, incoming: bool, count: int) -> None:
        """At once, by the user or by the other side; so that long calls are not rare."""
        if incoming:
            self.a_call_comes(is_lucky=True)
            self.the_user_accepts(0, muted=False)
        else:
            self.the_user_calls(muted=False)
            self._let_arrive(len(self.to_agent) + len(self.to_service))
            self.the_other_side_goes_on(0)
            self.the_other_side_goes_on(0)
        self._let_arrive(count)

    @precondition(lambda self: self.calls)
    @rule(one=some, reason=ENDS)
    def it_ends(self, one: int, reason: tuple[int, int]) -> None:
        """For whatever reason; what has ended stays so."""
        call = self._newest(one)
        if (known := self.service.calls.get(call)) is not None:
            known.end(*reason)
            self._tell(call)

    @precondition(lambda self: self.calls)
    @rule(one=some)
    def the_other_side_goes_on(self, one: int) -> None:
        """It picks up, and gets ready."""
        known = self.service.calls.get(self._newest(one))
        if known is not None and not known.incoming and known.phase in {CallPhase.RINGING, CallPhase.CONNECTING}:
            known.phase = CallPhase(known.phase + 1)
            self._tell(known.call)

    @precondition(lambda self: self.calls)
    @rule(one=some, muted=st.booleans(), held=st.booleans(), name=st.sampled_from(["Ann", "Ann B.", ""]))
    def the_other_side_changes(self, one: int, muted: bool, held: bool, name: str) -> None:
        """Its name, or what it has switched off."""
        known = self.service.calls.get(self._newest(one))
        if known is not None and not known.is_over:
            known.name = name
            known.peer = (muted, held) if known.phase in OPEN else known.peer
            self._tell(known.call)

    @precondition(lambda self: self.calls)
    @rule(one=some, is_forgotten=st.booleans())
    def it_is_told_again(self, one: int, is_forgotten: bool) -> None:
        """As may be at any time; or the service forgets it, as where its state was lost."""
        if is_forgotten:
            self.service.calls.pop(self._newest(one), None)
        else:
            self._tell(self._newest(one))

    # The wires

    @precondition(lambda self: self.to_agent or self.to_service)
    @rule(count=st.integers(1, 8))
    def messages_arrive(self, count: int) -> None:
        """The first of those on their way, in one direction or the other."""
        self._let_arrive(count)

    @precondition(lambda self: self.to_service)
    @rule(is_done=st.booleans(), count=st.integers(0, 8))
    def a_question_is_refused(self, is_done: bool, count: int) -> None:
        """As where the disk is full; it may have been done all the same."""
        message = self.to_service.popleft()
        if is_done:
            self.service.asked(message, self.now)
        self.to_agent.append((message, CallRefused(0, "StateUnavailable", "it cannot be written", 0)))
        self._let_arrive(count)

    @rule()
    def the_connection_breaks_or_is_made_again(self) -> None:
        """With all that is on its way; on the next one the agent says which calls it has, and asks again."""
        self.is_connected = not self.is_connected
        self.to_agent.clear()
        self.to_service.clear()
        if self.is_connected:
            for report in self.service.greeted(self.agent.open_calls(), self.now):
                self.to_agent.append((None, report))
            self.witness.accepted.update(dict.fromkeys(self.witness.rung, 1))
            self._perform(self.agent.reconnected())

    # Pushes, as often and as late as they like

    @precondition(lambda self: self.calls)
    @rule(one=some, kind=st.sampled_from([PushEventType.INCOMING_CALL, PushEventType.STOP_RINGING]))
    def a_push_comes(self, one: int, kind: PushEventType) -> None:
        """The service is asked about it, unless it is known without."""
        call = self._newest(one)
        details = PushNotificationDetails(kind, int(kind), call, recipient=read_raw_id(USER))
        outcome = self.agent.before_asking(details)
        if outcome is not None:
            assert outcome in {PushOutcome.DUPLICATE, *OVER}
            assert call in self.agent.open_calls() or call in self.witness.ended or outcome in OVER
        elif self.is_connected:
            self.to_agent.append((details, self.service.report(call, self.now)))
        else:
            assert self.agent.pushed(details, None, self.now) == (PushOutcome.KEPT, ())

    # The user and the clock

    @precondition(lambda self: self.calls)
    @rule(one=some, muted=st.booleans())
    def the_user_accepts(self, one: int, muted: bool) -> None:
        """Where that is legal."""
        with suppress(IllegalCall):
            effects = self.agent.accept(self._newest(one), muted=muted)
            self.witness.accepted[self._newest(one)] += 1
            self._perform(effects)

    @precondition(lambda self: self.calls)
    @rule(one=some)
    def the_user_declines(self, one: int) -> None:
        """Where that is legal."""
        with suppress(IllegalCall):
            self._perform(self.agent.reject(self._newest(one)))

    @precondition(lambda self: self.calls)
    @rule(one=some)
    def the_user_hangs_up(self, one: int) -> None:
        """Where that is legal."""
        with suppress(IllegalCall):
            self._perform(self.agent.hang_up(self._newest(one), self.now))

    @precondition(lambda self: self.witness.begun - self.witness.ended)
    @rule(data=st.data(), muted=st.none() | st.booleans(), held=st.none() | st.booleans())
    def the_user_mutes_or_holds(self, data: st.DataObject, muted: bool | None, held: bool | None) -> None:
        """Where that is legal."""
        call = data.draw(st.sampled_from(sorted(self.witness.begun - self.witness.ended)))
        with suppress(IllegalCall):
            self._perform(self.agent.set_media(call, muted=muted, held=held))

    @rule(muted=st.booleans())
    def the_user_calls(self, muted: bool) -> None:
        """Another user."""
        self._perform(self.agent.start(self._new("out"), "8:acs:x_ann", self.now, muted=muted))

    @precondition(lambda self: self.agent.next_due() is not None)
    @rule()
    def time_passes_until_something_is_due(self) -> None:
        """At the agent, whether the service has told it or not."""
        self._pass(max((self.agent.next_due() or 0.0) - self.now, 0.0))
        assert (self.agent.next_due() or self.now + 1) > self.now

    @rule(seconds=st.floats(0.1, 20))
    def time_passes(self, seconds: float) -> None:
        """At both."""
        self._pass(seconds)

    @rule()
    def all_settles(self) -> None:
        """When both have said all that they have to say, and have met once more, they agree."""
        self._meet()
        self._pass(36.0)
        self._meet()
        standing = {call: self.service.calls[call] for call in self.service.calls}
        ringing = {call for call, known in standing.items() if known.incoming and known.phase is CallPhase.RINGING}
        here = {call for call, known in standing.items() if known.here and not known.is_over}
        assert set(self.agent.open_calls()) == ringing | here
        assert ringing <= self.witness.rung
        for call in here:
            state, participant = self.witness.states[call].name, self.witness.participants[call]
            known = standing[call]
            if known.phase is CallPhase.CONNECTED:
                held = "LOCAL_HOLD" if known.media[1] else "REMOTE_HOLD" if known.peer[1] else "CONNECTED"
                assert (state, self.witness.muted[call]) == (held, known.media[0])
                assert participant.is_muted == known.peer[0]
            else:
                assert state == known.phase.name

    @invariant()
    def what_is_open_was_told(self) -> None:
        """The agent's list holds what rang or began, and has not ended."""
        witness = self.witness
        assert set(self.agent.open_calls()) == (witness.rung | witness.begun) - witness.ended

    @invariant()
    def what_has_ended_is_gone(self) -> None:
        """A command about it says so."""
        for call in self.witness.ended & self.witness.rung:
            with suppress(IllegalCall):
                self.agent.accept(call)
                raise AssertionError(call)

    def _new(self, direction: str) -> str:
        self.calls.append(f"{direction}-{len(self.calls)}")
        return self.calls[-1]

    def _newest(self, one: int) -> str:
        return self.calls[-1 - min(one, len(self.calls) - 1)]

    def _tell(self, call: str) -> None:
        if self.is_connected:
            self.to_agent.append((None, self.service.report(call, self.now)))

    def _perform(self, effects: CallEffects) -> None:
        self.witness.saw(effects)
        if self.is_connected:
            self.to_service.extend(effect.message for effect in effects if isinstance(effect, Ask))

    def _let_arrive(self, count: int) -> None:
        for _ in range(count):
            if self.to_agent:
                self._reach_the_agent(*self.to_agent.popleft())
            elif self.to_service:
                message = self.to_service.popleft()
                self.to_agent.append((message, self.service.asked(message, self.now)))

    def _reach_the_agent(self, asked: Asked | PushNotificationDetails | None, answer: CallReport | CallRefused) -> None:
        if asked is not None and not isinstance(asked, PushNotificationDetails):
            self._perform(self.agent.answered(asked, answer, self.now))
            return
        assert isinstance(answer, CallReport)
        if asked is None:
            self._perform(self.agent.heard(answer, self.now))
            return
        outcome, effects = self.agent.pushed(asked, answer, self.now)
        assert (outcome is PushOutcome.RINGS) == any(isinstance(effect, Ring) for effect in effects)
        self._perform(effects)

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        reports = self.service.ring_out(self.now)
        if self.is_connected:
            self.to_agent.extend((None, report) for report in reports)
        self._perform(self.agent.due(self.now))

    def _meet(self) -> None:
        """Break the connection, if there is one, make another, and let all arrive."""
        if self.is_connected:
            self.the_connection_breaks_or_is_made_again()
        self.the_connection_breaks_or_is_made_again()
        while self.to_agent or self.to_service:
            self._let_arrive(1)


TestAnyCalls = AnyCalls.TestCase
