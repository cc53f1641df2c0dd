"""The calls of an agent as its app sees them: what the record says becomes objects, events and questions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final
from uuid import uuid4

import anyio

from tocsin.calling.agent_events import (
    AgentEvents,
    CallsUpdatedEventArgs,
    IncomingCallReceivedEventArgs,
    UnrungCallEndedEventArgs,
)
from tocsin.calling.alarms import Alarms
from tocsin.calling.call import Call
from tocsin.calling.decisions import LATE, Decisions
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.calling.incoming_call import IncomingCall
from tocsin.calling.open_questions import AnyAnswer, OpenQuestions, Question
from tocsin.calling.options import AcceptCallOptions, StartCallOptions
from tocsin.calling.parties import CallerInfo, CallInfo, RemoteParticipant, identifier_of
from tocsin.protocol.calling import call_effects as e
from tocsin.protocol.calling.agent_calls import AgentCalls
from tocsin.protocol.calling.end_reason import CallEndReason, end_reason
from tocsin.protocol.calling.push_notification import PushNotificationDetails
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.errors import CallEnded, IllegalCall, PushError, TimedOut, error_of
from tocsin.protocol.messages.calling import (
    AcceptCall,
    CallReady,
    CallRefused,
    CallReport,
    RejectCall,
    StartCall,
)
from tocsin.protocol.text import quoted

_UNHEARD: Final = (496, 7)


logger = logging.getLogger(__name__)


class CallRoom:
    """Carries out what the record of an agent's calls says, and waits for those who have asked for it.

    :param events: the agent's, which hear of calls.
    :param alarms: where the record's next moment is set.
    :param no_connection: what is raised where there is none.
    """

    def __init__(  # noqa: PLR0913  # what calls have to do with meets here
        self,
        record: AgentCalls,
        handlers: HandlerCalls,
        events: AgentEvents,
        questions: OpenQuestions,
        *,
        alarms: Alarms,
        no_connection: Callable[[], PushError],
    ) -> None:
        self._record = record
        self._handlers = handlers
        self._events = events
        self._questions = questions
        self._alarms = alarms
        self._no_connection = no_connection
        self._now: Callable[[], float] = anyio.current_time
        self._callee = identifier_of(record.user)
        self._push: PushNotificationDetails | None = None
        self._decisions = Decisions()
        self._held: dict[str, CallReady] = {}
        """What the service is told as soon as those who have accepted hold the call."""
        self.incoming: dict[str, IncomingCall] = {}
        self.calls: dict[str, Call] = {}
        self._perform: dict[type, Callable[[Any], None]] = {
            e.Ring: self._ring,
            e.Silence: lambda effect: self.incoming[effect.call]._stop_ringing(),
            e.CallerInfoChanged: lambda effect: self.incoming[effect.call]._change_caller(CallerInfo.of(effect.caller)),
            e.IncomingEnded: self._end_incoming,
            e.UnrungEnded: self._tell_unrung,
            e.NotRung: self._not_rung,
            e.CallBegan: self._begin,
            e.CallStateChanged: lambda effect: self.calls[effect.call]._change_state(effect.state),
            e.ParticipantChanged: lambda effect: self.calls[effect.call]._change_participant(
                RemoteParticipant.of(effect.participant)
            ),
            e.MutedChanged: lambda effect: self.calls[effect.call]._change_muted(effect.muted),
            e.CallDisconnected: self._disconnect,
        }

    # What comes

    def heard(self, report: CallReport) -> None:
        """Take in a report that was told without having been asked for."""
        self._carry_out(self._record.heard(report, self._now()))

    def _answered(self, asked: e.Asked, answer: AnyAnswer) -> None:
        """Take in the answer to a question about a call."""
        assert isinstance(answer, CallReport | CallRefused)  # noqa: S101  # OpenQuestions lets no other through
        refusal = error_of(answer.error, answer.text, answer.hresult) if isinstance(answer, CallRefused) else None
        self._carry_out(self._record.answered(asked, answer, self._now()))
        if isinstance(asked, AcceptCall | RejectCall | StartCall):
            self._decisions.answer(asked.call, refusal)
        if isinstance(asked, StartCall):
            self._decisions.make(asked.call)

    def reconnected(self) -> None:
        """Ask anew what may have had no answer."""
        self._carry_out(self._record.reconnected())

    def _due(self) -> None:
        """Give up what the service has told nothing of for too long."""
        self._carry_out(self._record.due(self._now()))

    def pushed(self, details: PushNotificationDetails, report: CallReport) -> PushOutcome:
        """Take in what the service says of the call of a push."""
        self._push = details
        try:
            outcome, effects = self._record.pushed(details, report, self._now())
            self._carry_out(effects)
        finally:
            self._push = None
        return outcome

    # What the app asks for

    async def accept(self, incoming: IncomingCall, options: AcceptCallOptions) -> Call:
        """Accept a call, and return it when the service has agreed; where that comes to nothing, it is hung up."""
        call = incoming.id
        self._check_connected()
        effects = self._record.accept(call, muted=options.muted, video=options.video)
        try:
            with self._decisions.about(call) as decision:
                self._carry_out(effects)
                await decision.wait()
        except BaseException:  # also a cancellation: a call without an owner would go on
            self._held.pop(call, None)
            with suppress(IllegalCall):
                self._carry_out(self._record.hang_up(call, self._now()))
            raise
        if incoming.call is None:
            assert incoming.call_end_reason is not None  # noqa: S101  # it was decided, and not refused
            reason = incoming.call_end_reason
            raise CallEnded(f"the call {quoted(call)} has ended: {reason}", reason=(reason.code, reason.subcode))
        if (ready := self._held.pop(call, None)) is not None:
            # It goes out when this task waits: the task has added its handlers by then.
            self._ask(ready)
        return incoming.call

    async def reject(self, incoming: IncomingCall) -> None:
        """Decline a call, and wait until it has ended."""
        self._check_connected()
        effects = self._record.reject(incoming.id)
        with self._decisions.about(incoming.id) as decision:
            self._carry_out(effects)
            await decision.wait()

    async def start(self, callee: str, options: StartCallOptions) -> Call:
        """Ring a user, and return the call when the service has said something of it."""
        self._check_connected()
        name = str(uuid4())
        effects = self._record.start(name, callee, self._now(), video=options.video, muted=options.muted)
        try:
            with self._decisions.about(name) as decision:
                self._carry_out(effects)
                call = self.calls[name]
                await decision.wait()
        except BaseException:
            with suppress(IllegalCall):
                self._carry_out(self._record.hang_up(name, self._now()))
            raise
        if not decision.is_answered and call.call_end_reason == end_reason(*_UNHEARD):
            raise TimedOut(LATE)
        return call

    async def set_media(self, call: str, *, muted: bool | None = None, held: bool | None = None) -> None:
        """Mute or hold this side of a call, or the reverse, and wait until the service knows it."""
        self._check_connected()
        effects = self._record.set_media(call, muted=muted, held=held)
        for question in self._carry_out(effects):
            await question.wait_for(CallReport)

    async def hang_up(self, call: Call) -> None:
        """End a call, and wait until it has ended; the record sees to it that this does not take long."""
        self.begin_to_hang_up(call.id)
        await call.wait_until_ended()

    def begin_to_hang_up(self, call: str) -> None:
        """Have the service asked to end a call, unless that was done before."""
        with suppress(CallEnded):
            self._carry_out(self._record.hang_up(call, self._now()))

    async def hang_up_all(self) -> None:
        """End all calls that were started or accepted here, or are just being, and wait until they have ended."""
        deciding = [incoming for name in self._decisions if (incoming := self.incoming.get(name)) is not None]
        for name in [*(incoming.id for incoming in deciding), *self.calls]:
            with suppress(IllegalCall):  # it is being declined
                self.begin_to_hang_up(name)
        for incoming in deciding:
            await incoming.wait_until_ended()
        for call in list(self.calls.values()):
            await call.wait_until_ended()

    def end_all(self, reason: CallEndReason) -> None:
        """End here what is open, for a reason that the service has not told."""
        self._carry_out(self._record.end_all(reason))

    # Effects

    def _carry_out(self, effects: Iterable[e.CallEffect]) -> list[Question]:
        """Carry effects out in their order, and return what was asked."""
        asked: list[Question] = []
        for effect in effects:
            if not isinstance(effect, e.Ask):
                self._perform[type(effect)](effect)
            elif isinstance(effect.message, CallReady) and effect.message.call in self._decisions:
                self._held[effect.message.call] = effect.message
            else:
                asked.append(self._ask(effect.message))
        self._alarms.set_at("calls", self._record.next_due(), self._due)
        return asked

    def _ask(self, message: e.Asked) -> Question:
        return self._questions.ask(message, partial(self._answered, message))

    def _ring(self, ring: e.Ring) -> None:
        info = CallInfo(ring.call, self._callee, self._push)
        incoming = self.incoming[ring.call] = IncomingCall(self, self._handlers, ring, info, self._now)
        self._events.incoming_call_received.emit(IncomingCallReceivedEventArgs(incoming))

    def _end_incoming(self, ended: e.IncomingEnded) -> None:
        self.incoming.pop(ended.call)._end(end_reason(ended.code, ended.subcode))
        self._decisions.make(ended.call)

    def _not_rung(self, effect: e.NotRung) -> None:
        logger.warning("the call %s does not ring on this device, where as many ring as may at a time", effect.call)

    def _tell_unrung(self, ended: e.UnrungEnded) -> None:
        caller, reason = CallerInfo.of(ended.caller), end_reason(ended.code, ended.subcode)
        self._events.unrung_call_ended.emit(UnrungCallEndedEventArgs(ended.call, caller, ended.video, reason))

    def _begin(self, began: e.CallBegan) -> None:
        call = self.calls[began.call] = Call(self, self._handlers, began)
        if began.incoming:
            self.incoming.pop(began.call)._go_on(call)
            self._decisions.make(began.call)
        self._events.calls_updated.emit(CallsUpdatedEventArgs((call,), ()))

    def _disconnect(self, ended: e.CallDisconnected) -> None:
        call = self.calls.pop(ended.call)
        call._end(end_reason(ended.code, ended.subcode))
        self._decisions.make(ended.call)
        self._events.calls_updated.emit(CallsUpdatedEventArgs((), (call,)))

    def _check_connected(self) -> None:
        if not self._questions.is_connected:
            raise self._no_connection()
