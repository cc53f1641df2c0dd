"""The deferral and cancellation supervisor: sees to it that every payload that is with an app comes to its end.

Foreground handlers take the payloads of a channel one after the other, so the head of a handler queue is the one
that runs, and only its budget counts. In the background each app does one piece of work at a time. Here it is decided
whether a payload goes to a session or starts a process, what comes back when a session dies, and when time is up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from tocsin.actors.actor import Actor, receives, receives_from_apps
from tocsin.actors.background_turns import BackgroundTurns
from tocsin.actors.handover_effects import HandoverEffects, Missed
from tocsin.actors.launch_effects import LaunchEffects
from tocsin.actors.report_effects import ReportEffects
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.actors.subscribers import Subscribers
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
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
    event_of_cancellation,
    event_of_grace,
    event_of_outcome,
    words_of_end,
)
from tocsin.protocol.delivery.plain_rows import sequence_of, type_of
from tocsin.protocol.delivery.recipients import Recipient, goes_to
from tocsin.protocol.hresult import HResult
from tocsin.protocol.kernel.deadlines import Deadlines
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import BUDGET, GRACE, LAST_WORD, CancellationReason
from tocsin.protocol.platform.conditions import HostState
from tocsin.protocol.platform.service_time import Verdict
from tocsin.protocol.text import MAX_DETAIL, harmless
from tocsin.protocol.values import DropReason, Outcome

logger = logging.getLogger(__name__)


class Supervisor(Actor):
    """Owns the payloads that are with an app or wait for its background work, and knows who takes those of a channel."""

    name = "supervisor"

    def __init__(self, senses: Senses, router: Mailbox, sessions: Sessions, launcher: Mailbox | None = None) -> None:
        super().__init__()
        self._clock, self._at_service, self._alarm = senses.clock, senses.at_service, senses.alarm
        self._router = router
        self._sessions, self._work = sessions, sessions.work
        self._launches = LaunchEffects(launcher, sessions.watch)
        self._disbelieved: set[str] = set()
        """Sessions that have reported on payloads that they do not have; the log has heard of each."""
        self._host = HostState()
        self._open = False
        """Whether the router has begun anew with this supervisor; what comes before is handed on again."""
        self._payloads = Outstanding()
        self._turns = BackgroundTurns(sessions)
        self._apps = self._turns.apps
        self._reports = ReportEffects()
        self._subscribers = Subscribers(sessions, self._reports, self._apps)
        self._down = HandoverEffects(sessions)
        self._foreground_budgets = Deadlines[HandlerQueue](BUDGET)
        self._background_budgets = Deadlines[Tracked](BUDGET)
        self._graces = Deadlines[Tracked](GRACE)
        self._last_words = Deadlines[Tracked](LAST_WORD)
        self._perform: dict[Effect, Callable[[Tracked], None]] = {
            Effect.PARK: self._park,
            Effect.LAUNCH: self._launch,
            Effect.STOP_LAUNCH: self._launches.stop,
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

    # From the router

    @receives(m.Deliveries)
    def deliver(self, message: m.Deliveries, frame: bytes) -> None:
        """Let payloads go to the app's foreground; the budget of each begins when it is the head of its queue."""
        if not self._open:
            return
        for tracked in self._payloads.known(message.rows):  # handed on again while an earlier attempt is still here
            self._step(tracked, Event.OFFERED_AGAIN)
        self._payloads.offer(message.app, message.rows)
        for session, part, rows in self._subscribers.split_by_session(message, frame):
            self._payloads.hand(rows, session)
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

    @receives_from_apps(m.CancelWork)
    def cancel_work(self, message: m.CancelWork, stamped: m.Stamped) -> None:
        """Cancel what runs in the background for the app."""
        running = self._apps[stamped.app].running
        if running is not None:
            self._cancel(running, message.reason)

    @receives(m.StopWork)
    def stop_work(self, message: m.StopWork, _: bytes) -> None:
        """The agent cancels work: what runs in the background, or all there is, so that none begins any more."""
        for app in [message.app] if message.app else self._apps.keys() | self._sessions.apps():
            if message.every:
                self._retire(app, message.reason)
            running = self._apps[app].running
            if running is not None and message.session in {"", running.session}:
                self._cancel(running, message.reason)
                if message.session:
                    self._sessions.retire(message.session)
                    self._subscribers.leave(message.session)
        self._work.obey(message.number)

    def _retire(self, app: str, reason: CancellationReason) -> None:
        """Let no work of an app begin, and cancel what its foreground handlers are at."""
        background = self._apps[app]
        background.retire()
        for tracked in list(background.queue):
            self._step(tracked, Event.GIVEN_BACK)
        self._subscribers.report_ready(app)
        held = [self._payloads.held_by(name) for name in self._sessions.names() if self._sessions.app_of(name) == app]
        for tracked in [each for several in held for each in several if self._payloads.is_head(each)]:
            self._cancel(tracked, reason)

    # From the registry and the apps

    @receives_from_apps(m.Subscribe)
    def subscribe(self, message: m.Subscribe, stamped: m.Stamped) -> None:
        """The session takes the payloads of a channel; the last one to say so has them."""
        self._subscribers.subscribe(stamped.app, message.channel, stamped.session)

    @receives_from_apps(m.Unsubscribe)
    def unsubscribe(self, message: m.Unsubscribe, stamped: m.Stamped) -> None:
        """It takes them no more; a session that took them before does again."""
        self._subscribers.unsubscribe(stamped.app, message.channel, stamped.session)

    @receives_from_apps(m.LeaveSession)
    def leave(self, _message: m.LeaveSession, stamped: m.Stamped) -> None:
        """A session is about to end: it takes nothing more, and begins no more background work."""
        self._subscribers.leave(stamped.session)

    @receives(m.SessionEnded)
    def session_ended(self, message: m.SessionEnded, _: bytes) -> None:
        """A session is gone: what it has comes back."""
        self._subscribers.leave(message.session)
        self._disbelieved.discard(message.session)
        self._turns.drop_session(message.session)
        held = self._payloads.held_by(message.session)
        blamed = [] if self._sessions.is_retired(message.session) else held
        heads = set(filter(self._payloads.is_head, blamed))
        for tracked in held:
            self._step(tracked, self._turns.died(tracked, is_head=tracked in heads) if blamed else Event.GIVEN_BACK)
        self._sessions.forget_retired(message.session)

    @receives_from_apps(m.Holding)
    def holding(self, message: m.Holding, stamped: m.Stamped) -> None:
        """A session is still at work on payloads that an earlier agent had given to it: no other is to begin with them."""
        self._turns.hold(stamped.session, message.sequences)
        running = self._apps[stamped.app].running
        if running is not None and running.phase is Phase.LAUNCHING and running.sequence in message.sequences:
            running.session, running.request = self._turns.session_for(running), 0
            self._step(running, Event.HELD)

    @receives_from_apps(m.Handled)
    def handled(self, message: m.Handled, stamped: m.Stamped) -> None:
        """The app has handled some; handled late is handled all the same."""
        if self._payloads.end_handled(stamped.session, message.sequences, message.attempts):
            self._reports.report(stamped.frame)
            self._turns.forget(message.sequences)
        else:
            for sequence, attempt in zip(message.sequences, message.attempts, strict=True):
                self._handled(sequence, attempt, stamped)

    def _handled(self, sequence: int, attempt: int, stamped: m.Stamped) -> None:
        tracked = self._payloads.get(sequence)
        if tracked is None:
            self._reports.report(encode(m.HandledLate(stamped.app, (sequence,))))
        elif tracked.app != stamped.app or (attempt == tracked.attempt and not self._has(stamped.session, tracked)):
            self._disbelieve(stamped)
        else:
            if attempt != tracked.attempt:  # a later attempt may be with the app
                self._down.tell(self._payloads.holder(sequence), m.AbortDelivery(sequence))
            self._return(tracked, Outcome.HANDLED)

    def _has(self, session: str, tracked: Tracked) -> bool:
        """Tell whether a session has a payload, or had it until it was given on to the background."""
        return session in {self._payloads.holder(tracked.sequence), tracked.session}

    def _disbelieve(self, stamped: m.Stamped) -> None:
        if stamped.session not in self._disbelieved:
            self._disbelieved.add(stamped.session)
            logger.warning("the session %s reports on payloads that it does not have; that is ignored", stamped.session)

    @receives_from_apps(m.Outcomes)
    def outcomes(self, message: m.Outcomes, stamped: m.Stamped) -> None:
        """The app is through with some that it has not handled."""
        for sequence, outcome, detail, attempt in message.rows:
            tracked = self._payloads.get(sequence)
            if tracked is not None and attempt == tracked.attempt:  # else of an attempt that is over
                if not self._has(stamped.session, tracked):
                    self._disbelieve(stamped)
                    continue
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
        """Note who does an app's background work; what waits for work that has no trigger any more goes back to the inbox."""
        background = self._apps[message.app]
        background.triggered = message.triggered
        background.session = "" if self._sessions.is_retired(message.session) else message.session
        background.command = self._launches.usable(message.command)
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
        if background.running is not None and background.running.phase is Phase.LAUNCHING and background.session:
            self._give_launched(background.running, background.session)
        self._next_turn(message.app)

    # From the launcher

    @receives(m.Claimed)
    def claimed(self, message: m.Claimed, _: bytes) -> None:
        """The process that was launched for a payload asks for it."""
        tracked = self._launched(message)
        if tracked is None or not self._give_launched(tracked, message.session, message.request):
            text = "the payload that has launched this process is no longer waiting: it was handled elsewhere, or has expired"
            failed = m.Failed(message.request, "TimedOut", text, HResult.ERROR_TIMEOUT)
            self._sessions.send(message.session, failed)

    @receives(m.LaunchEnded)
    def launch_ended(self, message: m.LaunchEnded, _: bytes) -> None:
        """The process could not be started, or has ended before it took its payload."""
        tracked = self._launched(message)
        if tracked is not None:
            tracked.reason, tracked.detail = DropReason.LAUNCH_FAILED, message.detail
            self._step(tracked, Event.LAUNCH_FAILED)

    def _launched(self, message: m.Claimed | m.LaunchEnded) -> Tracked | None:
        """Return the payload for which that process was launched, if that launch is still waited for."""
        tracked = self._payloads.get(message.sequence)
        if tracked is None or tracked.phase is not Phase.LAUNCHING:
            return None
        return tracked if (tracked.app, tracked.attempt) == (message.app, message.attempt) else None

    def _give_launched(self, tracked: Tracked, session: str, request: int = 0) -> bool:
        """Give away a payload for which a process was launched; tell whether it has not expired while that started."""
        if self._has_expired(tracked):
            self._step(tracked, Event.EXPIRED)
            return False
        self._give_to(tracked, session, request)
        return True

    def _has_expired(self, tracked: Tracked) -> bool:
        return tracked.expires is not None and self._at_service.judge(tracked.expires) is Verdict.PAST

    def _give_to(self, tracked: Tracked, session: str, request: int = 0) -> None:
        tracked.session, tracked.request = session, request
        self._step(tracked, Event.TURN)

    # From the kernel

    @receives(m.AlarmRang)
    def ring(self, _message: m.AlarmRang, _: bytes) -> None:
        """Cancel what has used up its budget, and cut off what has used up its grace."""
        now = self._clock.monotonic()
        # Graces first: a payload has one deadline, and a grace that began 25 s into its budget looks like both.
        for tracked in (*self._last_words.take_due(now), *self._graces.take_due(now)):
            tracked.command = self._sessions.command_of(self._payloads.holder(tracked.sequence)) or tracked.command
            self._step(tracked, event_of_grace(tracked.phase, launched=bool(tracked.command)))
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
        self._work.clear()
        for background in self._apps.values():
            if background.running is not None and background.running.phase is Phase.LAUNCHING:
                self._launches.stop(background.running)
            background.clear()
        self._open = True
        self._down.send_to_all(message)

    async def flush(self) -> None:
        """Outcomes go up before payloads go down: room is made before it is taken."""
        self._reports.perform(self._router)
        while missed := self._down.perform():
            for each in missed:
                self._miss(each)
        self._reports.perform(self._router)
        self._launches.perform()
        now = self._clock.monotonic()
        self._foreground_budgets.start_all(self._payloads.new_heads(), now)
        deadlines = (self._foreground_budgets, self._background_budgets, self._graces, self._last_words)
        moments = [each.next() for each in deadlines]
        self._alarm.set(min((moment for moment in moments if moment is not None), default=None))

    def _miss(self, missed: Missed) -> None:
        """A session was not there to take payloads: nothing more goes to it, and they go where they may."""
        for row in missed.rows:
            tracked = self._payloads.get(sequence_of(row)) if self._payloads.is_current(row) else None
            if tracked is not None:
                self._subscribers.unsubscribe(tracked.app, tracked.channel, missed.session)
                self._subscribers.stop_work(tracked.app, missed.session)
                may_queue = self._apps[tracked.app].may_queue(type_of(row))
                offerable = goes_to(type_of(row), Recipient.FOREGROUND)
                event = event_of_absence(tracked.phase, activatable=may_queue, offerable=offerable)
                if event is not None:
                    self._step(tracked, event)

    def _cancel(self, tracked: Tracked, reason: CancellationReason | None) -> None:
        event = None if reason is None else event_of_cancellation(tracked.phase, reason)
        if reason is not None and event is not None:
            tracked.cancellation = reason
            tracked.reason = DropReason[reason.name]
            if tracked.phase is Phase.LAUNCHING:
                tracked.detail = "the process that was launched has not asked for it in time"
            self._step(tracked, event)

    def _next_turn(self, app: str) -> None:
        """Begin with the first payload that waits, if it may; what has expired meanwhile ends on the way."""
        background = self._apps[app]
        while background.may_begin(self._host):
            tracked = background.queue[0]
            if self._has_expired(tracked):
                self._step(tracked, Event.EXPIRED)
            elif session := self._turns.session_for(tracked):
                self._give_to(tracked, session)
            else:
                self._step(tracked, Event.LAUNCH)

    def _step(self, tracked: Tracked, event: Event) -> None:
        tracked.phase, effects = step(TABLE, tracked.phase, event)
        tracked.deadline = 0.0
        for effect in effects:
            self._perform[effect](tracked)

    def _leave(self, tracked: Tracked) -> None:
        """Take a payload out of its place: its app's background queue, the work there, or a handler queue."""
        background = self._apps[tracked.app]
        if tracked.parked:
            background.queue.remove(tracked)
            tracked.parked = False
        elif background.running is tracked:
            background.running = None
            self._work.end(tracked.app)
        else:
            self._payloads.leave_queue(tracked)

    def _park(self, tracked: Tracked) -> None:
        self._leave(tracked)
        tracked.session = self._payloads.take_from_holder(tracked)  # it may yet say that it has handled it
        self._reports.report(encode(m.Parked(tracked.sequence, tracked.channel)))
        background = self._apps[tracked.app]
        tracked.parked = True
        surplus = background.add(tracked)
        if surplus is not None:
            surplus.reason = DropReason.QUEUE_FULL
            self._step(surplus, Event.OVERFLOW)
        self._next_turn(tracked.app)

    def _launch(self, tracked: Tracked) -> None:
        self._leave(tracked)
        background = self._apps[tracked.app]
        background.running = tracked
        self._launches.start(tracked, background.command)

    def _activate(self, tracked: Tracked) -> None:
        self._leave(tracked)
        self._apps[tracked.app].running = tracked
        self._work.begin(tracked.app, tracked.session)
        self._payloads.hand((tracked.row,), tracked.session)
        delivery = encode(m.Deliveries(tracked.app, (tracked.row,)))  # type: ignore[arg-type]  # a plain row
        self._down.hand_over(tracked.session, encode(m.Activation(delivery, tracked.request)), (tracked.row,))

    def _tell_cancel(self, tracked: Tracked) -> None:
        assert tracked.cancellation is not None  # noqa: S101  # see _cancel
        holder = self._payloads.holder(tracked.sequence)
        self._down.tell(holder, m.CancelDelivery(tracked.sequence, tracked.cancellation))
        self._work.stop(tracked.sequence, tracked.app)

    def _tell_abort(self, tracked: Tracked) -> None:
        self._down.tell(self._payloads.holder(tracked.sequence), m.AbortDelivery(tracked.sequence))

    def _end_process(self, tracked: Tracked) -> None:
        """Have the process ended that has a payload; it takes no other meanwhile."""
        session = self._payloads.holder(tracked.sequence)
        tracked.detail = harmless(words_of_end(tracked.command, tracked.detail), MAX_DETAIL)
        self._sessions.retire(session)
        self._launches.end(session)
        self._subscribers.leave(session)

    def _settle(self, tracked: Tracked) -> None:
        """Report the end of a payload, and let the next begin."""
        self._leave(tracked)
        self._payloads.end(tracked)
        self._work.stopped(tracked.sequence)
        if tracked.phase is not Phase.GIVEN_BACK:
            self._turns.forget((tracked.sequence,))
        outcome = OUTCOMES[tracked.phase]
        dropped = outcome is Outcome.DROPPED
        reason, detail = (self._apps[tracked.app].drop_reason(tracked), tracked.detail) if dropped else (None, "")
        self._reports.settled.append(m.SettlementRow(tracked.sequence, tracked.channel, outcome, reason, detail))
        self._next_turn(tracked.app)

    def _forget(self, tracked: Tracked) -> None:
        self._leave(tracked)
        self._payloads.end(tracked)
        self._work.stopped(tracked.sequence)
