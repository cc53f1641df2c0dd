"""What becomes of payloads that are with apps: which step each takes, by what has happened to it.

The supervisor hears of what happens; ``LifeSteps`` takes the step, and performs what the table asks for.
"""

from __future__ import annotations

from tocsin.actors.handover_effects import Missed
from tocsin.actors.life_steps import LifeSteps
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.life_events import (
    Onward,
    comes_again,
    event_of_absence,
    event_of_cancellation,
    event_of_earlier_attempt,
    event_of_grace,
    event_of_outcome,
    event_of_showing,
)
from tocsin.protocol.delivery.payload_life import Event, Phase, Tracked
from tocsin.protocol.delivery.plain_rows import label_of, sequence_of, type_of
from tocsin.protocol.delivery.recipients import Recipient, goes_to
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.toast_label import ToastLabel, ToastMatch
from tocsin.protocol.values import DropReason, Outcome


class PayloadLives:
    """Decides which event in the life of a payload it is that something has happened."""

    def __init__(self, steps: LifeSteps, senses: Senses, sessions: Sessions) -> None:
        self._steps, self._clock, self._sessions = steps, senses.clock, sessions
        self._payloads, self._apps, self._showing = steps.payloads, steps.apps, steps.showing

    def came_back(self, tracked: Tracked, outcome: Outcome) -> None:
        """The app is through with a payload."""
        event = event_of_outcome(tracked.phase, outcome, onward=self._onward(tracked))
        if event is not None:
            self._steps.step(tracked, event)

    def handled_before(self, tracked: Tracked) -> None:
        """An earlier attempt has handled a payload."""
        event = event_of_earlier_attempt(tracked.phase)
        if event is not None:
            self._steps.step(tracked, event)

    def give_back_queued(self, app: str) -> None:
        """No background work of an app is left for which its queue could wait."""
        for tracked in list(self._apps[app].queue):
            self._steps.step(tracked, Event.GIVEN_BACK)

    def shown(self, row: m.ShellOutcomeRow) -> None:
        """The shell is through with a payload."""
        tracked = self._payloads.get(row.sequence)
        if tracked is not None and row.attempt == tracked.attempt:
            event = event_of_showing(tracked.phase, row.outcome)
            if event is not None:
                tracked.reason, tracked.detail = row.reason, row.detail
                self._steps.step(tracked, event)

    def show_all(self) -> None:
        """Give the shell what is to be shown; what it has no room for ends."""
        if self._showing is None or not self._showing.has_any:
            return
        for row in self._showing.perform():
            self.shown(row)

    def withdraw_toasts(self, message: m.ToastsWithdrawn, frame: bytes) -> None:
        """Have the shell take down toasts that their sender has deleted; those that are yet to come to it never do."""
        if self._showing is None:
            return
        self._showing.pass_on(frame)
        match = ToastMatch(message.tag, message.group)
        for tracked in self._payloads.toasts_of(message.app):
            label = ToastLabel.read(label_of(tracked.row))
            if match.fits(label.tag, label.group):
                tracked.is_withdrawn = True

    def shell_began_anew(self) -> None:
        """The shell has forgotten what it had: that is handed on again."""
        for tracked in self._payloads.in_phase(Phase.SHOWING):
            self._steps.step(tracked, Event.GIVEN_BACK)

    def _onward(self, tracked: Tracked) -> Onward:
        """Tell where a payload may go that the foreground has not handled."""
        kind = type_of(tracked.row)
        if self._showing is not None and goes_to(kind, Recipient.SHELL):
            return Onward.SHELL
        return Onward.BACKGROUND if self._apps[tracked.app].may_queue(kind) else Onward.NOWHERE

    def give_launched(self, tracked: Tracked, session: str, request: int = 0) -> bool:
        """Give away a payload for which a process was launched; tell whether it has not expired while that started."""
        if self._steps.has_expired(tracked):
            self._steps.step(tracked, Event.EXPIRED)
            return False
        self._steps.give_to(tracked, session, request, Event.TURN if request else Event.TAKEN)
        return True

    def miss(self, missed: Missed) -> None:
        """A session was not there to take payloads: nothing more goes to it, and they go where they may."""
        for row in missed.rows:
            tracked = self._payloads.get(sequence_of(row)) if self._payloads.is_current(row) else None
            if tracked is not None:
                self._steps.subscribers.unsubscribe(tracked.app, tracked.channel, missed.session)
                self._steps.subscribers.stop_work(tracked.app, missed.session)
                offerable = goes_to(type_of(row), Recipient.FOREGROUND)
                event = event_of_absence(tracked.phase, onward=self._onward(tracked), offerable=offerable)
                if event is not None:
                    self._steps.step(tracked, event)

    def cancel(self, tracked: Tracked, reason: CancellationReason | None) -> None:
        """Cancel the work on a payload, where there is any; None cancels nothing."""
        event = None if reason is None else event_of_cancellation(tracked.phase, reason)
        if reason is not None and event is not None:
            tracked.cancellation = reason
            tracked.reason = DropReason[reason.name]
            if tracked.phase is Phase.LAUNCHING:
                tracked.detail = "the process that was launched has not asked for it in time"
            self._steps.step(tracked, event)

    def ring(self) -> None:
        """Cancel what has used up its budget, and cut off what has used up its grace."""
        now = self._clock.monotonic()
        # Graces first: a payload has one deadline, and a grace that began 25 s into its budget looks like both.
        for tracked in self._steps.take_graces(now):
            tracked.command = self._sessions.command_of(self._payloads.holder(tracked.sequence)) or tracked.command
            launched, onward = bool(tracked.command), self._onward(tracked)
            self._steps.step(tracked, event_of_grace(tracked.phase, launched=launched, onward=onward))
        for tracked in self._steps.take_budgets(now):
            self.cancel(tracked, CancellationReason.EXECUTION_TIME_EXCEEDED)

    def clear(self) -> None:
        """Forget all payloads: the router begins anew with what it hands on.

        What runs in the background comes again to the session that has it, behind the fence that cuts it off there.
        """
        self._payloads.clear()
        self._sessions.work.clear()
        if self._showing is not None:
            self._showing.clear()
        for app, background in self._apps.items():
            running = background.running
            if running is not None and running.phase is Phase.LAUNCHING:
                self._steps.launches.stop(running)
            elif running is not None and self._comes_again(running.session):
                self._steps.background_sessions.hold(app, running.session, (running.sequence,))
            background.clear()

    def _comes_again(self, session: str) -> bool:
        launched, retired = bool(self._sessions.command_of(session)), self._sessions.is_retired(session)
        return comes_again(launched=launched, retired=retired)
