"""The deferral and cancellation supervisor: sees to it that every payload that is with an app comes to its end.

Foreground handlers take the payloads of a channel one after the other, so the first in line is the one that runs, and
only its budget counts. In the background each app does one piece of work at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from tocsin.actors.actor import Actor, receives
from tocsin.actors.handover_effects import HandoverEffects, Missed
from tocsin.actors.mailbox import Mailbox
from tocsin.actors.report_effects import ReportEffects
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.actors.subscribers import Subscribers
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.background_queue import BackgroundQueue
from tocsin.protocol.delivery.handler_queues import HandlerQueue
from tocsin.protocol.delivery.outstanding import Outstanding
from tocsin.protocol.delivery.payload_life import (
    OUTCOMES,
    TABLE,
    Effect,
    Event,
    Phase,
    Tracked,
    event_of_absence,
    event_of_outcome,
)
from tocsin.protocol.delivery.plain_rows import sequence_of, type_of
from tocsin.protocol.delivery.recipients import Recipient, goes_to
from tocsin.protocol.kernel.deadlines import Deadlines
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import BUDGET, GRACE, CancellationReason
from tocsin.protocol.platform.conditions import HostState
from tocsin.protocol.platform.service_time import Verdict
from tocsin.protocol.values import DropReason, Outcome


class Supervisor(Actor):
    """Owns the payloads that are with an app or wait for its background work, and knows who takes those of a channel."""

    name = "supervisor"

    def __init__(self, senses: Senses, router: Mailbox, sessions: Sessions) -> None:
        super().__init__()
        self._clock, self._at_service, self._alarm = senses.clock, senses.at_service, senses.alarm
        self._router = router
        self._host = HostState()
        self._open = False
        """Whether the router has begun anew with this supervisor; what comes before is handed on again."""
        self._payloads = Outstanding()
        self._apps: defaultdict[str, BackgroundQueue] = defaultdict(BackgroundQueue)
        self._reports = ReportEffects()
        self._subscribers = Subscribers(sessions, self._reports, self._apps)
        self._down = HandoverEffects(sessions)
        self._foreground_budgets = Deadlines[HandlerQueue](BUDGET)
        self._background_budgets = Deadlines[Tracked](BUDGET)
        self._graces = Deadlines[Tracked](GRACE)
        self._perform: dict[Effect, Callable[[Tracked], None]] = {
            Effect.PARK: self._park,
            Effect.ACTIVATE: self._activate,
            Effect.START_BUDGET: lambda tracked: self._background_budgets.start(tracked, self._clock.monotonic()),
            Effect.TELL_CANCEL: self._tell_cancel,
            Effect.START_GRACE: lambda tracked: self._graces.start(tracked, self._clock.monotonic()),
            Effect.TELL_ABORT: lambda tracked: self._down.send_to_all(m.AbortDelivery(tracked.sequence)),
            Effect.SETTLE: self._settle,
            Effect.FORGET: self._forget,
        }

    # From the router

    @receives(m.Deliveries)
    def deliver(self, message: m.Deliveries, frame: bytes) -> None:
        """Let payloads go to the app's foreground; the budget of each begins when it is the first in line."""
        if not self._open:
            return
        for tracked in self._payloads.known(message.rows):  # handed on again while an earlier attempt is still here
            self._step(tracked, Event.OFFERED_AGAIN)
        self._payloads.offer(message.app, message.rows)
        for session, part, rows in self._subscribers.split_by_session(message, frame):
            self._down.hand_over(session, part, rows)

    @receives(m.HostChanged)
    def host_changed(self, message: m.HostChanged, _: bytes) -> None:
        """Interrupt what may not go on, and begin what had to wait."""
        before, self._host = self._host, message.state
        for app, background in list(self._apps.items()):
            if background.running is not None:
                self._cancel(background.running, background.interruption(before, self._host))
            self._next_turn(app)

    @receives(m.AppSettingsChanged)
    def settings_changed(self, message: m.AppSettingsChanged, _: bytes) -> None:
        """Note what the user has decided; work that is no longer allowed is interrupted."""
        background = self._apps[message.app]
        background.settings = message.settings
        if not background.settings.background and background.running is not None:
            self._cancel(background.running, CancellationReason.SYSTEM_POLICY)
        self._subscribers.report_ready(message.app)
        self._next_turn(message.app)

    @receives(m.CancelWork)
    def cancel_work(self, message: m.CancelWork, _: bytes) -> None:
        """Cancel what runs in the background for an app, or for all."""
        for app, background in list(self._apps.items()):
            if background.running is not None and message.app in {app, ""}:
                self._cancel(background.running, message.reason)

    # From the registry and the apps

    @receives(m.Subscribe)
    def subscribe(self, message: m.Subscribe, _: bytes) -> None:
        """The session takes the payloads of a channel; the last one to say so wins."""
        self._subscribers.subscribe(message.channel, message.session)

    @receives(m.Unsubscribe)
    def unsubscribe(self, message: m.Unsubscribe, _: bytes) -> None:
        """It takes them no more, unless another session has taken over."""
        self._subscribers.unsubscribe(message.channel, message.session)

    @receives(m.LeaveSession)
    def leave(self, message: m.LeaveSession, _: bytes) -> None:
        """A session has ended: it takes nothing more, and does no more background work."""
        self._subscribers.leave(message.session)

    @receives(m.Handled)
    def handled(self, message: m.Handled, frame: bytes) -> None:
        """The app has handled some; handled late is handled all the same."""
        if self._payloads.end_handled(message.sequences, message.attempts):
            self._reports.report(frame)
        else:
            for sequence, attempt in zip(message.sequences, message.attempts, strict=True):
                self._handled(sequence, attempt)

    def _handled(self, sequence: int, attempt: int) -> None:
        tracked = self._payloads.get(sequence)
        if tracked is None:
            self._reports.settled.append(m.SettlementRow(sequence, "", Outcome.HANDLED, None, ""))
            return
        if attempt != tracked.attempt:  # a later attempt may be with the app
            self._down.send_to_all(m.AbortDelivery(sequence))
        self._return(tracked, Outcome.HANDLED)

    @receives(m.Outcomes)
    def outcomes(self, message: m.Outcomes, _: bytes) -> None:
        """The app is through with some that it has not handled."""
        for sequence, outcome, detail, attempt in message.rows:
            tracked = self._payloads.get(sequence)
            if tracked is not None and attempt == tracked.attempt:  # else of an attempt that nobody waits for
                if detail:
                    tracked.detail = detail
                if outcome == Outcome.HANDLER_FAILED and tracked.reason is None:
                    tracked.reason = DropReason.HANDLER_FAILED
                self._return(tracked, outcome)

    def _return(self, tracked: Tracked, outcome: Outcome) -> None:
        event = event_of_outcome(
            tracked.phase, outcome, activatable=self._apps[tracked.app].may_queue(type_of(tracked.row))
        )
        if event is not None:
            self._step(tracked, event)

    @receives(m.ActivatorChanged)
    def activator_changed(self, message: m.ActivatorChanged, _: bytes) -> None:
        """Note who does an app's background work; what waits for work that nobody will do goes back to the inbox."""
        background = self._apps[message.app]
        background.triggered, background.session = message.triggered, message.session
        background.conditions, background.cancel_on_condition_loss = (
            message.conditions,
            message.cancel_on_condition_loss,
        )
        if message.aborted and background.running is not None:
            self._cancel(background.running, CancellationReason.ABORT)
        if not message.triggered:
            for tracked in list(background.queue):
                self._step(tracked, Event.GIVEN_BACK)
        self._subscribers.report_ready(message.app)
        self._next_turn(message.app)

    # From the kernel

    @receives(m.AlarmRang)
    def ring(self, _message: m.AlarmRang, _: bytes) -> None:
        """Cancel what has used up its budget, and cut off what has used up its grace."""
        now = self._clock.monotonic()
        # Graces first: a payload has one deadline, and a grace that began 25 s into its budget looks like both.
        for tracked in self._graces.take_due(now):
            self._step(tracked, Event.GRACE_OVER)
        firsts = self._payloads.heads_of(self._foreground_budgets.take_due(now))
        for tracked in (*firsts, *self._background_budgets.take_due(now)):
            self._cancel(tracked, CancellationReason.EXECUTION_TIME_EXCEEDED)

    @receives(m.ActorRestarted)
    def peer_restarted(self, message: m.ActorRestarted, _: bytes) -> None:
        """A router that begins anew has to learn who takes what."""
        if message.actor == "payload_router":
            self._subscribers.report_all()

    @receives(m.Fence)
    def fence(self, message: m.Fence, _: bytes) -> None:
        """The router begins anew with what it hands on."""
        self._payloads.clear()
        for background in self._apps.values():
            background.clear()
        self._open = True
        self._down.send_to_all(message)

    async def flush(self) -> None:
        """Outcomes go up before payloads go down: room is made before it is taken."""
        self._reports.perform(self._router)
        while missed := await self._down.perform():
            for each in missed:
                self._miss(each)
        self._reports.perform(self._router)
        now = self._clock.monotonic()
        self._foreground_budgets.start_all(self._payloads.new_heads(), now)
        moments = (self._foreground_budgets.next(), self._background_budgets.next(), self._graces.next())
        self._alarm.set(min((moment for moment in moments if moment is not None), default=None))

    def _miss(self, missed: Missed) -> None:
        """Nobody was there to take payloads: nothing more goes there, and they go where they may."""
        for row in missed.rows:
            tracked = self._payloads.get(sequence_of(row)) if self._payloads.is_current(row) else None
            if tracked is not None:
                self._subscribers.unsubscribe(tracked.channel, missed.session)
                self._subscribers.stop_work(tracked.app, missed.session)
                may_queue = self._apps[tracked.app].may_queue(type_of(row))
                offerable = goes_to(type_of(row), Recipient.FOREGROUND)
                event = event_of_absence(tracked.phase, activatable=may_queue, offerable=offerable)
                if event is not None:
                    self._step(tracked, event)

    def _cancel(self, tracked: Tracked, reason: CancellationReason | None) -> None:
        if reason is not None and tracked.phase in {Phase.OFFERED, Phase.ACTIVATED}:
            tracked.cancellation = reason
            tracked.reason = DropReason[reason.name]
            self._step(tracked, Event.CANCEL)

    def _next_turn(self, app: str) -> None:
        """Begin with the first payload that waits, if it may; what has expired meanwhile ends on the way."""
        background = self._apps[app]
        while background.may_begin(self._host):
            tracked = background.queue[0]
            expired = tracked.expires is not None and self._at_service.judge(tracked.expires) is Verdict.PAST
            self._step(tracked, Event.EXPIRED if expired else Event.TURN)

    def _step(self, tracked: Tracked, event: Event) -> None:
        tracked.phase, effects = step(TABLE, tracked.phase, event)
        tracked.deadline = 0.0
        for effect in effects:
            self._perform[effect](tracked)

    def _leave(self, tracked: Tracked) -> None:
        """Take a payload out of where it stands: in the queue of its app's background work, at work there, or in line."""
        background = self._apps[tracked.app]
        if tracked.parked:
            background.queue.remove(tracked)
            tracked.parked = False
        elif background.running is tracked:
            background.running = None
        else:
            self._payloads.leave_queue(tracked)

    def _park(self, tracked: Tracked) -> None:
        self._leave(tracked)
        self._reports.report(encode(m.Parked(tracked.sequence, tracked.channel)))
        background = self._apps[tracked.app]
        background.queue.append(tracked)
        tracked.parked = True
        if background.overflows:
            tracked.reason = DropReason.QUEUE_FULL
            self._step(tracked, Event.OVERFLOW)
        else:
            self._next_turn(tracked.app)

    def _activate(self, tracked: Tracked) -> None:
        self._leave(tracked)
        background = self._apps[tracked.app]
        background.running = tracked
        delivery = encode(m.Deliveries(tracked.app, (tracked.row,)))  # type: ignore[arg-type]  # a plain row
        self._down.hand_over(background.session, encode(m.Activation(delivery)), (tracked.row,))

    def _tell_cancel(self, tracked: Tracked) -> None:
        assert tracked.cancellation is not None  # noqa: S101  # see _cancel
        self._down.send_to_all(m.CancelDelivery(tracked.sequence, tracked.cancellation))

    def _settle(self, tracked: Tracked) -> None:
        """Report the end of a payload, and let the next begin."""
        self._leave(tracked)
        self._payloads.end(tracked)
        outcome = OUTCOMES[tracked.phase]
        dropped = outcome is Outcome.DROPPED
        reason, detail = (self._apps[tracked.app].drop_reason(tracked), tracked.detail) if dropped else (None, "")
        self._reports.settled.append(m.SettlementRow(tracked.sequence, tracked.channel, outcome, reason, detail))
        self._next_turn(tracked.app)

    def _forget(self, tracked: Tracked) -> None:
        self._leave(tracked)
        self._payloads.end(tracked)
