"""The deferral and cancellation supervisor: sees to it that every payload that is with an app comes to its end.

Foreground handlers take the payloads of a channel one after the other, so the first in line is the one that runs, and
only its budget counts. In the background each app does one piece of work at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from attrs import astuple

from tocsin.actors.actor import Actor, receives
from tocsin.actors.alarm import Alarm
from tocsin.actors.clock import Clock
from tocsin.actors.handover import Handover, Missed
from tocsin.actors.mailbox import Mailbox
from tocsin.actors.reports import Reports
from tocsin.actors.sessions import Sessions
from tocsin.actors.takers import Takers
from tocsin.protocol import messages as m
from tocsin.protocol.activation import BUDGET, GRACE, CancellationReason
from tocsin.protocol.background import Background
from tocsin.protocol.codec import encode
from tocsin.protocol.conditions import AppSettings, HostState, interruption
from tocsin.protocol.deadlines import Deadlines
from tocsin.protocol.delivery import OUTCOMES, TABLE, Effect, Event, Phase, Tracked, returned, unreachable
from tocsin.protocol.lines import Lines
from tocsin.protocol.machine import step
from tocsin.protocol.values import DropReason, Outcome

QUEUE_DEPTH = 1024
"""How many payloads may wait for the background work of one app."""


# Members that every payload meets: up to Python 3.11 looking one up in its class costs as much as a table step.
_HANDLED, _DROPPED = Outcome.HANDLED, Outcome.DROPPED


class Supervisor(Actor):
    """Owns the payloads that are with an app or wait for its background work, and knows who takes those of a channel."""

    name = "supervisor"

    def __init__(self, clock: Clock, alarm: Alarm, router: Mailbox, sessions: Sessions) -> None:
        super().__init__()
        self._clock = clock
        self._alarm = alarm
        self._router = router
        self._host = HostState()
        self._open = False
        """Whether the router has begun anew with this supervisor; what comes before is handed on again."""
        self._tracked: dict[int, Tracked] = {}
        self._lines = Lines()
        self._apps: defaultdict[str, Background] = defaultdict(Background)
        self._reports = Reports()
        self._takers = Takers(sessions, self._reports, self._apps)
        self._down = Handover(sessions)
        self._budgets = Deadlines(BUDGET)
        self._graces = Deadlines(GRACE)
        self._perform: dict[Effect, Callable[[Tracked], None]] = {
            Effect.PARK: self._park,
            Effect.ACTIVATE: self._activate,
            Effect.START_BUDGET: lambda tracked: self._budgets.start(tracked, self._clock.monotonic()),
            Effect.TELL_CANCEL: self._tell_cancel,
            Effect.START_GRACE: lambda tracked: self._graces.start(tracked, self._clock.monotonic()),
            Effect.TELL_ABORT: lambda tracked: self._down.tell_all(m.AbortDelivery(tracked.sequence)),
            Effect.SETTLE: self._settle,
        }

    # From the router

    @receives(m.Deliveries)
    def deliver(self, message: m.Deliveries, frame: bytes) -> None:
        """Let payloads go to the app's foreground; the budget of each begins when it is the first in line."""
        if not self._open:
            return
        app, known, lines = message.app, self._tracked, defaultdict[str, list[Tracked]](list)
        for row in message.rows:
            sequence, _, _, _, attempt, expires, channel = row
            if sequence in known:  # handed on again while an earlier attempt is still here
                self._forget(known[sequence])
            tracked = known[sequence] = Tracked(sequence, app, channel, attempt, expires, row)
            lines[channel].append(tracked)
        for channel, several in lines.items():
            self._lines.join(channel, several)
        for session, part, rows in self._takers.apart(message, frame, lines):
            self._down.give(session, part, rows)

    @receives(m.HostChanged)
    def host_changed(self, message: m.HostChanged, _: bytes) -> None:
        """Interrupt what may not go on, and begin what had to wait."""
        before, self._host = self._host, HostState(*astuple(message))
        for app, background in list(self._apps.items()):
            if background.running is not None:
                lost = background.conditions if background.cancel_on_condition_loss else ()
                self._cancel(background.running, interruption(before, self._host, background.settings, lost))
            self._next_turn(app)

    @receives(m.AppSettingsChanged)
    def settings_changed(self, message: m.AppSettingsChanged, _: bytes) -> None:
        """Note what the user has decided; work that is no longer allowed is interrupted."""
        background = self._apps[message.app]
        _, *settings = astuple(message)
        background.settings = AppSettings(*settings)
        if not background.settings.background and background.running is not None:
            self._cancel(background.running, CancellationReason.SYSTEM_POLICY)
        self._takers.tell_ready(message.app)
        self._next_turn(message.app)

    @receives(m.CancelWork)
    def cancel_work(self, message: m.CancelWork, _: bytes) -> None:
        """Cancel what runs in the background for an app, or for all."""
        for app, background in list(self._apps.items()):
            if background.running is not None and message.app in {app, ""}:
                self._cancel(background.running, message.reason)

    # From the registry and the apps

    @receives(m.AttachSink)
    def attach(self, message: m.AttachSink, _: bytes) -> None:
        """The session takes the payloads of a channel; the last one to say so wins."""
        self._takers.attach(message.channel, message.session)

    @receives(m.DetachSink)
    def detach(self, message: m.DetachSink, _: bytes) -> None:
        """It takes them no more, unless another session has taken over."""
        self._takers.detach(message.channel, message.session)

    @receives(m.LeaveSession)
    def leave(self, message: m.LeaveSession, _: bytes) -> None:
        """A session has ended: it takes nothing more, and does no more background work."""
        self._takers.leave(message.session)

    @receives(m.Outcomes)
    def returned(self, message: m.Outcomes, _: bytes) -> None:
        """The app is through with some; handled late is handled all the same."""
        for sequence, outcome, detail, attempt in message.rows:
            tracked = self._tracked.get(sequence)
            handled = outcome == _HANDLED
            if tracked is None:
                if handled:
                    self._reports.settled.append((sequence, "", Outcome.HANDLED, None, ""))
            elif handled or attempt == tracked.attempt:  # else of an attempt that nobody waits for
                if detail:
                    tracked.detail = detail
                if not handled and outcome == Outcome.HANDLER_FAILED and tracked.reason is None:
                    tracked.reason = DropReason.HANDLER_FAILED
                activatable = not handled and self._apps[tracked.app].activatable  # what was handled goes nowhere else
                if handled and attempt != tracked.attempt:  # a later attempt may be with the app
                    self._down.tell_all(m.AbortDelivery(sequence))
                event = returned(tracked.phase, outcome, activatable=activatable)
                if event is not None:
                    self._step(tracked, event)

    @receives(m.ActivatorChanged)
    def activator_changed(self, message: m.ActivatorChanged, _: bytes) -> None:
        """Note who does an app's background work; what waits for work that nobody will do goes back to the inbox."""
        background = self._apps[message.app]
        background.triggered, background.session = message.triggered, message.session
        background.conditions = message.conditions
        background.cancel_on_condition_loss = message.cancel_on_condition_loss
        if message.aborted and background.running is not None:
            self._cancel(background.running, CancellationReason.ABORT)
        if not message.triggered:
            for tracked in list(background.queue):
                self._step(tracked, Event.GIVEN_BACK)
        self._takers.tell_ready(message.app)
        self._next_turn(message.app)

    # From the kernel

    @receives(m.AlarmRang)
    def ring(self, _message: m.AlarmRang, _: bytes) -> None:
        """Cancel what has used up its budget, and cut off what has used up its grace."""
        now = self._clock.monotonic()
        # Graces first: a payload has one deadline, and a grace that began 25 s into its budget looks like both.
        for tracked in self._graces.take_due(now):
            self._step(tracked, Event.GRACE_OVER)
        for tracked in self._budgets.take_due(now):
            self._cancel(tracked, CancellationReason.EXECUTION_TIME_EXCEEDED)

    @receives(m.ActorRestarted)
    def peer_restarted(self, message: m.ActorRestarted, _: bytes) -> None:
        """A router that begins anew has to learn who takes what."""
        if message.actor == "payload_router":
            self._takers.tell_all()

    @receives(m.Fence)
    def fence(self, message: m.Fence, _: bytes) -> None:
        """The router begins anew with what it hands on."""
        for tracked in self._tracked.values():
            tracked.deadline = 0.0
        self._tracked.clear()
        self._lines.clear()
        for background in self._apps.values():
            background.running = None
            background.queue.clear()
        self._open = True
        self._down.tell_all(message)

    async def flush(self) -> None:
        """Outcomes go up before payloads go down: room is made before it is taken."""
        self._reports.send(self._router)
        while missed := await self._down.send():
            for each in missed:
                self._miss(each)
        self._reports.send(self._router)
        now = self._clock.monotonic()
        for tracked in self._lines.new_firsts():
            self._budgets.start(tracked, now)
        moments = (self._budgets.next(), self._graces.next())
        self._alarm.set(min((moment for moment in moments if moment is not None), default=None))

    def _miss(self, missed: Missed) -> None:
        """Nobody was there to take payloads: nothing more goes there, and they go where they may."""
        for row in missed.rows:
            tracked = self._tracked.get(row[0])
            if tracked is not None and tracked.row is row:  # not a later attempt
                self._takers.detach(tracked.channel, missed.session)
                self._takers.stop_work(tracked.app, missed.session)
                event = unreachable(tracked.phase, activatable=self._apps[tracked.app].activatable)
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
            expired = tracked.expires is not None and tracked.expires <= self._clock.wall()
            self._step(tracked, Event.EXPIRED if expired else Event.TURN)

    def _step(self, tracked: Tracked, event: Event) -> None:
        tracked.phase, effects = step(TABLE, tracked.phase, event)
        tracked.deadline = 0.0
        for effect in effects:
            self._perform[effect](tracked)

    def _forget(self, tracked: Tracked) -> None:
        """Take a payload out without a word: another attempt takes its place."""
        tracked.phase, tracked.deadline = Phase.RETURNED, 0.0
        self._leave(tracked)

    def _leave(self, tracked: Tracked) -> None:
        """Take a payload out of where it stands: in the queue of its app's background work, at work there, or in line."""
        background = self._apps.get(tracked.app)
        if background is None:
            self._lines.leave(tracked)
        elif tracked.parked:
            background.queue.remove(tracked)
            tracked.parked = False
        elif background.running is tracked:
            background.running = None
        else:
            self._lines.leave(tracked)

    def _park(self, tracked: Tracked) -> None:
        self._leave(tracked)
        self._reports.add(encode(m.Parked(tracked.sequence, tracked.channel)))
        background = self._apps[tracked.app]
        background.queue.append(tracked)
        tracked.parked = True
        if len(background.queue) > QUEUE_DEPTH:
            tracked.reason = DropReason.QUEUE_FULL
            self._step(tracked, Event.OVERFLOW)
        else:
            self._next_turn(tracked.app)

    def _activate(self, tracked: Tracked) -> None:
        self._leave(tracked)
        background = self._apps[tracked.app]
        background.running = tracked
        delivery = encode(m.Deliveries(tracked.app, (tracked.row,)))
        self._down.give(background.session, encode(m.Activation(delivery)), (tracked.row,))

    def _tell_cancel(self, tracked: Tracked) -> None:
        assert tracked.cancellation is not None  # noqa: S101  # see _cancel
        self._down.tell_all(m.CancelDelivery(tracked.sequence, tracked.cancellation))

    def _settle(self, tracked: Tracked) -> None:
        """Report the end of a payload, and let the next begin."""
        self._leave(tracked)
        sequence = tracked.sequence
        del self._tracked[sequence]
        outcome = OUTCOMES[tracked.phase]
        reason, detail = None, ""
        if outcome is _DROPPED:
            reason, detail = self._apps[tracked.app].drop_reason(tracked), tracked.detail
        self._reports.settled.append((sequence, tracked.channel, outcome, reason, detail))
        if tracked.app in self._apps:
            self._next_turn(tracked.app)
