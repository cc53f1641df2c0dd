"""Where pushes about calls come in: read, asked about at the service, and kept while it cannot be asked."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import anyio

from tocsin.calling.agent_events import AgentEvents, PushNotificationHandledEventArgs
from tocsin.calling.call_room import CallRoom
from tocsin.calling.kept_pushes import MOST, KeptPushes
from tocsin.calling.open_questions import ASK_TIMEOUT, AnyAnswer, OpenQuestions
from tocsin.protocol.calling.agent_calls import AgentCalls
from tocsin.protocol.calling.end_reason import end_reason
from tocsin.protocol.calling.push_notification import PushNotificationDetails
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.messages.calling import CallPhase, CallRefused, CallReport
from tocsin.repeat_log import RepeatLog

logger = logging.getLogger(__name__)

AnyPush = PushNotificationDetails | str | bytes | Mapping[str, Any]
"""A push, read or as it came."""

_AWAY: Final = "the calling service cannot be asked about a push just now: it is kept until there is a connection"


class PushReader:
    """Reads pushes for a client, counts those that are none, and keeps those that are to be looked at later."""

    def __init__(self, events: AgentEvents, repeats: RepeatLog) -> None:
        self._events = events
        self._kept = KeptPushes()
        self.repeats = repeats
        self.malformed = 0

    def read(self, notification: AnyPush, events: AgentEvents | None = None) -> PushNotificationDetails | None:
        """Return what a push says; None where it is none, which is then counted and told.

        :param events: those of the agent that it came to; None where it came to the client.
        """
        if isinstance(notification, PushNotificationDetails):
            return notification
        try:
            return PushNotificationDetails.parse(notification)
        except InvalidArgument as wrong:
            self.malformed += 1
            self.repeats.log(logger, logging.WARNING, "malformed", "a push about a call could not be read: %s", wrong)
            self.tell(PushOutcome.MALFORMED, None, events=events)
            return None

    def keep(self, details: PushNotificationDetails, events: AgentEvents | None = None) -> PushOutcome:
        """Keep a push, and tell that it is kept."""
        if self._kept.keep(details) is not None:
            text = "more than %d pushes about calls wait to be looked at: the oldest is dropped"
            self.repeats.log(logger, logging.WARNING, "dropped", text, MOST)
        return self.tell(PushOutcome.KEPT, details, events=events)

    def take(self) -> list[PushNotificationDetails]:
        """Return the pushes that were kept, the oldest first."""
        return self._kept.take()

    def keep_again(self, pushes: list[PushNotificationDetails]) -> None:
        """Keep what was taken and not looked at."""
        for details in pushes:
            self._kept.keep(details)

    def tell(
        self,
        outcome: PushOutcome,
        details: PushNotificationDetails | None,
        args: PushNotificationHandledEventArgs | None = None,
        events: AgentEvents | None = None,
    ) -> PushOutcome:
        """Tell what has become of a push."""
        args = args or PushNotificationHandledEventArgs(outcome, details, None, None)
        (events or self._events).push_notification_handled.emit(args)
        return outcome


class PushDesk:
    """Looks at the pushes of one agent: nothing rings before the service has said that it does."""

    def __init__(
        self, record: AgentCalls, room: CallRoom, questions: OpenQuestions, reader: PushReader, events: AgentEvents
    ) -> None:
        self._record = record
        self._room = room
        self._questions = questions
        self._reader = reader
        self._events = events

    async def handle(self, notification: AnyPush) -> PushOutcome:
        """Look at a push, and return what has become of it."""
        details = self._reader.read(notification, self._events)
        if details is None:
            return PushOutcome.MALFORMED
        known = self._record.before_asking(details)
        if known is not None:
            return self._done(known, details)
        outcomes: list[PushOutcome] = []

        def answered(answer: AnyAnswer) -> None:
            if isinstance(answer, CallRefused):
                self._reader.repeats.log(logger, logging.WARNING, "refused", "%s (%s)", _AWAY, answer.text)
                outcomes.append(self._reader.keep(details, self._events))
            elif isinstance(answer, CallReport):
                outcomes.append(self._done(self._room.pushed(details, answer), details, answer))

        question = self._questions.ask(self._record.question(details), answered)
        with anyio.move_on_after(ASK_TIMEOUT):
            await question.settled.wait()
        if not outcomes:
            question.then = None  # it is asked about anew
            outcomes.append(self._reader.keep(details, self._events))
        return outcomes[0]

    async def look_at_kept(self) -> None:
        """Look at the pushes that were kept, as there is a connection; what cannot be looked at now is kept again."""
        waiting = self._reader.take()
        try:
            while waiting and self._questions.is_connected:
                await self.handle(waiting[0])
                del waiting[0]  # not before: the agent may end meanwhile, and the next one looks at it
        finally:
            self._reader.keep_again(waiting)

    def _done(
        self, outcome: PushOutcome, details: PushNotificationDetails, report: CallReport | None = None
    ) -> PushOutcome:
        if outcome is PushOutcome.UNKNOWN_KIND:
            text = "a push about a call is of a kind that is not known here: %d"
            self._reader.repeats.log(logger, logging.INFO, ("kind", details.event_id), text, details.event_id)
        call = details.call_id if report is None else report.call
        is_over = report is not None and report.phase is CallPhase.ENDED
        reason = end_reason(report.code, report.subcode) if report is not None and is_over else None
        args = PushNotificationHandledEventArgs(outcome, details, self._room.incoming.get(call), reason)
        return self._reader.tell(outcome, details, args, self._events)
