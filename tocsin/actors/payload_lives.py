"""What becomes of payloads that are with apps, as the table of ``tocsin.protocol.delivery.payload_life`` has it.

The supervisor hears of what happens; here each payload takes its step, and the effects of steps are performed or noted for the
end of the batch.
"""

from __future__ import annotations

from collections.abc import Callable

from tocsin.actors.background_sessions import BackgroundSessions
from tocsin.actors.handover_effects import HandoverEffects, Missed
from tocsin.actors.launch_effects import LaunchEffects
from tocsin.actors.report_effects import ReportEffects
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.actors.show_effects import ShowEffects
from tocsin.actors.subscribers import Subscribers
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.handler_queues import HandlerQueue
from tocsin.protocol.delivery.life_events import (
    Onward,
    event_of_absence,
    event_of_cancellation,
    event_of_earlier_attempt,
    event_of_grace,
    event_of_outcome,
    event_of_showing,
)
from tocsin.protocol.delivery.outstanding import Outstanding
from tocsin.protocol.delivery.payload_life import OUTCOMES, TABLE, Effect, Event, Phase, Tracked, words_of_end
from tocsin.protocol.delivery.plain_rows import label_of, sequence_of, type_of
from tocsin.protocol.delivery.recipients import Recipient, goes_to
from tocsin.protocol.kernel import machine
from tocsin.protocol.kernel.deadlines import Deadlines
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import BUDGET, GRACE, LAST_WORD, CancellationReason
from tocsin.protocol.platform.conditions import HostState
from tocsin.protocol.platform.service_time import Verdict
from tocsin.protocol.text import MAX_DETAIL, harmless
from tocsin.protocol.toast_label import ToastLabel, ToastMatch
from tocsin.protocol.values import DropReason, Outcome


