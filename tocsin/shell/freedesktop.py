"""The desktop of Linux and the BSDs: ``org.freedesktop.Notifications`` on the session bus, by dbus-fast.

What daemons do was seen with five of them; ``tocsin.shell.daemon_traits`` has where they differ.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import anyio
from attrs import define, frozen

from tocsin.bus_connection import BUS, SESSION, BusCallRefused, BusConnection, BusLost, in_time
from tocsin.protocol.text import MAX_SENTENCE, harmless
from tocsin.protocol.toasts.popup import Handle, Popup
from tocsin.shell.daemon_traits import DaemonTraits, says_absent, says_full, traits_of
from tocsin.shell.desktop import (
    Closed,
    ClosedBy,
    DaemonChanged,
    DesktopAbsent,
    DesktopError,
    DesktopEvent,
    DesktopFull,
    DesktopRefused,
    DesktopStanding,
    Pressed,
)
from tocsin.shell.notify_arguments import SIGNATURE, VANISHING, NotifyArguments, made_different, notify_arguments
from tocsin.shell.ringing import Ringing
from tocsin.tasks import task_group

NAME: Final = "org.freedesktop.Notifications"
PATH: Final = "/org/freedesktop/Notifications"

MAX_EVENTS: Final = 1024
"""Events that may wait; where more come, the oldest are let go: a bus has other users, who may say what they like."""

_RULES: Final = (
    f"type='signal',interface='{NAME}',path='{PATH}'",
    f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{NAME}'",
)
_REASONS: Final = {1: ClosedBy.EXPIRED, 2: ClosedBy.USER, 3: ClosedBy.CALLER}

logger = logging.getLogger(__name__)


class _DaemonGone(DesktopAbsent):
    """The daemon that was asked has ended; the next one may be there already, or be started."""


@frozen
class _Daemon:
    """One process of a daemon; ``owner`` is its unique name on its bus."""

    owner: str
    handle: str
    traits: DaemonTraits
    capabilities: frozenset[str]
    name: str
    version: str


@define
class _Shown:
    """A popup that a daemon has, and what it was asked for."""

    popup: Popup
    look: tuple[str, str, str]


class FreedesktopDesktop:
    """Shows popups by the daemon of the session bus; needs the extra ``desktop``, and asyncio.

    :param address: that of the bus; None: as the environment says, else where systemd has it.
    """

    def __init__(self, address: str | None = None) -> None:
        self._bus = BusConnection(SESSION, self._hear, self._bus_lost, address)
        self._is_matched = False
        self._daemon: _Daemon | None = None
        self._asking = anyio.Lock()
        self._fault = ""
        self._shown: dict[int, _Shown] = {}
        self._asked: Counter[tuple[str, str, str]] = Counter()
        """What is being shown by calls that were not answered yet."""
        self._early: deque[Any] = deque(maxlen=MAX_EVENTS)
        """Signals about numbers that are none yet: what a daemon says right behind its answer is heard before that is read."""
        self._events: deque[DesktopEvent] = deque(maxlen=MAX_EVENTS)
        self._said = anyio.Event()
        self._ringing = Ringing()
        self._signals: dict[tuple[str, str], Callable[[Handle, Any], None]] = {
            ("ActionInvoked", "us"): self._invoked,
            ("NotificationReplied", "us"): self._replied,
            ("NotificationClosed", "uu"): self._closed,
        }

    @property
    def standing(self) -> DesktopStanding:
        """What is known of the daemon; nothing before the first popup."""
        daemon = self._daemon
        if daemon is None:
            return DesktopStanding(fault=self._fault)
        actions = "actions" in daemon.capabilities
        alone = daemon.traits.one_at_a_time
        return DesktopStanding(daemon.name, daemon.version, daemon.handle, actions, alone)

    async def run(self) -> None:
        """Watch the connection, once there is one, until cancelled; what rings is silent then."""
        async with task_group() as tasks:
            tasks.start_soon(self._bus.run)
            tasks.start_soon(self._ringing.run)

    async def show(self, popup: Popup, replaces: Handle | None = None) -> Handle:
        """Show a popup, in the place of another one where this very daemon gave that its number.

        :raises DesktopAbsent: there is no bus or no daemon on it, or it did not answer within 5 s.
        :raises DesktopFull: it shows as many as it may.
        :raises DesktopRefused: it answers with another error.
        """
        try:
            with _absent_if_lost(), in_time("the notification daemon"):
                try:
                    return await self._show(popup, replaces)
                except _DaemonGone:  # one that ends where it has nothing to do may be ending just now
                    return await self._show(popup, replaces)
        except DesktopAbsent as absent:
            self._fault = str(absent)
            raise

    async def _show(self, popup: Popup, replaces: Handle | None) -> Handle:
        daemon = await self._known_daemon()
        mine = replaces is not None and replaces.daemon == daemon.handle
        return await self._notify(daemon, popup, replaces.number if replaces is not None and mine else 0)

    async def _notify(self, daemon: _Daemon, popup: Popup, replaces: int) -> Handle:
        rings = not popup.silent and self._ringing.can_play(popup.sound)
        wanted = notify_arguments(popup, daemon.capabilities, daemon.traits, rings=rings)
        looks = [shown.look for number, shown in self._shown.items() if number != replaces]
        arguments = made_different(wanted, [*looks, *self._asked])
        self._asked[arguments.look] += 1
        early: list[Any] = []
        try:
            # The process itself is asked: another one that has its name by now would take the number for one of its own.
            answer = await self._call(daemon.owner, "Notify", SIGNATURE, _body(arguments, replaces))
            number = answer.body[0] if answer.signature == "u" else 0
            early = [message for message in self._early if message.body[0] == number]
        finally:
            self._asked[arguments.look] -= 1
            self._asked = +self._asked
            if not self._asked:
                self._early.clear()
        if not number:
            raise DesktopRefused(f"{daemon.name} has answered without a number")
        if self._daemon is not daemon:
            raise _DaemonGone("the notification daemon has gone")
        self._shown[number] = _Shown(popup, arguments.look)
        if rings:
            self._ringing.start(number, popup.sound, loop=popup.loop)
        else:
            self._ringing.stop(number)
        for message in early:
            self._hear(message)
        return Handle(daemon.handle, number)

    async def close(self, handle: Handle) -> None:
        """Take a popup down; one that is gone already, or is of another daemon, is no error."""
        daemon = self._daemon
        if daemon is None or handle.daemon != daemon.handle:
            return
        self._ringing.stop(handle.number)
        self._shown.pop(handle.number, None)
        if daemon.traits.leaves_closed:
            with suppress(DesktopError):  # it may be full also for this one
                await self._call(daemon.owner, "Notify", SIGNATURE, _body(VANISHING, handle.number))
        with suppress(DesktopError):  # it has gone, or says of a number that it has gone
            await self._call(daemon.owner, "CloseNotification", "u", [handle.number])

    async def events(self) -> list[DesktopEvent]:
        """Wait for events, and return those that are there, in their order."""
        while not self._events:
            self._said = anyio.Event()
            await self._said.wait()
        events = list(self._events)
        self._events.clear()
        return events

    # The daemon

    async def _known_daemon(self) -> _Daemon:
        """Return the daemon that is there, asking what it is where that is not known; one that the bus can start is started."""
        async with self._asking:
            if self._daemon is not None:
                return self._daemon
            if not self._is_matched:
                for rule in _RULES:
                    await self._bus.match(rule)
                self._is_matched = True
            information = await self._call(NAME, "GetServerInformation")
            owner = str(information.sender)
            capabilities = await self._call(owner, "GetCapabilities")
            name, vendor, version = (_texts(information, place) for place in range(3))
            offered = capabilities.body[0] if capabilities.signature == "as" else ()
            self._daemon = _Daemon(
                owner, f"{self._bus.id}/{owner}", traits_of(name, vendor), frozenset(map(str, offered)), name, version
            )
            self._fault = ""
            return self._daemon

    async def _call(self, destination: str, member: str, signature: str = "", body: list[Any] | None = None) -> Any:
        try:
            with _absent_if_lost():
                return await self._bus.call(destination, NAME, PATH, member, signature, body or [])
        except BusCallRefused as refused:
            if says_absent(refused.name):
                if self._daemon is not None and destination == self._daemon.owner:
                    self._forget_daemon()
                absent = DesktopAbsent if destination == NAME else _DaemonGone
                raise absent(f"no notification daemon is on the session bus ({refused.name})") from None
            if says_full(refused.name, refused.words):
                raise DesktopFull(str(refused)) from None
            raise DesktopRefused(str(refused)) from None

    def _forget_daemon(self) -> None:
        """Forget all numbers: those of the next daemon begin anew."""
        self._shown.clear()
        self._early.clear()
        self._ringing.stop_all()
        if self._daemon is not None:
            self._fault = f"{self._daemon.name} has gone, and the next toast looks for another"
            self._daemon = None
            self._say(DaemonChanged(""))

    def _bus_lost(self) -> None:
        self._is_matched = False
        self._forget_daemon()

    # Signals

    def _hear(self, message: Any) -> None:
        """Take a signal; what is not of our daemon, or not of its kind, or not about a popup of ours, is passed over."""
        if message.member == "NameOwnerChanged" and message.sender == BUS and message.signature == "sss":
            name, _, owner = message.body
            if name == NAME and (self._daemon is None or owner != self._daemon.owner):
                self._forget_daemon()
                if owner:
                    self._say(DaemonChanged(f"{self._bus.id}/{owner}"))
            return
        daemon = self._daemon
        if daemon is None or message.sender != daemon.owner or message.interface != NAME:
            return
        hear = self._signals.get((message.member, message.signature))
        if hear is None:
            return
        if message.body[0] in self._shown:
            hear(Handle(daemon.handle, message.body[0]), message.body[1])
        elif self._asked:
            self._early.append(message)

    def _invoked(self, handle: Handle, key: str) -> None:
        self._ringing.stop(handle.number)
        self._say(Pressed(handle, key))

    def _replied(self, handle: Handle, text: str) -> None:
        """The user has typed an answer, which goes with the first button."""
        popup = self._shown[handle.number].popup
        if popup.inputs and popup.buttons:
            self._ringing.stop(handle.number)
            self._say(Pressed(handle, popup.buttons[0].key, ((popup.inputs[0].id, text),)))

    def _closed(self, handle: Handle, reason: int) -> None:
        del self._shown[handle.number]
        self._ringing.stop(handle.number)
        self._say(Closed(handle, _REASONS.get(reason, ClosedBy.UNKNOWN)))

    def _say(self, event: DesktopEvent) -> None:
        self._events.append(event)
        self._said.set()


@contextmanager
def _absent_if_lost() -> Iterator[None]:
    """Say of a bus that is lost that there is no desktop."""
    try:
        yield
    except BusLost as lost:
        raise DesktopAbsent(str(lost)) from None


def _body(arguments: NotifyArguments, replaces: int) -> list[Any]:
    """Return what ``Notify`` takes."""
    from dbus_fast import Variant  # noqa: PLC0415  # an extra, which is there by now

    hints = {name: Variant(signature, value) for name, (signature, value) in arguments.hints.items()}
    texts = arguments.title, arguments.body
    return [arguments.app, replaces, "", *texts, arguments.actions, hints, arguments.milliseconds]


def _texts(answer: Any, place: int) -> str:
    """Return one of the texts that an answer consists of."""
    return harmless(answer.body[place], MAX_SENTENCE) if answer.signature == "ssss" else ""
