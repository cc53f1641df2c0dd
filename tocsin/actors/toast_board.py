"""The toasts of all apps, as the table of ``tocsin.protocol.toasts.toast_life`` has it: a part of the shell.

The shell hears of what happens; here each toast takes its step. What goes to the store and to those who have asked is noted
for the end of the batch, in that order; the desktop is asked at once, in tasks that are not the shell's.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable

from attrs import evolve

from tocsin.actors.clock import LoopClock
from tocsin.actors.desktop_calls import CallEnd, DesktopCalls
from tocsin.actors.shell_answers import ShellAnswers
from tocsin.actors.stored_toasts import stored_of, toast_of_store
from tocsin.persistence.shell_store import StoredActivation, StoredToast
from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.kernel import machine
from tocsin.protocol.messages import ToastDismissalReason
from tocsin.protocol.platform.conditions import HostState
from tocsin.protocol.toasts.popup import Handle
from tocsin.protocol.toasts.read_toast import read_toast
from tocsin.protocol.toasts.render_popup import action_of, inputs_of, popup_of
from tocsin.protocol.toasts.shell_toast import ShellToast
from tocsin.protocol.toasts.toast_events import (
    event_of_arrival,
    event_of_closing,
    event_of_failure,
    outcome_of_failure,
    phase_after_restart,
    seconds_on_screen,
)
from tocsin.protocol.toasts.toast_life import AWAY, KEPT_OF_APP, TABLE, Effect, Event, Phase
from tocsin.protocol.toasts.toast_rules import is_over
from tocsin.protocol.toasts.toast_screen import ToastScreen
from tocsin.protocol.values import DropReason, Outcome
from tocsin.shell.desktop import Closed, ClosedBy, DaemonChanged, DesktopAbsent, DesktopEvent, DesktopFull

FULL = "too many toasts wait for the desktop"

_LEAVING = frozenset({Phase.RECALLED, Phase.CLICKED})
"""Where it is no toast any more, but for the popup that may yet come."""


class ToastBoard:
    """Steps toasts, and performs what the table asks for.

    :param answers: takes what is to be stored, and what those who have asked are told.
    :param boot: names this run of the system.
    """

    def __init__(
        self,
        clock: LoopClock,
        calls: DesktopCalls,
        answers: ShellAnswers,
        boot: str,
    ) -> None:
        self._clock, self._calls, self._answers, self._boot = clock, calls, answers, boot
        self._clicks: list[StoredActivation] = []
        self.host = HostState()
        self.last_id = 0
        self._toasts: dict[int, ShellToast] = {}
        """By their slots: a toast that takes the place of another has its slot, and a number of its own."""
        self._places: dict[tuple[str, str, str], ShellToast] = {}
        self._handles: dict[Handle, ShellToast] = {}
        self._screen = ToastScreen()
        self._kept: defaultdict[str, OrderedDict[int, ShellToast]] = defaultdict(OrderedDict)
        self._away_until: float | None = None
        self._perform: dict[Effect, Callable[[ShellToast], None]] = {
            Effect.SEND: self._send,
            Effect.CLOSE: self._close,
            Effect.MAKE_ROOM: self._make_room,
            Effect.START_CLOCK: self._start_clock,
            Effect.FORGET_HANDLE: self._forget_handle,
            Effect.ANSWER_SHOWN: self._answer_shown,
            Effect.ANSWER_KEPT: lambda toast: self._answer(toast, Outcome.SUPPRESSED),
            Effect.ANSWER_FAILED: self._answer_failed,
            Effect.TELL_DISMISSED: lambda toast: answers.dismissed(toast, toast.dismissal),
            Effect.ACTIVATE: self._activate,
            Effect.KEEP: self._keep,
            Effect.DROP: lambda toast: answers.drop(toast.id),
        }

    # What is wanted

    def restore(self, stored: Iterable[StoredToast]) -> None:
        """Go on with what is in the store: what was on the screen is shown again, without a sound."""
        now = self._clock.wall()
        for each in stored:
            try:
                toast = toast_of_store(each)
            except UnreadableContent:
                self._answers.drop(each.id)
                continue
            toast.phase = phase_after_restart(
                is_of_other_boot=bool(each.boot) and each.boot != self._boot,
                is_held=each.is_held,
                until=each.until,
                expires=each.expires,
                now=now,
            )
            if toast.phase is Phase.GONE:
                self._answers.drop(each.id)
                continue
            toast.is_quiet = toast.phase is Phase.WAITING
            self._admit(toast)
            if toast.phase is not Phase.WAITING:
                self._kept[toast.app][toast.slot] = toast

    @property
    def is_full(self) -> bool:
        """Whether as many wait for the desktop as may: a new one that is not urgent is not shown."""
        return self._screen.turns.is_full(urgent=False)

    def show(self, toast: ShellToast) -> None:
        """Show a new toast, in the place of the one with its tag and group, if there is one."""
        place = toast.place
        other = None if place is None else self._places.get(place)
        if other is not None:
            self._replace(other, toast)
            toast = other
            self._step(toast, Event.SHOW)
        elif self._screen.turns.is_full(urgent=toast.is_urgent):
            toast.reason, toast.detail = DropReason.SHELL_FULL, FULL
            self._answer(toast, Outcome.DROPPED)
            return
        else:
            self._admit(toast)
        quiet = self.host.quiet_hours
        kept_back = event_of_arrival(toast.wishes, is_urgent=toast.is_urgent, quiet_hours=quiet)
        if toast.phase is Phase.WAITING and kept_back is not None:
            event, toast.reason, toast.detail = kept_back
            self._step(toast, event)

    def update(self, toast: ShellToast, data: dict[str, str], sequence_number: int) -> None:
        """Change values that are bound to a toast; an update that is older than the last one changes nothing."""
        if sequence_number and sequence_number < toast.wishes.sequence_number:
            return
        number = sequence_number or toast.wishes.sequence_number
        toast.wishes = evolve(toast.wishes, data={**toast.wishes.data, **data}, sequence_number=number)
        if toast.phase is Phase.KEPT or toast.phase is Phase.HELD:
            self._keep(toast)  # it does not come back to the screen for that
        else:
            toast.is_quiet = True
            self._step(toast, Event.SHOW)

    def remove(self, toast: ShellToast, reason: DropReason | None = None) -> None:
        """Take a toast down, and keep it no more."""
        toast.dismissal = ToastDismissalReason.APPLICATION_HIDDEN
        toast.reason, toast.detail = reason, "it was removed before it was shown"
        self._step(toast, Event.REMOVED)

    def of_app(self, app: str) -> list[ShellToast]:
        """Return the toasts of an app that have not expired, the oldest first."""
        now = self._clock.wall()
        found = [each for each in self._toasts.values() if each.app == app and each.phase not in _LEAVING]
        return sorted((each for each in found if not is_over(each.wishes.expires, now)), key=lambda each: each.id)

    def at(self, app: str, tag: str, group: str) -> ShellToast | None:
        """Return the toast of an app with a tag and a group; None where there is none."""
        return next((each for each in self.of_app(app) if each.place == (app, tag, group)), None)

    def host_changed(self, host: HostState) -> None:
        """Hold back what is not urgent from now on, or show what was held back."""
        self.host = host
        if not host.quiet_hours:
            for toast in [each for each in self._toasts.values() if each.phase is Phase.HELD]:
                self._step(toast, Event.SHOW)

    def forget(self, app: str) -> None:
        """Take down what there is of an app that was removed."""
        for toast in [each for each in self._toasts.values() if each.app == app]:
            if (toast.phase, Event.REMOVED) in TABLE:
                self.remove(toast)

    # What the desktop does

    def ended(self, end: CallEnd) -> None:
        """A call has ended: the desktop has the popup, or it says why not."""
        toast = self._toasts[end.toast]
        self._screen.in_flight -= 1
        if end.handle is not None:
            if toast.handle is not None and toast.handle != end.handle:
                self._handles.pop(toast.handle, None)
            toast.handle, self._handles[end.handle] = end.handle, toast
            toast.seen = toast.asked
            self._step(toast, Event.SENT)
        else:
            reason, again = _reason_of(end.failure), toast.is_second_try
            event = event_of_failure(toast.phase, reason, is_second_try=again, is_answered=not toast.askers)
            if event is Event.FULL:
                toast.is_second_try = True
            elif event is Event.FAILED:
                toast.reason, toast.detail = reason, str(end.failure)
            self._step(toast, event)

    def hear(self, event: DesktopEvent) -> None:
        """The desktop has said something; of popups that are not ours it may say what it likes."""
        if isinstance(event, DaemonChanged):
            self._daemon_changed(event)
            return
        toast = self._handles.get(event.handle)
        if toast is None:
            return
        if isinstance(event, Closed):
            self._forget_handle(toast)
            by_itself = event.by is ClosedBy.EXPIRED
            toast.dismissal = ToastDismissalReason.TIMED_OUT if by_itself else ToastDismissalReason.USER_CANCELED
            happened = event_of_closing(by_itself=by_itself, is_awaited=bool(toast.askers))
        else:
            toast.key, toast.inputs, happened = event.key, event.inputs, Event.PRESSED
            if action_of(read_toast(toast.seen), event.key).system is not None:  # there is nothing to do for the app
                self._calls.close(event.handle)
                toast.dismissal, happened = ToastDismissalReason.USER_CANCELED, Event.DISMISSED
        if (toast.phase, happened) in TABLE:  # else it speaks of what was there before
            self._step(toast, happened)

    def _daemon_changed(self, event: DaemonChanged) -> None:
        self._away_until = None if event.daemon else self._clock.monotonic() + AWAY
        for toast in list(self._toasts.values()):
            is_void = toast.handle is not None and toast.handle.daemon != event.daemon
            if is_void or not event.daemon:
                toast.is_quiet = toast.is_quiet or toast.phase is Phase.ON_SCREEN
                self._step(toast, Event.DAEMON_CHANGED)

    # Time

    def ring(self) -> None:
        """Take down what has been on the screen for long enough."""
        now = self._clock.monotonic()
        if self._away_until is not None and now >= self._away_until:
            self._away_until = None
        for toast in self._screen.overdue(now):
            self._take_down(toast)

    def next_deadline(self) -> float | None:
        """Return when :meth:`ring` is to be called, on the loop's clock."""
        moments = [self._screen.next_deadline(), self._away_until]
        return min((moment for moment in moments if moment is not None), default=None)

    def give_turns(self) -> None:
        """Ask the desktop for what waits, as far as there is room."""
        screen, alone = self._screen, self._calls.standing.one_at_a_time
        while self._away_until is None and not screen.is_busy and (toast := screen.turns.next()) is not None:
            if is_over(toast.wishes.expires, self._clock.wall()):
                toast.reason, toast.detail = DropReason.EXPIRED, ""
                self._step(toast, Event.FAILED)
            elif (others := screen.room_for(toast, self._clock.monotonic(), one_at_a_time=alone)) is not None:
                for each in others:
                    self._take_down(each)
                screen.turns.take(toast)
                toast.is_second_try = False
                self._step(toast, Event.TURN)
            else:
                return

    def _take_down(self, toast: ShellToast) -> None:
        toast.dismissal = ToastDismissalReason.TIMED_OUT
        self._step(toast, Event.TIME_OVER)

    def take_clicks(self) -> list[StoredActivation]:
        """Return the clicks that were stored with this batch: they may go to their apps now."""
        clicks, self._clicks = self._clicks, []
        return clicks

    # Steps

    def _admit(self, toast: ShellToast) -> None:
        self.last_id = max(self.last_id, toast.id)
        self._toasts[toast.slot] = toast
        if toast.place is not None:
            self._places[toast.place] = toast
        if toast.phase is Phase.WAITING:
            self._screen.turns.add(toast)

    def _replace(self, old: ShellToast, new: ShellToast) -> None:
        """Let a toast have the content, the wishes and the number of another."""
        self._answers.dismissed(old, ToastDismissalReason.REPLACED)
        self._answers.drop(old.id)
        self.last_id = max(self.last_id, new.id)
        old.id, old.content, old.wishes, old.payload = new.id, new.content, new.wishes, new.payload
        old.is_urgent, old.is_quiet = new.is_urgent, False
        old.askers += new.askers

    def _step(self, toast: ShellToast, event: Event) -> None:
        before = toast.phase
        toast.phase, effects = machine.step(TABLE, before, event)
        if before is Phase.ON_SCREEN and toast.phase is not before:
            self._screen.take_off(toast)
        self._kept[toast.app].pop(toast.slot, None)
        for effect in effects:
            self._perform[effect](toast)
        if toast.phase is Phase.WAITING:
            self._screen.turns.add(toast)
        elif toast.phase is Phase.KEPT or toast.phase is Phase.HELD:
            self._shelve(toast)
        elif toast.phase in {Phase.GONE, Phase.CLICKED}:
            self._part(toast)

    def _shelve(self, toast: ShellToast) -> None:
        """Keep a toast among those of its app; the oldest goes where they are too many."""
        kept = self._kept[toast.app]
        kept[toast.slot] = toast
        if is_over(toast.wishes.expires, self._clock.wall()):
            self._step(toast, Event.PRUNED)
        elif len(kept) > KEPT_OF_APP:
            self._step(next(iter(kept.values())), Event.PRUNED)

    def _part(self, toast: ShellToast) -> None:
        if toast.place is not None and self._places.get(toast.place) is toast:
            del self._places[toast.place]
        if toast.phase is Phase.GONE:
            self._toasts.pop(toast.slot, None)
            self._forget_handle(toast)

    # Effects

    def _send(self, toast: ShellToast) -> None:
        self._screen.in_flight += 1
        content = read_toast(toast.content)
        popup = popup_of(toast.app, content, toast.wishes.data, str)  # the source: its policy looks at the disk
        toast.asked = toast.content
        toast.seconds = popup.seconds or None
        self._calls.show(toast.slot, evolve(popup, silent=popup.silent or toast.is_quiet), toast.handle)

    def _make_room(self, _toast: ShellToast) -> None:
        for oldest in self._screen.oldest():
            self._take_down(oldest)

    def _close(self, toast: ShellToast) -> None:
        if toast.handle is not None:
            self._calls.close(toast.handle)

    def _start_clock(self, toast: ShellToast) -> None:
        now, wall = self._clock.monotonic(), self._clock.wall()
        seconds = None if self._calls.standing.keeps else toast.seconds
        seconds = seconds_on_screen(seconds, toast.wishes.expires, wall)
        toast.shown = wall
        toast.deadline = None if seconds is None else now + seconds
        toast.until = None if seconds is None else wall + seconds
        self._screen.put(toast)

    def _forget_handle(self, toast: ShellToast) -> None:
        if toast.handle is not None:
            self._handles.pop(toast.handle, None)
            toast.handle = None

    def _answer_shown(self, toast: ShellToast) -> None:
        toast.reason, toast.detail = None, ""
        self._answer(toast, Outcome.SHOWN)

    def _answer_failed(self, toast: ShellToast) -> None:
        self._answer(toast, outcome_of_failure(toast.reason))

    def _answer(self, toast: ShellToast, outcome: Outcome) -> None:
        self._answers.answer(toast, outcome)
        toast.askers = []

    def _activate(self, toast: ShellToast) -> None:
        """Store the click in the place of its toast."""
        content = read_toast(toast.seen)
        click = action_of(content, toast.key)
        self.last_id += 1
        stored = StoredActivation(
            self.last_id,
            toast.app,
            toast.id,
            toast.wishes.tag,
            toast.wishes.group,
            click.kind,
            click.argument,
            inputs_of(content, toast.inputs),
            self._clock.wall(),
        )
        self._answer_shown(toast)
        self._answers.drop(toast.id)
        self._answers.activate(stored)
        self._clicks.append(stored)

    def _keep(self, toast: ShellToast) -> None:
        self._answers.keep(stored_of(toast, self._boot, self._clock.wall()))


def _reason_of(failure: Exception | None) -> DropReason:
    if isinstance(failure, DesktopAbsent):
        return DropReason.NO_DESKTOP
    return DropReason.SHELL_FULL if isinstance(failure, DesktopFull) else DropReason.SHELL_FAILED
