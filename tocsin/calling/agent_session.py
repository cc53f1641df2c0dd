"""What an agent consists of, from its begin to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio
from attrs import frozen

from tocsin.calling.agent_events import AgentEvents
from tocsin.calling.alarms import Alarms
from tocsin.calling.call_outbox import CallOutbox
from tocsin.calling.call_room import CallRoom
from tocsin.calling.call_token_credential import SignIn
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.calling.incoming_call import IncomingCall
from tocsin.calling.open_questions import ASK_TIMEOUT, AnyAnswer, OpenQuestions
from tocsin.calling.options import CallAgentOptions
from tocsin.calling.push_desk import PushDesk, PushReader
from tocsin.calling.push_registrar import PushRegistrar
from tocsin.calling.service_link import LinkHandlers, ServiceLink
from tocsin.calling.signalling import Signalling
from tocsin.protocol.calling.agent_calls import AgentCalls
from tocsin.protocol.calling.agent_connection import FINAL, ConnectionState, DisconnectedReason
from tocsin.protocol.calling.end_reason import ANSWERED_ELSEWHERE, APP_CLOSED, TOKEN_INVALID, end_reason
from tocsin.protocol.errors import CallEnded, IllegalCall, NotFound, PlatformUnavailable, ProtocolViolation, PushError
from tocsin.protocol.messages.calling import CALLING_VERSION, AttendCall, CallGoodbye, CallHello, CallPhase, CallReport
from tocsin.protocol.text import quoted
from tocsin.tasks import task_group

LEAVING: Final = 1.0
"""Seconds that hanging up may take when an agent ends."""


@frozen
class SessionParts:
    """What a client has for its agents."""

    signalling: Signalling
    handlers: HandlerCalls
    reader: PushReader
    device: str
    fraction: Callable[[], float]


class AgentSession:
    """One agent at work.

    :param moved: called when the state of the connection, or its reason, is another one.
    """

    def __init__(
        self,
        parts: SessionParts,
        sign_in: SignIn,
        options: CallAgentOptions,
        events: AgentEvents,
        moved: Callable[[], None],
    ) -> None:
        self._device = parts.device
        self._options = options
        self._tell_moved = moved
        self._alarms = Alarms()
        self._record = AgentCalls(sign_in.user.raw_id)
        outbox = CallOutbox()
        self._questions = OpenQuestions(outbox.put)
        self.room = CallRoom(
            self._record, parts.handlers, events, self._questions, alarms=self._alarms, no_connection=self.no_connection
        )
        self.link = ServiceLink(
            parts.signalling,
            sign_in,
            outbox=outbox,
            questions=self._questions,
            alarms=self._alarms,
            handlers=LinkHandlers(
                self._hello, self._welcomed, self._lost, self.room.heard, self._answered, self._moved
            ),
            fraction=parts.fraction,
        )
        ttl = options.push_notification_ttl.total_seconds()
        self.registrar = PushRegistrar(self._questions, self._alarms, ttl, parts.fraction)
        self.desk = PushDesk(self._record, self.room, self._questions, parts.reader, events)
        self._to_look_at = anyio.Event()
        self._changed = anyio.Event()
        self._to_leave = anyio.Event()
        self._ended = anyio.Event()
        self.settled = anyio.Event()
        """The first attempt to connect has come to an end."""

    async def run(self) -> None:
        """Work until it is to leave, or until cancelled."""
        try:
            async with task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self._alarms.run)
                self.link.begin(tasks)
                await self._to_leave.wait()
                with anyio.move_on_after(LEAVING):
                    if self._questions.is_connected:
                        await self.room.hang_up_all()
                        await self._questions.ask(CallGoodbye(0)).settled.wait()
                tasks.cancel_scope.cancel()
        finally:
            self.link.dispose()
            self.room.end_all(APP_CLOSED)
            self.registrar.give_up(self.no_connection())
            self._ended.set()

    def begin_to_leave(self) -> None:
        """Have it end."""
        self._to_leave.set()

    async def wait_until_ended(self) -> None:
        """Wait until nothing of it is left."""
        await self._ended.wait()

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it is left."""
        return self._ended.is_set()

    @property
    def is_leaving(self) -> bool:
        """Whether it ends, or has ended."""
        return self._to_leave.is_set() or self._ended.is_set()

    def no_connection(self) -> PushError:
        """Return the error that says why there is no connection."""
        if self.link.reason is DisconnectedReason.DISPOSED:
            return PlatformUnavailable("the call agent was disposed: create another one")
        trouble = self.link.trouble
        return PlatformUnavailable(
            "there is no connection to the calling service yet" if trouble is None else str(trouble)
        )

    async def wait_until_connected(self) -> None:
        """Wait for a connection, 30 s at most.

        :raises PlatformUnavailable: there is none, or there will be none.
        """
        with anyio.move_on_after(ASK_TIMEOUT):
            while not self._questions.is_connected and self.link.phase not in FINAL:
                await self._changed.wait()
        if not self._questions.is_connected:
            raise self.no_connection()

    async def attend(self, call: str) -> IncomingCall:
        """Return a call that rings, asking the service where it does not ring here yet."""
        if (found := self.room.incoming.get(call)) is not None:
            return found
        await self.wait_until_connected()
        question = self._questions.ask(AttendCall(0, call, ""), self._attended)
        report = await question.wait_for(CallReport)
        if (found := self.room.incoming.get(report.call)) is not None:
            return found
        if report.phase is CallPhase.UNKNOWN:
            raise NotFound(f"the calling service knows no call {quoted(call)} of this user")
        if report.phase is CallPhase.ENDED or not (report.here or report.phase is CallPhase.RINGING):
            is_over = report.phase is CallPhase.ENDED
            reason = end_reason(report.code, report.subcode) if is_over else ANSWERED_ELSEWHERE
            raise CallEnded(f"the call {quoted(call)} rings no more: {reason}", reason=(reason.code, reason.subcode))
        raise IllegalCall(
            f"the call {quoted(call)} does not ring here: it was answered or started here, or too many ring"
        )

    # What the link says

    def _hello(self) -> CallHello:
        quiet = self._options.disable_internal_push_for_incoming_call
        name, calls = self._options.display_name, self._record.open_calls()
        return CallHello(CALLING_VERSION, "", self._device, name, quiet, calls)

    def _welcomed(self) -> None:
        self.room.reconnected()
        self.registrar.connected()
        self._tasks.start_soon(self.desk.look_at_kept)

    def _lost(self) -> None:
        self.registrar.lost()

    def _attended(self, answer: AnyAnswer) -> None:
        if isinstance(answer, CallReport):
            self.room.heard(answer)

    def _answered(self, answer: AnyAnswer) -> None:
        question = self._questions.take(answer)
        if question is None:
            raise ProtocolViolation(f"{type(answer).__name__} answers nothing that was asked")
        question.settle(answer)

    def _moved(self) -> None:
        if self.link.reason is DisconnectedReason.INVALID_TOKEN:
            self.room.end_all(TOKEN_INVALID)
        if self.link.state is not ConnectionState.CONNECTING:
            self.settled.set()
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
        self._tell_moved()