class PayloadLives:
    """Steps payloads, and performs what the table asks for; its parts are the supervisor's, too."""

    def __init__(
        self, senses: Senses, sessions: Sessions, launcher: Mailbox | None, shell: Mailbox | None = None
    ) -> None:
        self.host = HostState()
        self.payloads = Outstanding()
        self.background_sessions = BackgroundSessions(sessions)
        self.apps = self.background_sessions.apps
        self.reports = ReportEffects()
        self.subscribers = Subscribers(sessions, self.reports, self.apps)
        self.down = HandoverEffects(sessions)
        self.launches = LaunchEffects(launcher, sessions.watch)
        self.showing = None if shell is None else ShowEffects(shell)
        """Where payloads are shown; None where nothing shows any."""
        self._clock, self._at_service = senses.clock, senses.at_service
        self._sessions, self._work = sessions, sessions.work
        self._foreground_budgets = Deadlines[HandlerQueue](BUDGET)
        self._background_budgets = Deadlines[Tracked](BUDGET)
        self._graces = Deadlines[Tracked](GRACE)
        self._last_words = Deadlines[Tracked](LAST_WORD)
        self._perform: dict[Effect, Callable[[Tracked], None]] = {
            Effect.PARK: self._park,
            Effect.SHOW: self._show,
            Effect.LAUNCH: self._launch,
            Effect.STOP_LAUNCH: self.launches.stop,
            Effect.ACTIVATE: self._activate,
            Effect.START_BUDGET: lambda tracked: self._background_budgets.start(tracked, self._clock.monotonic()),
            Effect.TELL_CANCEL: self._tell_cancel,
            Effect.START_GRACE: lambda tracked: self._graces.start(tracked, self._clock.monotonic()),
            Effect.TELL_ABORT: self._tell_abort,
            Effect.START_LAST_WORD: lambda tracked: self._last_words.start(tracked, self._clock.monotonic()),
            Effect.END_PROCESS: self._end_process,
            Effect.SETTLE: self._settle,
            Effect.FORGET: self._forget,
        }

    # What happens

    def came_back(self, tracked: Tracked, outcome: Outcome) -> None:
        """The app is through with a payload."""
        event = event_of_outcome(tracked.phase, outcome, onward=self._onward(tracked))
        if event is not None:
            self.step(tracked, event)

    def handled_before(self, tracked: Tracked) -> None:
        """An earlier attempt has handled a payload."""
        event = event_of_earlier_attempt(tracked.phase)
        if event is not None:
            self.step(tracked, event)

    def shown(self, tracked: Tracked, row: m.ShellOutcomeRow) -> None:
        """The shell is through with a payload."""
        event = event_of_showing(tracked.phase, row.outcome) if row.attempt == tracked.attempt else None
        if event is not None:
            tracked.reason, tracked.detail = row.reason, row.detail
            self.step(tracked, event)

    def show_all(self) -> None:
        """Give the shell what is to be shown; what it has no room for ends."""
        if self.showing is None or not self.showing.has_any:
            return
        for row, outcome in self.showing.perform():
            tracked = self.payloads.get(sequence_of(row))
            if tracked is not None:
                full = DropReason.SHELL_FULL, "the shell has no room for more"
                self.shown(tracked, m.ShellOutcomeRow(tracked.sequence, tracked.attempt, outcome, *full))

    def withdraw_toasts(self, message: m.ToastsWithdrawn, frame: bytes) -> None:
        """Have the shell take down toasts that their sender has deleted; those that are yet to come to it never do."""
        if self.showing is None:
            return
        self.showing.pass_on(frame)
        match = ToastMatch(message.tag, message.group)
        for tracked in self.payloads.toasts_of(message.app):
            label = ToastLabel.read(label_of(tracked.row))
            if match.fits(label.tag, label.group):
                tracked.is_withdrawn = True

    def shell_began_anew(self) -> None:
        """The shell has forgotten what it had: that is handed on again."""
        for tracked in self.payloads.in_phase(Phase.SHOWING):
            self.step(tracked, Event.GIVEN_BACK)

    def _onward(self, tracked: Tracked) -> Onward:
        """Tell where a payload may go that the foreground has not handled."""
        kind = type_of(tracked.row)
        if self.showing is not None and goes_to(kind, Recipient.SHELL):
            return Onward.SHELL
        return Onward.BACKGROUND if self.apps[tracked.app].may_queue(kind) else Onward.NOWHERE

    def give_launched(self, tracked: Tracked, session: str, request: int = 0) -> bool:
        """Give away a payload for which a process was launched; tell whether it has not expired while that started."""
        if self._has_expired(tracked):
            self.step(tracked, Event.EXPIRED)
            return False
        self.give_to(tracked, session, request)
        return True

    def _has_expired(self, tracked: Tracked) -> bool:
        return tracked.expires is not None and self._at_service.judge(tracked.expires) is Verdict.PAST

    def give_to(self, tracked: Tracked, session: str, request: int = 0) -> None:
        """Let a session begin with background work; ``request`` is the claim that it answers, 0 for none."""
        tracked.session, tracked.request = session, request
        self.step(tracked, Event.TURN)

    def miss(self, missed: Missed) -> None:
        """A session was not there to take payloads: nothing more goes to it, and they go where they may."""
        for row in missed.rows:
            tracked = self.payloads.get(sequence_of(row)) if self.payloads.is_current(row) else None
            if tracked is not None:
                self.subscribers.unsubscribe(tracked.app, tracked.channel, missed.session)
                self.subscribers.stop_work(tracked.app, missed.session)
                offerable = goes_to(type_of(row), Recipient.FOREGROUND)
                event = event_of_absence(tracked.phase, onward=self._onward(tracked), offerable=offerable)
                if event is not None:
                    self.step(tracked, event)

    def cancel(self, tracked: Tracked, reason: CancellationReason | None) -> None:
        """Cancel the work on a payload, where there is any; None cancels nothing."""
        event = None if reason is None else event_of_cancellation(tracked.phase, reason)
        if reason is not None and event is not None:
            tracked.cancellation = reason
            tracked.reason = DropReason[reason.name]
            if tracked.phase is Phase.LAUNCHING:
                tracked.detail = "the process that was launched has not asked for it in time"
            self.step(tracked, event)

    def next_turn(self, app: str) -> None:
        """Begin with the first payload that waits, if it may; what has expired meanwhile ends on the way."""
        background = self.apps[app]
        while background.may_begin(self.host):
            tracked = background.queue[0]
            if self._has_expired(tracked):
                self.step(tracked, Event.EXPIRED)
            elif session := self.background_sessions.session_for(tracked):
                self.give_to(tracked, session)
            else:
                self.step(tracked, Event.LAUNCH)

    def step(self, tracked: Tracked, event: Event) -> None:
        """Take a payload's next step, and perform its effects."""
        tracked.phase, effects = machine.step(TABLE, tracked.phase, event)
        tracked.deadline = 0.0
        for effect in effects:
            self._perform[effect](tracked)

    def ring(self) -> None:
        """Cancel what has used up its budget, and cut off what has used up its grace."""
        now = self._clock.monotonic()
        # Graces first: a payload has one deadline, and a grace that began 25 s into its budget looks like both.
        for tracked in (*self._last_words.take_due(now), *self._graces.take_due(now)):
            tracked.command = self._sessions.command_of(self.payloads.holder(tracked.sequence)) or tracked.command
            launched, onward = bool(tracked.command), self._onward(tracked)
            self.step(tracked, event_of_grace(tracked.phase, launched=launched, onward=onward))
        firsts = self.payloads.heads_of(self._foreground_budgets.take_due(now))
        for tracked in (*firsts, *self._background_budgets.take_due(now)):
            self.cancel(tracked, CancellationReason.EXECUTION_TIME_EXCEEDED)

    def next_deadline(self) -> float | None:
        """Begin the budgets of payloads that have become the first of their queues; return when the next one is used up."""
        heads = self.payloads.new_heads()
        if heads:
            self._foreground_budgets.start_all(heads, self._clock.monotonic())
        first = None
        for deadlines in (self._foreground_budgets, self._background_budgets, self._graces, self._last_words):
            if deadlines.entries:
                moment = deadlines.next()
                if moment is not None and (first is None or moment < first):
                    first = moment
        return first

    def clear(self) -> None:
        """Forget all payloads: the router begins anew with what it hands on.

        What runs in the background comes again to the session that has it, behind the fence that cuts it off there.
        """
        self.payloads.clear()
        self._work.clear()
        if self.showing is not None:
            self.showing.clear()
        for app, background in self.apps.items():
            running = background.running
            if running is not None and running.phase is Phase.LAUNCHING:
                self.launches.stop(running)
            elif running is not None and self._may_have_again(running.session):
                self.background_sessions.hold(app, running.session, (running.sequence,))
            background.clear()

    def _may_have_again(self, session: str) -> bool:
        """Tell whether background work may come again to a session: not to one that was launched for this, or is to end."""
        return not (self._sessions.command_of(session) or self._sessions.is_retired(session))

    # Effects

    def _leave(self, tracked: Tracked) -> None:
        """Take a payload out of its place: its app's background queue, the work there, or a handler queue."""
        background = self.apps[tracked.app]
        if tracked.parked:
            background.queue.remove(tracked)
            tracked.parked = False
        elif background.running is tracked:
            background.running = None
            self._work.end(tracked.app)
        else:
            self.payloads.leave_queue(tracked)

    def _park(self, tracked: Tracked) -> None:
        self._leave(tracked)
        tracked.session = self.payloads.take_from_holder(tracked)  # it may yet say that it has handled it
        self.reports.report(encode(m.Parked(tracked.sequence, tracked.channel)))
        background = self.apps[tracked.app]
        tracked.parked = True
        surplus = background.add(tracked)
        if surplus is not None:
            surplus.reason = DropReason.QUEUE_FULL
            self.step(surplus, Event.OVERFLOW)
        self.next_turn(tracked.app)

    def _show(self, tracked: Tracked) -> None:
        self._leave(tracked)
        tracked.session = self.payloads.take_from_holder(tracked)  # as above
        assert self.showing is not None  # noqa: S101  # else nothing goes onward to it
        if tracked.is_withdrawn:
            withdrawn = Outcome.SUPPRESSED, DropReason.WITHDRAWN, ""
            self.shown(tracked, m.ShellOutcomeRow(tracked.sequence, tracked.attempt, *withdrawn))
        else:
            self.showing.show(tracked.app, tracked.row)

    def _launch(self, tracked: Tracked) -> None:
        self._leave(tracked)
        background = self.apps[tracked.app]
        background.running = tracked
        self.launches.start(tracked, background.command)

    def _activate(self, tracked: Tracked) -> None:
        self._leave(tracked)
        self.apps[tracked.app].running = tracked
        self._work.begin(tracked.app, tracked.session)
        self.payloads.hand((tracked.row,), tracked.session)
        delivery = encode(m.Deliveries(tracked.app, (tracked.row,)))  # type: ignore[arg-type]  # a plain row
        self.down.hand_over(tracked.session, encode(m.Activation(delivery, tracked.request)), (tracked.row,))

    def _tell_cancel(self, tracked: Tracked) -> None:
        assert tracked.cancellation is not None  # noqa: S101  # see cancel
        holder = self.payloads.holder(tracked.sequence)
        self.down.tell(holder, m.CancelDelivery(tracked.sequence, tracked.cancellation))
        self._work.stop(tracked.sequence, tracked.app)

    def _tell_abort(self, tracked: Tracked) -> None:
        self.down.tell(self.payloads.holder(tracked.sequence), m.AbortDelivery(tracked.sequence))

    def _end_process(self, tracked: Tracked) -> None:
        """Have the process ended that has a payload; it takes no other meanwhile."""
        session = self.payloads.holder(tracked.sequence)
        tracked.detail = harmless(words_of_end(tracked.command, tracked.detail), MAX_DETAIL)
        self._sessions.retire(session)
        self.launches.end(session)
        self.subscribers.leave(session)

    def _settle(self, tracked: Tracked) -> None:
        """Report the end of a payload, and let the next begin."""
        self._leave(tracked)
        self.payloads.end(tracked)
        self._work.stopped(tracked.sequence)
        if tracked.phase is not Phase.GIVEN_BACK:
            self.background_sessions.forget((tracked.sequence,))
        outcome = OUTCOMES[tracked.phase]
        reason, detail = tracked.reason, tracked.detail
        if outcome is Outcome.DROPPED:
            reason = self.apps[tracked.app].drop_reason(tracked)
        elif outcome is not Outcome.SUPPRESSED:
            reason, detail = None, ""
        self.reports.settled.append(m.SettlementRow(tracked.sequence, tracked.channel, outcome, reason, detail))
        self.next_turn(tracked.app)

    def _forget(self, tracked: Tracked) -> None:
        self._leave(tracked)
        self.payloads.end(tracked)
        self._work.stopped(tracked.sequence)
