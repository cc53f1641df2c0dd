"""The steps of payloads that are with apps, as the table of ``tocsin.protocol.delivery.payload_life`` has them.

The effects of a step are performed, or noted for the end of the batch; where one makes room in the background of an app,
the next that waits takes its turn at once.
"""

from __future__ import annotations

from collections.abc import Callable

from tocsin.actors.background_sessions import BackgroundSessions
from tocsin.actors.handover_effects import HandoverEffects
from tocsin.actors.launch_effects import LaunchEffects
from tocsin.actors.report_effects import ReportEffects
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.actors.show_effects import ShowEffects
from tocsin.actors.subscribers import Subscribers
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.handler_queues import HandlerQueue
from tocsin.protocol.delivery.outstanding import Outstanding
from tocsin.protocol.delivery.payload_life import OUTCOMES, TABLE, Effect, Event, Phase, Tracked, words_of_end
from tocsin.protocol.kernel import machine
from tocsin.protocol.kernel.deadlines import Deadlines
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import BUDGET, GRACE, LAST_WORD
from tocsin.protocol.platform.conditions import HostState
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.platform.service_time import Verdict
from tocsin.protocol.text import MAX_DETAIL, harmless
from tocsin.protocol.values import DropReason, Outcome


class LifeSteps:
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
            Effect.CALL_OFF_LAUNCH: self.launches.call_off,
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

    def step(self, tracked: Tracked, event: Event) -> None:
        """Take a payload's next step, and perform its effects."""
        tracked.phase, effects = machine.step(TABLE, tracked.phase, event)
        tracked.deadline = 0.0
        for effect in effects:
            self._perform[effect](tracked)

    def next_turn(self, app: str) -> None:
        """Begin with the first payload that waits, if it may; what has expired meanwhile ends on the way."""
        background = self.apps[app]
        while not self._sessions.awaits(LaunchPurpose.PUSH, app) and background.may_begin(self.host):
            tracked = background.queue[0]
            if self.has_expired(tracked):
                self.step(tracked, Event.EXPIRED)
            elif session := self.background_sessions.session_for(tracked):
                self.give_to(tracked, session)
            else:
                self.step(tracked, Event.LAUNCH)

    def has_expired(self, tracked: Tracked) -> bool:
        """Tell whether a payload is certainly past its time."""
        return tracked.expires is not None and self._at_service.judge(tracked.expires) is Verdict.PAST

    def give_to(self, tracked: Tracked, session: str, request: int = 0, event: Event = Event.TURN) -> None:
        """Let a session begin with background work; ``request`` is the claim that it answers, 0 for none."""
        tracked.session, tracked.request = session, request
        self.step(tracked, event)

    # Time

    def take_graces(self, now: float) -> list[Tracked]:
        """Return the payloads whose grace is over, or the last word of whose process has not come in time."""
        return [*self._last_words.take_due(now), *self._graces.take_due(now)]

    def take_budgets(self, now: float) -> list[Tracked]:
        """Return the payloads that have used up their budget."""
        firsts = self.payloads.heads_of(self._foreground_budgets.take_due(now))
        return [*firsts, *self._background_budgets.take_due(now)]

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
            tracked.reason, tracked.detail = DropReason.WITHDRAWN, ""
            self.step(tracked, Event.SUPPRESSED)
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
        assert tracked.cancellation is not None  # noqa: S101  # see PayloadLives.cancel
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
