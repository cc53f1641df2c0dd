"""The shell: shows toasts, keeps tiles and badges, and sees to it that apps get the clicks on their toasts.

It is the sixth actor, and stands beside the path of payloads: what is to be shown comes from the supervisor, as to a
session, and the shell's word on it is its end. It never waits for a desktop; see ``tocsin.actors.desktop_calls``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import islice

from attrs import frozen

from tocsin.actors.activations import Activations
from tocsin.actors.actor import Actor, Wait, receives, receives_from_apps
from tocsin.actors.click_effects import OpenLink
from tocsin.actors.desktop_calls import CallEnd, DesktopCalls
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.actors.shell_answers import ShellAnswers
from tocsin.actors.tile_board import TileBoard
from tocsin.actors.toast_board import FULL, ToastBoard
from tocsin.mailbox import Mailbox
from tocsin.persistence.shell_store import REMEMBERED_SHOWN, ShellStore
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.errors import PushError, UnreadableContent
from tocsin.protocol.platform.conditions import AppSettings
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.toast_label import ToastLabel, ToastMatch
from tocsin.protocol.toasts.read_toast import read_toast
from tocsin.protocol.toasts.render_popup import is_urgent, no_picture
from tocsin.protocol.toasts.shell_toast import Asker, PayloadAsker, SessionAsker, ShellToast, ToastWishes
from tocsin.protocol.toasts.toast_rules import check_allowed, refusal
from tocsin.protocol.values import DropReason, NotificationType, Outcome
from tocsin.shell.desktop import Desktop


@frozen
class ShellParts:
    """What a platform needs to have a shell; ``boot`` names this run of the system, or is empty."""

    store: ShellStore
    desktop: Desktop
    boot: str = ""
    picture: Callable[[str], str] = no_picture
    """Returns the path of a picture that may be shown, of its source."""
    opens_links: bool = False
    """Whether links of the web and of mail are for the desktop; else they activate their app."""


class Shell(Actor):
    """Owns what is shown, by app.

    :param calls: those of the desktop, whose tasks are not the shell's.
    :param launcher: where processes are started for clicks; None where none are.
    :param open_link: has the desktop open a link, as in ``Activations``; None where links activate their app.
    :param boot: names this run of the system, for toasts that do not outlive it.
    """

    name = "shell"

    def __init__(  # noqa: PLR0913  # what it stands before
        self,
        store: ShellStore,
        senses: Senses,
        supervisor: Mailbox,
        sessions: Sessions,
        *,
        calls: DesktopCalls,
        launcher: Mailbox | None = None,
        open_link: OpenLink | None = None,
        boot: str = "",
    ) -> None:
        super().__init__()
        self._store, self._clock, self._alarm = store, senses.clock, senses.alarm
        self._at_service, self._calls, self._sessions = senses.at_service, calls, sessions
        self._answers = ShellAnswers(store, supervisor, sessions)
        self._activations = Activations(senses.clock, store, sessions, launcher, open_link)
        self._toasts = ToastBoard(senses.clock, calls, self._answers, boot)
        self._tiles = TileBoard(senses.clock, self._answers)
        self._settings: defaultdict[str, AppSettings] = defaultdict(AppSettings)
        self._known: dict[str, None] = {}
        """The ids of payloads that were shown."""

    async def start(self) -> None:
        """Find what was shown before; what was on the screen is shown again."""
        state = await self._store.load()
        self._known = dict.fromkeys(state.shown)
        self._toasts.last_id = state.last_id
        self._tiles.restore(state)
        self._calls.begin_anew()
        self._toasts.restore(state.toasts)
        self._activations.restore(state.activations, state.commands)
        await self._perform_all()

    # From the supervisor

    @receives(m.Deliveries)
    def deliver(self, message: m.Deliveries, _: bytes) -> None:
        """Show payloads; one that was shown before is not shown anew."""
        for row in message.rows:
            self._take(message.app, row)

    def _take(self, app: str, row: PlainRow) -> None:
        sequence, id_, kind, body, attempt, expires, _, text, _ = row
        label = ToastLabel.read(text)
        if id_ in self._known:
            self._answers.answer_payload(sequence, attempt, Outcome.SHOWN)
            return
        refused = refusal(kind, self._toasts.host, self._settings[app])
        if refused is not None:
            self._answers.answer_payload(sequence, attempt, Outcome.SUPPRESSED, *refused)
            return
        try:
            if kind == NotificationType.TOAST and self._toasts.is_full and not label.tag and b"scenario" not in body:
                # One that waits for nothing and takes no other's place is not even read: thousands may come.
                self._answers.answer_payload(sequence, attempt, Outcome.DROPPED, DropReason.SHELL_FULL, FULL)
                return
            if kind == NotificationType.TOAST:
                quiet = label.suppress_popup
                wishes = ToastWishes(label.tag, label.group, self._on_this_clock(expires), suppress_display=quiet)
                self._show(app, body, wishes, PayloadAsker(sequence, attempt, id_), id_)
                return
            if kind == NotificationType.TILE:
                self._tiles.set_tile(app, "", label.tag, body, self._on_this_clock(expires))
            else:
                self._tiles.set_badge(app, body, self._on_this_clock(expires))
        except UnreadableContent as wrong:
            self._answers.answer_payload(sequence, attempt, Outcome.DROPPED, DropReason.UNREADABLE, str(wrong))
            return
        self._answers.answer_payload(sequence, attempt, Outcome.SHOWN)

    @receives(m.ToastsWithdrawn)
    def withdraw(self, message: m.ToastsWithdrawn, _: bytes) -> None:
        """A sender has deleted toasts; the app's own are not its."""
        match = ToastMatch(message.tag, message.group)
        for toast in self._toasts.of_app(message.app):
            if toast.payload and match.fits(toast.wishes.tag, toast.wishes.group):
                self._toasts.remove(toast, DropReason.WITHDRAWN)

    def _on_this_clock(self, expires: float | None) -> float | None:
        """Return a moment of the service's time in that of this machine."""
        return None if expires is None else self._at_service.on_our_wall(expires)

    def _show(self, app: str, body: bytes, wishes: ToastWishes, asker: Asker, payload: str = "") -> None:
        """Show a toast.

        :raises UnreadableContent: it is none.
        """
        urgent = is_urgent(read_toast(body))
        number = self._toasts.last_id = self._toasts.last_id + 1
        toast = ShellToast(number, number, app, body, wishes, payload, urgent)
        toast.askers.append(asker)
        self._toasts.show(toast)

    # From apps

    @receives_from_apps(m.ShowToast)
    def show(self, message: m.ShowToast, stamped: m.Stamped) -> None:
        """Show a toast of the app itself."""
        asker = SessionAsker(stamped.session, message.request)
        refused = refusal(NotificationType.TOAST, self._toasts.host, self._settings[stamped.app])
        if refused is not None:
            self._answers.reply(stamped.session, m.ToastShown(message.request, 0, Outcome.SUPPRESSED, refused[1]))
            return
        wishes = ToastWishes(
            message.tag,
            message.group,
            None if message.expires is None else self._clock.wall() + message.expires,
            message.suppress_display,
            message.expires_on_reboot,
            message.sequence_number,
            {pair[0]: pair[1] for pair in message.data},
        )
        self._perform_for(stamped, message.request, lambda: self._show(stamped.app, message.content, wishes, asker))

    @receives_from_apps(m.UpdateToast)
    def update(self, message: m.UpdateToast, stamped: m.Stamped) -> None:
        """Change values that are bound to a toast."""
        toast = self._toasts.at(stamped.app, message.tag, message.group)
        if toast is not None:
            data = {pair[0]: pair[1] for pair in message.data}
            self._toasts.update(toast, data, message.sequence_number)
        self._answers.reply(stamped.session, m.ToastUpdated(message.request, toast is not None))

    @receives_from_apps(m.RemoveToasts)
    def remove(self, message: m.RemoveToasts, stamped: m.Stamped) -> None:
        """Remove toasts of the app; that there are none is no error."""
        match = ToastMatch(message.tag, message.group)
        for toast in self._toasts.of_app(stamped.app):
            if message.id in {None, toast.id} and match.fits(toast.wishes.tag, toast.wishes.group):
                self._toasts.remove(toast)
        self._answers.reply(stamped.session, m.Done(message.request))

    @receives_from_apps(m.ListToasts)
    def list_toasts(self, message: m.ListToasts, stamped: m.Stamped) -> None:
        """List the toasts of the app that are kept."""
        rows = [
            m.ToastRow(each.id, each.wishes.tag, each.wishes.group, each.content, each.shown, each.wishes.expires)
            for each in self._toasts.of_app(stamped.app)
        ]
        self._answers.reply(stamped.session, m.ToastList(message.request, tuple(rows)))

    @receives_from_apps(m.SetBadge)
    def set_badge(self, message: m.SetBadge, stamped: m.Stamped) -> None:
        """Set or clear the badge of the app."""

        def change() -> None:
            if message.content:
                if self._may_set(NotificationType.BADGE, stamped.app):
                    self._tiles.set_badge(stamped.app, message.content)
            else:
                self._tiles.clear_badge(stamped.app)
            self._answers.reply(stamped.session, m.Done(message.request))

        self._perform_for(stamped, message.request, change)

    @receives_from_apps(m.SetTile)
    def set_tile(self, message: m.SetTile, stamped: m.Stamped) -> None:
        """Set or clear a tile of the app."""

        def change() -> None:
            if message.content:
                if self._may_set(NotificationType.TILE, stamped.app):
                    self._tiles.set_tile(stamped.app, message.tile, message.tag, message.content)
            else:
                self._tiles.clear_tile(stamped.app, message.tile)
            self._answers.reply(stamped.session, m.Done(message.request))

        self._perform_for(stamped, message.request, change)

    @receives_from_apps(m.AskTiles)
    def ask_tiles(self, message: m.AskTiles, stamped: m.Stamped) -> None:
        """List what the badge and the tiles of the app show."""
        self._answers.reply(stamped.session, self._tiles.listed(stamped.app, message.request))

    def _may_set(self, kind: NotificationType, app: str) -> bool:
        """Tell whether an app may set a tile or a badge itself; what is switched off is not set, which is no error.

        :raises NotShown: group policy forbids what is of this type.
        """
        check_allowed(kind, self._toasts.host)
        return refusal(kind, self._toasts.host, self._settings[app]) is None

    def _perform_for(self, stamped: m.Stamped, request: int, change: Callable[[], None]) -> None:
        """Do what a session asks for, or tell it why not."""
        try:
            change()
        except PushError as refused:
            failed = m.Failed(request, type(refused).__name__, str(refused), refused.hresult)
            self._answers.reply(stamped.session, failed)

    # Clicks

    @receives_from_apps(m.TakeActivations)
    def take_activations(self, message: m.TakeActivations, stamped: m.Stamped) -> None:
        """A session takes the clicks of its app."""
        self._activations.take(stamped.app, stamped.session, message)

    @receives_from_apps(m.LeaveActivations, m.LeaveSession)
    def leave_activations(self, _message: m.Message, stamped: m.Stamped) -> None:
        """It takes no more of them."""
        self._activations.leave(stamped.app, stamped.session)

    @receives_from_apps(m.Resumed)
    def resumed(self, _message: m.Resumed, stamped: m.Stamped) -> None:
        """A session of before has said whether it takes clicks."""
        self._sessions.resumed(LaunchPurpose.TOAST, stamped.session)

    @receives(m.AppReturned)
    def returned(self, message: m.AppReturned, _: bytes) -> None:
        """The processes of before are back, or are not to come."""
        self._activations.returned(message.app)

    @receives_from_apps(m.ActivationDone)
    def activation_done(self, message: m.ActivationDone, stamped: m.Stamped) -> None:
        """The app is through with a click."""
        self._activations.done(stamped.app, message)

    @receives(m.ActivationDone)
    def link_opened(self, message: m.ActivationDone, _: bytes) -> None:
        """A link was opened, or could not be."""
        self._activations.opened(message)

    @receives(m.Claimed)
    def claimed(self, message: m.Claimed, _: bytes) -> None:
        """The process that was launched for a click asks for it."""
        self._activations.claimed(message)

    @receives(m.LaunchEnded)
    def launch_ended(self, message: m.LaunchEnded, _: bytes) -> None:
        """The process could not be started, or has ended before it came for its click."""
        self._activations.launch_ended(message)

    @receives(m.SessionEnded)
    def session_ended(self, message: m.SessionEnded, _: bytes) -> None:
        """A session is gone: the clicks that it had come back."""
        self._activations.session_ended(message.session)

    # From the desktop

    @receives(m.DesktopStirred)
    def stirred(self, _message: m.DesktopStirred, _: bytes) -> None:
        """Take what the desktop has answered and said."""
        for each in self._calls.take():
            if isinstance(each, CallEnd):
                self._toasts.ended(each)
            else:
                self._toasts.hear(each)

    # About the machine and the user

    @receives(m.HostChanged)
    def host_changed(self, message: m.HostChanged, _: bytes) -> None:
        """Go by the new state of the machine, and by the user's quiet hours."""
        self._toasts.host_changed(message.state)

    @receives(m.AppSettingsChanged)
    def settings_changed(self, message: m.AppSettingsChanged, _: bytes) -> None:
        """Go by what the user has decided for an app."""
        self._settings[message.app] = message.settings

    @receives(m.ForgetApp)
    def forget(self, message: m.ForgetApp, _: bytes) -> None:
        """An app was removed: nothing of it is shown or kept any more."""
        self._toasts.forget(message.app)
        self._tiles.forget(message.app)
        self._activations.forget(message.app)
        self._answers.forget(message.app)
        self._settings.pop(message.app, None)

    # From the kernel

    @receives(m.Quiesce)
    def quiesce(self, _message: m.Quiesce, _: bytes) -> None:
        """Start no process any more."""
        self._activations.quiesce()

    @receives(m.AlarmRang)
    def ring(self, _message: m.AlarmRang, _: bytes) -> None:
        """Take down what has been on the screen for long enough, and look after the clicks."""
        self._toasts.ring()
        self._activations.ring()

    def _note_shown(self, payloads: Iterable[str]) -> None:
        """Know payloads again that were shown, as many of the last as the store does."""
        self._known |= dict.fromkeys(payloads)
        for payload in list(islice(self._known, max(0, len(self._known) - REMEMBERED_SHOWN))):
            del self._known[payload]

    def flush(self) -> Iterable[Wait]:
        """Perform the effects of the batch, which begin with what is to be written."""
        return (self._perform_all,)

    async def _perform_all(self) -> None:
        """Write, then answer; ask the desktop for what has its turn, and hand out clicks that are stored."""
        self._toasts.give_turns()
        self._note_shown(self._answers.shown)
        await self._answers.perform(self._toasts.last_id)
        for click in self._toasts.take_clicks():
            self._activations.add(click)
        await self._activations.perform()
        moments = [self._toasts.next_deadline(), self._activations.next_deadline()]
        self._alarm.set(min((moment for moment in moments if moment is not None), default=None))
