"""The desktops of macOS and Windows, by the library desktop-notifier (6.2 or newer); written from its source, untried on both.

What is not to be had there: a choice among several and a second input (their defaults are taken), a bar for the progress
(it is said in per cent), news of a toast that has run out, and clicks on toasts of before a restart. On macOS it needs a
signed app bundle, and clicks come only where the main thread runs a CFRunLoop (rubicon-objc has an event loop that does).
"""

from __future__ import annotations

import secrets
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module, metadata
from itertools import count
from pathlib import Path
from typing import Any

import anyio
from attrs import define

from tocsin.protocol.text import encodable
from tocsin.protocol.toasts.popup import DEFAULT_KEY, Handle, Popup, PopupInput
from tocsin.shell.desktop import Closed, ClosedBy, DesktopAbsent, DesktopEvent, DesktopRefused, DesktopStanding, Pressed
from tocsin.tasks import running_loop

LIBRARY = "desktop-notifier"

PATIENCE = 5.0
"""Seconds that the desktop may take over one popup, the user's consent at the first one included."""


@define
class _Shown:
    """A popup that is there: what the library calls it, and what its buttons answer."""

    identifier: str
    popup: Popup


class NativeDesktop:
    """Shows toasts in the notification centre of macOS or Windows.

    A toast that takes another's place is a new one to the system: the earlier one is cleared first. The first input that
    takes a text becomes the reply field, and its button is the toast's first one; what other inputs hold are their defaults.

    :param app_name: whose notifications they are to the system; the app of each toast stands before its title.
    """

    def __init__(self, app_name: str = "Tocsin") -> None:
        self._app_name = app_name
        self._daemon = f"native-{secrets.token_hex(8)}"
        self._numbers = count(1)
        self._shown: dict[int, _Shown] = {}
        self._events: list[DesktopEvent] = []
        self._there = anyio.Event()
        self._loop: AbstractEventLoop | None = None
        self._library: Any = None
        self._notifier: Any = None
        self._standing = DesktopStanding()

    @property
    def standing(self) -> DesktopStanding:
        """What is known of it; nothing before the first toast."""
        return self._standing

    async def run(self) -> None:
        """Wait for the end: the library holds what it needs."""
        await anyio.sleep_forever()

    async def show(self, popup: Popup, replaces: Handle | None = None) -> Handle:
        """Show a toast.

        :raises DesktopAbsent: the library is missing, this is no app that may show any, or it took longer than ``PATIENCE``.
        :raises DesktopRefused: the user or the system does not let it; the library's log says more.
        """
        try:
            with anyio.fail_after(PATIENCE):
                await self._connect()
                return await self._send(popup, replaces)
        except TimeoutError:
            raise DesktopAbsent(f"the desktop has not answered within {PATIENCE:g} s") from None

    async def close(self, handle: Handle) -> None:
        """Take a toast down."""
        shown = self._shown.pop(handle.number, None) if handle.daemon == self._daemon else None
        if shown is not None:
            with anyio.move_on_after(PATIENCE):
                await self._notifier.clear(shown.identifier)

    async def events(self) -> list[DesktopEvent]:
        """Wait for clicks, and return those that are there."""
        while not self._events:
            await self._there.wait()
        events, self._events = self._events, []
        self._there = anyio.Event()
        return events

    async def _connect(self) -> None:
        """Find the library and the desktop, at the first toast or after a failure."""
        if self._notifier is not None:
            return
        self._loop = running_loop()
        try:
            self._library = import_module("desktop_notifier")
            version = metadata.version(LIBRARY)
        except ImportError as missing:
            sentence = f"toasts on this desktop need the package {LIBRARY}: pip install 'tocsin[desktop]'"
            self._standing = DesktopStanding(fault=sentence)
            raise DesktopAbsent(sentence) from missing
        try:
            notifier = self._library.DesktopNotifier(app_name=self._app_name, app_icon=None)
        except (OSError, RuntimeError) as failure:
            raise DesktopAbsent(encodable(f"the desktop's notifications cannot be reached: {failure}")) from failure
        able = await notifier.get_capabilities()
        if self._library.Capability.TITLE not in able:
            sentence = "this process may show no notifications: on macOS that takes a signed app bundle"
            self._standing = DesktopStanding(fault=sentence)
            raise DesktopAbsent(sentence)
        if not await notifier.request_authorisation():
            raise DesktopRefused("notifications of this program are switched off in the system's settings")
        self._notifier = notifier
        has_buttons = self._library.Capability.BUTTONS in able
        self._standing = DesktopStanding(LIBRARY, version, self._daemon, actions=has_buttons)

    async def _send(self, popup: Popup, replaces: Handle | None) -> Handle:
        mine = replaces is not None and replaces.daemon == self._daemon
        earlier = self._shown.pop(replaces.number, None) if replaces is not None and mine else None
        number = replaces.number if replaces is not None and earlier is not None else next(self._numbers)
        if earlier is not None:
            await self._notifier.clear(earlier.identifier)
        dispatched: list[bool] = []
        # A new identifier each time: a late word is of the earlier one.
        shown = _Shown(f"tocsin-{secrets.token_hex(4)}-{number}", popup)
        self._shown[number] = shown
        try:
            await self._notifier.send_notification(self._notification(number, shown, lambda: dispatched.append(True)))
        finally:
            if not dispatched:
                self._shown.pop(number, None)
        if not dispatched:  # the library logs why, and raises nothing
            raise DesktopRefused("the desktop has not taken the notification; the log of desktop_notifier says why")
        return Handle(self._daemon, number)

    def _notification(self, number: int, shown: _Shown, on_dispatched: Callable[[], object]) -> Any:
        """Return a popup as the library has it."""
        library, popup = self._library, shown.popup
        press = partial(self._on_loop, self._press, number, shown.identifier)
        field = next((each for each in popup.inputs if not each.choices), None) if popup.buttons else None
        buttons = popup.buttons if field is None else popup.buttons[1:]
        reply = None
        if field is not None:
            first = popup.buttons[0]
            reply = library.ReplyField(
                title=_plain(field.title or first.label),
                button_title=_plain(first.label),
                on_replied=lambda text: press(first.key, (field, text)),
            )
        return library.Notification(
            title=f"{_plain(popup.app)}: {_plain(popup.title)}",
            message=_plain(popup.body if popup.progress is None else f"{popup.body}\n{popup.progress:.0%}"),
            urgency=library.Urgency.Critical if popup.urgent else library.Urgency.Normal,
            buttons=tuple(
                library.Button(title=_plain(each.label), on_pressed=partial(press, each.key)) for each in buttons
            ),
            reply_field=reply,
            on_dispatched=on_dispatched,
            on_clicked=partial(press, DEFAULT_KEY),
            on_dismissed=partial(self._on_loop, self._dismiss, number, shown.identifier),
            attachment=library.Attachment(path=Path(popup.image)) if popup.image else None,
            sound=None if popup.silent else library.DEFAULT_SOUND,
            identifier=shown.identifier,
        )

    def _on_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        """Call where the event loop runs, whichever thread the system has called in."""
        if self._loop is None:
            call(*arguments)
            return
        with suppress(RuntimeError):  # the loop has ended, and the program with it
            self._loop.call_soon_threadsafe(call, *arguments)

    def _press(self, number: int, identifier: str, key: str, reply: tuple[PopupInput, str] | None = None) -> None:
        shown = self._take(number, identifier)
        if shown is not None:
            values = {field.id: field.default for field in shown.popup.inputs}
            if reply is not None:
                field, text = reply
                values[field.id] = text
            handle = Handle(self._daemon, number)
            self._note(Pressed(handle, key, tuple(values.items())), Closed(handle, ClosedBy.USER))

    def _dismiss(self, number: int, identifier: str) -> None:
        if self._take(number, identifier) is not None:
            self._note(Closed(Handle(self._daemon, number), ClosedBy.USER))

    def _take(self, number: int, identifier: str) -> _Shown | None:
        """Return a toast that the user is through with; None where it has gone, or another is in its place."""
        shown = self._shown.get(number)
        return self._shown.pop(number) if shown is not None and shown.identifier == identifier else None

    def _note(self, *events: DesktopEvent) -> None:
        self._events += events
        self._there.set()


def _plain(text: str) -> str:
    """Return a text as XML may have it, in which Windows gets it: without control characters, but for line ends."""
    return "".join(each if each >= " " or each == "\n" else " " for each in encodable(text).replace("\x7f", " "))
