"""What becomes of clicks on toasts, as the table of ``tocsin.protocol.toasts.activation_life`` has it: a part of the shell.

The shell hears of what happens, and has each click stored before it is added here. Steps are taken at once; what they ask for
is performed at the end of the shell's batch (``tocsin.actors.click_effects``).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from tocsin.actors.click_effects import ClickEffects, OpenLink
from tocsin.actors.clock import LoopClock
from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.shell_store import ClickStore, StoredActivation
from tocsin.protocol import messages as m
from tocsin.protocol.hresult import HResult
from tocsin.protocol.kernel import machine
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.text import MAX_DETAIL, harmless
from tocsin.protocol.toasts.activation_life import (
    LAUNCH_BUDGET,
    TABLE,
    Click,
    Effect,
    Event,
    Phase,
    event_of_departure,
    time_left,
)
from tocsin.protocol.toasts.click_turns import ARRIVAL, RETURN, ClickTurns
from tocsin.protocol.toasts.links import is_for_desktop

logger = logging.getLogger(__name__)

_NOT_WAITING = (
    "the click that has launched this process is no longer waiting: another process has it, or it has expired"
)


class Activations:
    """Steps clicks, and performs what the table asks for.

    :param launcher: where launches are ordered; None where this platform starts no processes.
    :param open_link: has the desktop open a link; how that went is told to :meth:`opened`. None where there is no desktop: links
        activate their app then.
    """

    def __init__(
        self,
        clock: LoopClock,
        store: ClickStore,
        sessions: Sessions,
        launcher: Mailbox | None = None,
        open_link: OpenLink | None = None,
    ) -> None:
        self._clock, self._sessions = clock, sessions
        self._launches, self._opens_links = launcher is not None, open_link is not None
        self._effects = ClickEffects(store, sessions, launcher, open_link)
        self._apps = defaultdict[str, ClickTurns](ClickTurns)
        self._is_quiet = False
        self._perform: dict[Effect, Callable[[Click], None]] = {
            Effect.OFFER: self._hand_out,
            Effect.LAUNCH: self._launch,
            Effect.START_BUDGET: self._start_budget,
            Effect.STOP_LAUNCH: self._effects.stop_launch,
            Effect.OPEN: self._hand_out,
            Effect.SETTLE: self._settle,
            Effect.REPORT: self._report,
        }

    # From the shell

    def restore(self, clicks: Iterable[StoredActivation], commands: Mapping[str, bytes]) -> None:
        """Go on with what is in the store; sessions have ``RETURN`` to say that they take clicks before a process is started."""
        for app, command in commands.items():
            self._apps[app].command = self._usable(command)
        for stored in clicks:
            self._apps[stored.app].expect("", self._clock.monotonic() + RETURN)
            self.add(stored)

    def add(self, stored: StoredActivation) -> None:
        """Take a click that is in the store already."""
        expires = self._clock.monotonic() + time_left(stored.at, self._clock.wall())
        inputs = tuple(m.TextPair(*each) for each in stored.inputs)
        click = Click(
            stored.number,
            stored.app,
            stored.toast,
            stored.tag,
            stored.group,
            stored.kind,
            stored.argument,
            inputs,
            stored.at,
            stored.attempt,
            expires,
        )
        self._apps[click.app].clicks[click.number] = click
        if self._opens_links and is_for_desktop(click.kind, click.argument):
            self._step(click, Event.OPEN)
        self._next_turns(click.app)

    def forget(self, app: str) -> None:
        """Drop what there is of an app that was removed."""
        turns = self._apps[app]
        turns.command = b""
        self._effects.keep_command(app, b"")
        turns.takers.clear()
        for click in list(turns.clicks.values()):
            self._step(click, Event.FORGOTTEN)
        del self._apps[app]

    def quiesce(self) -> None:
        """Hand out nothing more, and start no process: the platform is about to stop, or the user logs off."""
        self._is_quiet = True

    def opened(self, message: m.ActivationDone) -> None:
        """A link was opened, or could not be: what opens links says so itself, and no session does."""
        for turns in self._apps.values():
            click = turns.clicks.get(message.number)
            if click is not None and click.phase is Phase.OPENING:
                click.detail = message.failure
                self._step(click, Event.OPEN_FAILED if message.failure else Event.DONE)
                return

    def ring(self) -> None:
        """Stop launches that take too long, let clicks go that have waited too long, and begin with what was held up."""
        for app, turns in list(self._apps.items()):
            while (click := turns.overdue(self._clock.monotonic())) is not None:
                click.detail = f"the process that was launched has not asked for it within {LAUNCH_BUDGET:g} s"
                self._step(click, Event.LAUNCH_TIMED_OUT)
            self._next_turns(app)

    def next_deadline(self) -> float | None:
        """Return when :meth:`ring` is to be called, on the loop's clock."""
        if self._is_quiet:
            return None
        now = self._clock.monotonic()
        moments = [turns.next_moment(now) for turns in self._apps.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    # From sessions

    def take(self, app: str, session: str, message: m.TakeActivations) -> None:
        """A session takes the clicks of its app from now on."""
        turns = self._apps[app]
        command = self._usable(message.command)
        if command and command != turns.command:
            turns.command = command
            self._effects.keep_command(app, command)
        self._effects.reply(session, m.Done(message.request))
        if session in self._sessions:  # else it has left meanwhile
            turns.take(session)
        self._next_turns(app)

    def leave(self, app: str, session: str) -> None:
        """It takes no more of them; what it has it goes on with."""
        self._apps[app].leave(session)
        self._next_turns(app)

    def returned(self, app: str) -> None:
        """The processes of before are back, or are not to come: one may be started."""
        self._next_turns(app)

    def session_ended(self, session: str) -> None:
        """A session is gone: the clicks that it had come back."""
        for app, turns in list(self._apps.items()):
            for click in turns.drop_session(session):
                self._depart(click)
            self._next_turns(app)
        self._sessions.resumed(LaunchPurpose.TOAST, session, has_ended=True)

    def done(self, app: str, message: m.ActivationDone) -> None:
        """The app is through with a click, whichever time it was handed out, and whether or not its handler has failed."""
        click = self._apps[app].clicks.get(message.number)
        if click is not None and (click.phase, Event.DONE) in TABLE:
            self._step(click, Event.DONE)

    # From the launcher

    def claimed(self, message: m.Claimed) -> None:
        """The process that was launched for a click asks for it."""
        click = self._launched(message)
        if click is None:
            failed = m.Failed(message.request, "TimedOut", _NOT_WAITING, HResult.ERROR_TIMEOUT)
            self._effects.reply(message.session, failed)
            return
        self._give(click, message.session, Event.ARRIVED, message.request)
        self._next_turns(click.app)

    def launch_ended(self, message: m.LaunchEnded) -> None:
        """The process could not be started, or has ended before it came for its click."""
        click = self._launched(message)
        if click is not None:
            if message.was_killed:
                self._depart(click)
                self._next_turns(click.app)
            else:
                click.detail = message.detail
                self._step(click, Event.LAUNCH_FAILED)

    def _launched(self, message: m.Claimed | m.LaunchEnded) -> Click | None:
        """Return the click that a process was launched for, if that is still waited for."""
        click = self._apps[message.app].clicks.get(message.sequence)
        is_waited_for = click is not None and (click.phase, click.attempt + 1) == (Phase.LAUNCHING, message.attempt)
        return click if is_waited_for else None

    # Steps

    def _usable(self, command: bytes) -> bytes:
        return command if self._launches else b""

    def _next_turns(self, app: str) -> None:
        """Let clicks go on whose turn it is."""
        turns = self._apps[app]
        while not self._is_quiet:
            taker = turns.taker(self._sessions.is_retired)
            launched_for = self._sessions.click_of(taker)
            awaited = self._sessions.awaits(LaunchPurpose.TOAST, app)
            move = turns.next_move(self._clock.monotonic(), taker, launched_for, awaited=awaited)
            if move is None:
                return
            click, event = move
            if event in {Event.TAKEN, Event.ARRIVED}:
                self._give(click, taker, event)
            else:
                click.detail = _REASONS.get(event, "")
                self._step(click, event)

    def _give(self, click: Click, session: str, event: Event, request: int = 0) -> None:
        """Let a session have a click; ``request`` is the claim that it answers."""
        if event is Event.ARRIVED:
            self._apps[click.app].expect(session, self._clock.monotonic() + ARRIVAL)
        click.session, click.request = session, request
        self._step(click, event)

    def _depart(self, click: Click) -> None:
        """Take a click back from a session that has gone, or was not there, or from a process that was killed on its way."""
        click.deaths += 1
        click.detail = f"{click.deaths} processes that had it, or were started for it, have ended without a word"
        self._step(click, event_of_departure(click.deaths))

    def _step(self, click: Click, event: Event) -> None:
        click.phase, effects = machine.step(TABLE, click.phase, event)
        click.deadline = 0.0
        for effect in effects:
            self._perform[effect](click)

    # Effects

    def _hand_out(self, click: Click) -> None:
        self._effects.hand_out(click, self._apps[click.app].command)

    def _launch(self, click: Click) -> None:
        self._effects.launch(click, self._apps[click.app].command)

    def _start_budget(self, click: Click) -> None:
        click.deadline = self._clock.monotonic() + LAUNCH_BUDGET

    def _settle(self, click: Click) -> None:
        del self._apps[click.app].clicks[click.number]
        self._effects.end(click)
        self._next_turns(click.app)

    def _report(self, click: Click) -> None:
        detail = harmless(click.detail, MAX_DETAIL)
        logger.warning("a click on a toast of %s has come to nothing: %s", harmless(click.app), detail)

    # At the end of the batch

    async def perform(self) -> None:
        """Write what is to be kept, then tell sessions, what opens links, and the launcher."""
        await self._effects.write()
        while missed := self._effects.send():
            for click in missed:
                self._apps[click.app].leave(click.session)
                self._depart(click)
                self._next_turns(click.app)
            await self._effects.write()
        self._effects.order()


_REASONS = {
    Event.EXPIRED: "no process of the app was there to take it within an hour, and none could be started",
    Event.OVERFLOW: "too many clicks wait for the app",
}
