"""The deferral and cancellation supervisor: sees to it that every payload that is with an app comes to its end.

Foreground handlers take the payloads of a channel one after the other, so the head of a handler queue is the one
that runs, and only its budget counts. In the background each app does one piece of work at a time. Here it is decided
whether a payload goes to a session or starts a process, what comes back when a session dies, and when time is up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from tocsin.actors.actor import Actor, Wait, receives, receives_from_apps
from tocsin.actors.life_steps import LifeSteps
from tocsin.actors.payload_lives import PayloadLives
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.payload_life import Event, Phase, Tracked
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.text import harmless
from tocsin.protocol.values import DropReason, Outcome

logger = logging.getLogger(__name__)


class Supervisor(Actor):
    """Owns the payloads that are with an app or wait for its background work, and knows who takes those of a channel."""

    name = "supervisor"

    def __init__(
        self,
        senses: Senses,
        router: Mailbox,
        sessions: Sessions,
        launcher: Mailbox | None = None,
        shell: Mailbox | None = None,
    ) -> None:
        super().__init__()
        self._alarm, self._router = senses.alarm, router
        self._sessions, self._work = sessions, sessions.work
        self._steps = steps = LifeSteps(senses, sessions, launcher, shell)
        self._lives = PayloadLives(steps, senses, sessions)
        self._payloads, self._background_sessions, self._apps = steps.payloads, steps.background_sessions, steps.apps
        self._subscribers, self._reports = steps.subscribers, steps.reports
        self._down, self._launches = steps.down, steps.launches
        self._disbelieved: set[str] = set()
        """Sessions that have reported on payloads that they do not have; the log has heard of each."""
        self._open = False
        """Whether the router has begun anew with this supervisor; what comes before is handed on again."""

    # From the router

    @receives(m.Deliveries)
    def deliver(self, message: m.Deliveries, frame: bytes) -> None:
        """Let payloads go to the app's foreground; the budget of each begins when it is the head of its queue."""
        if not self._open:
            return
        for tracked in self._payloads.known(message.rows):  # handed on again while an earlier attempt is still here
            self._steps.step(tracked, Event.OFFERED_AGAIN)
        for session, part, rows in self._subscribers.split_by_session(message, frame):
            self._payloads.offer(message.app, rows, session)
            self._payloads.hand(rows, session)
            self._down.hand_over(session, part, rows)

    @receives(m.ToastsWithdrawn)
    def toasts_withdrawn(self, message: m.ToastsWithdrawn, frame: bytes) -> None:
        """A sender has deleted toasts of an app."""
        self._lives.withdraw_toasts(message, frame)

    @receives(m.HostChanged)
    def host_changed(self, message: m.HostChanged, _: bytes) -> None:
        """Interrupt what may not go on, and begin what had to wait."""
        before, self._steps.host = self._steps.host, message.state
        for app, background in list(self._apps.items()):
            if background.running is not None:
                self._lives.cancel(background.running, background.interruption(before, message.state))
            self._steps.next_turn(app)

    @receives(m.AppSettingsChanged)
    def settings_changed(self, message: m.AppSettingsChanged, _: bytes) -> None:
        """Note what the user has decided; work that is no longer allowed is interrupted."""
        background = self._apps[message.app]
        interruption = background.decide(message.settings, self._steps.host)
        if background.running is not None:
            self._lives.cancel(background.running, interruption)
        self._subscribers.report_ready(message.app)
        self._steps.next_turn(message.app)

    @receives_from_apps(m.CancelWork)
    def cancel_work(self, message: m.CancelWork, stamped: m.Stamped) -> None:
        """Cancel what runs in the background for the app."""
        running = self._apps[stamped.app].running
        if running is not None:
            self._lives.cancel(running, message.reason)

    @receives(m.StopWork)
    def stop_work(self, message: m.StopWork, _: bytes) -> None:
        """The agent cancels work: what runs in the background, or all there is, so that none begins any more."""
        for app in [message.app] if message.app else self._apps.keys() | self._sessions.apps():
            if message.every:
                self._retire(app, message.reason)
            running = self._apps[app].running
            if running is not None and message.session in {"", running.session}:
                self._lives.cancel(running, message.reason)
                if message.session:
                    self._sessions.retire(message.session)
                    self._subscribers.leave(message.session)
        self._work.obey(message.number)

    def _retire(self, app: str, reason: CancellationReason) -> None:
        """Let no work of an app begin, and cancel what its foreground handlers are at."""
        self._apps[app].retire()
        self._lives.give_back_queued(app)
        self._subscribers.report_ready(app)
        held = [self._payloads.held_by(name) for name in self._sessions.names() if self._sessions.app_of(name) == app]
        for tracked in [each for several in held for each in several if self._payloads.is_head(each)]:
            self._lives.cancel(tracked, reason)

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
        self._background_sessions.drop_session(message.session)
        held = self._payloads.held_by(message.session)
        blamed = [] if self._sessions.is_retired(message.session) else held
        heads = set(filter(self._payloads.is_head, blamed))
        for tracked in held:
            self._steps.step(
                tracked,
                self._background_sessions.died(tracked, is_head=tracked in heads) if blamed else Event.GIVEN_BACK,
            )
        self._sessions.forget_retired(message.session)
        self._sessions.resumed(LaunchPurpose.PUSH, message.session, has_ended=True)

    @receives_from_apps(m.Holding)
    def holding(self, message: m.Holding, stamped: m.Stamped) -> None:
        """A session is still at work on payloads that an earlier agent had given to it: no other is to begin with them."""
        self._background_sessions.hold(stamped.app, stamped.session, message.sequences)
        running = self._apps[stamped.app].running
        if running is not None and running.phase is Phase.LAUNCHING and running.sequence in message.sequences:
            running.session, running.request = self._background_sessions.session_for(running), 0
            self._steps.step(running, Event.HELD)

    @receives_from_apps(m.Resumed)
    def resumed(self, _message: m.Resumed, stamped: m.Stamped) -> None:
        """A session of before has told all."""
        self._sessions.resumed(LaunchPurpose.PUSH, stamped.session)

    @receives(m.AppReturned)
    def returned(self, message: m.AppReturned, _: bytes) -> None:
        """The processes of before are back, or are not to come: what waits for the app's background may be handed on and begun."""
        self._subscribers.report_ready(message.app)
        self._steps.next_turn(message.app)

    @receives_from_apps(m.Handled)
    def handled(self, message: m.Handled, stamped: m.Stamped) -> None:
        """The app has handled some; handled late is handled all the same."""
        if self._payloads.end_handled(stamped.session, message.sequences, message.attempts):
            self._reports.report(stamped.frame)
            self._background_sessions.forget(message.sequences)
        else:
            for sequence, attempt in zip(message.sequences, message.attempts, strict=True):
                self._handled(sequence, attempt, stamped)

    def _handled(self, sequence: int, attempt: int, stamped: m.Stamped) -> None:
        tracked = self._payloads.get(sequence)
        if tracked is None:
            self._reports.report(encode(m.HandledLate(stamped.app, (sequence,))))
        elif tracked.app != stamped.app or (attempt == tracked.attempt and not self._has(stamped.session, tracked)):
            self._disbelieve(stamped)
        elif attempt == tracked.attempt:
            self._lives.came_back(tracked, Outcome.HANDLED)
        else:
            self._lives.handled_before(tracked)

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
                self._lives.came_back(tracked, outcome)

    @receives(m.ActivatorChanged)
    def activator_changed(self, message: m.ActivatorChanged, _: bytes) -> None:
        """Note who does an app's background work; what waits for work that has no trigger any more goes back to the inbox."""
        background = self._apps[message.app]
        background.triggered = message.triggered
        background.session = "" if self._sessions.is_retired(message.session) else message.session
        background.command = self._launches.usable(message.command)
        background.conditions = message.conditions
        background.cancel_on_condition_loss = message.cancel_on_condition_loss
        if message.aborted and background.running is not None:
            self._lives.cancel(background.running, CancellationReason.ABORT)
        if not message.triggered:
            self._lives.give_back_queued(message.app)
        self._subscribers.report_ready(message.app)
        if background.running is not None and background.running.phase is Phase.LAUNCHING and background.session:
            self._lives.give_launched(background.running, background.session)
        self._steps.next_turn(message.app)

    # From the shell

    @receives(m.ShellOutcomes)
    def shell_outcomes(self, message: m.ShellOutcomes, _: bytes) -> None:
        """The shell is through with some."""
        for row in map(m.ShellOutcomeRow._make, message.rows):
            self._lives.shown(row)

    # From the launcher

    @receives(m.Claimed)
    def claimed(self, message: m.Claimed, _: bytes) -> None:
        """The process that was launched for a payload asks for it."""
        tracked = self._launched(message)
        if tracked is None or not self._lives.give_launched(tracked, message.session, message.request):
            text = "the payload that has launched this process is no longer waiting: it was handled elsewhere, or has expired"
            failed = m.Failed(message.request, "TimedOut", text, HResult.ERROR_TIMEOUT)
            self._sessions.send(message.session, failed)

    @receives(m.LaunchEnded)
    def launch_ended(self, message: m.LaunchEnded, _: bytes) -> None:
        """The process could not be started, or has ended before it took its payload."""
        tracked = self._launched(message)
        if tracked is None:  # a handler has taken it, in that process or in another
            return
        event = self._background_sessions.launch_failed(tracked, message.detail, was_killed=message.was_killed)
        if event is Event.LAUNCH_FAILED:
            logger.warning("%s was not woken: %s", harmless(message.app), message.detail)
        self._steps.step(tracked, event)

    def _launched(self, message: m.Claimed | m.LaunchEnded) -> Tracked | None:
        """Return the payload for which that process was launched, if that launch is still waited for."""
        tracked = self._payloads.get(message.sequence)
        if tracked is None or tracked.phase is not Phase.LAUNCHING:
            return None
        return tracked if (tracked.app, tracked.attempt) == (message.app, message.attempt) else None

    # From the kernel

    @receives(m.AlarmRang)
    def ring(self, _message: m.AlarmRang, _: bytes) -> None:
        """Cancel what has used up its budget, and cut off what has used up its grace."""
        self._lives.ring()

    @receives(m.ActorRestarted)
    def peer_restarted(self, message: m.ActorRestarted, _: bytes) -> None:
        """A router that begins anew has to learn who takes what; a shell that does has forgotten what it was to show."""
        if message.actor == "payload_router":
            self._subscribers.report_all()
        elif message.actor == "shell":
            self._lives.shell_began_anew()

    @receives(m.Fence)
    def fence(self, message: m.Fence, _: bytes) -> None:
        """The router begins anew with what it hands on."""
        self._lives.clear()
        self._open = True
        self._down.send_to_all(message)

    def flush(self) -> Iterable[Wait]:
        """Outcomes go up before payloads go down: room is made before it is taken."""
        self._reports.perform(self._router)
        while missed := self._down.perform():
            for each in missed:
                self._lives.miss(each)
        self._lives.show_all()
        self._reports.perform(self._router)
        self._launches.perform()
        self._alarm.set(self._steps.next_deadline())
        return ()
