"""A session bus of its own, and what is said on it to the notification daemon and by it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from attrs import field, frozen
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.e2e.desktops.processes import PATIENCE, first_line, running

NOTIFICATIONS = "org.freedesktop.Notifications"
NOTIFICATIONS_PATH = "/org/freedesktop/Notifications"

_CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  {services}
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
"""No service is started by its name unless a test gives a folder of files: a daemon that is stopped stays away."""


@frozen
class Notified:
    """A call of ``Notify``."""

    app: str
    replaces: int
    title: str
    body: str
    actions: dict[str, str]
    """Labels by keys."""
    hints: dict[str, Any]
    milliseconds: int


@frozen
class Watcher:
    """Hears all that is said to a daemon and by it."""

    _bus: MessageBus
    messages: list[Message] = field(factory=list, repr=False)

    def notified(self) -> list[Notified]:
        """Return the calls of ``Notify`` so far."""
        return [_notified(message) for message in self.messages if message.member == "Notify"]

    def said(self, member: str) -> list[tuple[Any, ...]]:
        """Return the arguments of the signals, or other calls, of a name so far: ``ActionInvoked``, ``CloseNotification``."""
        return [tuple(message.body) for message in self.messages if message.member == member]

    async def until(self, holds: Callable[[Notified], bool]) -> None:
        """Wait for a call of ``Notify`` of which something holds."""
        with anyio.fail_after(PATIENCE):
            while not any(map(holds, self.notified())):  # noqa: ASYNC110  # another process calls
                await anyio.sleep(0.005)

    def errors(self) -> list[str]:
        """Return the names of the errors so far."""
        return [message.error_name or "" for message in self.messages if message.message_type is MessageType.ERROR]

    async def wait_for(self, member: str, number: int = 1) -> list[tuple[Any, ...]]:
        """Wait for so many signals or calls of a name."""
        with anyio.fail_after(PATIENCE):
            while len(found := self.said(member)) < number:  # noqa: ASYNC110  # another process says it
                await anyio.sleep(0.005)
        return found


def _notified(message: Message) -> Notified:
    app, replaces, _icon, title, body, actions, hints, milliseconds = message.body
    return Notified(
        app,
        replaces,
        title,
        body,
        dict(zip(actions[::2], actions[1::2], strict=True)),
        {name: value.value for name, value in hints.items()},
        milliseconds,
    )


@asynccontextmanager
async def session_bus(folder: Path, services: Path | None = None) -> AsyncIterator[str]:
    """Run a bus, and give its address.

    :param services: the folder with the files of services that it may start; None for none.
    """
    configuration, log = folder / "bus.conf", folder / "bus.log"
    within = "" if services is None else f"<servicedir>{services}</servicedir>"
    configuration.write_text(_CONFIGURATION.format(services=within), encoding="utf-8")
    command = ["dbus-daemon", f"--config-file={configuration}", "--print-address=1", "--nofork"]
    async with running(command, os.environ, log) as process:
        yield await first_line(process, log)


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[MessageBus]:
    """Connect to a bus."""
    bus = await MessageBus(bus_address=address).connect()
    try:
        yield bus
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # it has no annotation


@asynccontextmanager
async def watching(address: str) -> AsyncIterator[Watcher]:
    """Hear what is said about notifications from now on."""
    async with connected(address) as bus:
        watcher = Watcher(bus)
        rules = [f"destination='{NOTIFICATIONS}'", f"interface='{NOTIFICATIONS}'", "type='error'"]
        request = ask("org.freedesktop.DBus", "/org/freedesktop/DBus", "BecomeMonitor", "asu", [rules, 0])
        request.interface = "org.freedesktop.DBus.Monitoring"
        reply = await bus.call(request)
        assert reply is not None
        assert reply.message_type is MessageType.METHOD_RETURN, reply.body

        def hear(message: Message) -> bool:
            watcher.messages.append(message)
            return True  # a monitor that answers is cut off

        bus.add_message_handler(hear)
        yield watcher


def ask(destination: str, path: str, member: str, signature: str = "", body: list[Any] | None = None) -> Message:
    """Make a call of a method of the interface that is called as its owner."""
    return Message(
        destination=destination, path=path, interface=destination, member=member, signature=signature, body=body or []
    )


async def has_owner(bus: MessageBus, name: str) -> bool:
    """Ask the bus whether a name has an owner."""
    reply = await bus.call(ask("org.freedesktop.DBus", "/org/freedesktop/DBus", "NameHasOwner", "s", [name]))
    assert reply is not None
    return bool(reply.body[0])


async def until_owned(bus: MessageBus, name: str, *, owned: bool = True) -> None:
    """Wait until a name has an owner, or none."""
    with anyio.fail_after(PATIENCE):
        while await has_owner(bus, name) is not owned:  # noqa: ASYNC110  # another process owns it
            await anyio.sleep(0.01)


class Refused(Exception):
    """A daemon has answered with an error, which has this name."""


async def notify(bus: MessageBus, title: str, body: str, *actions: str) -> int:
    """Let a daemon show a notification, and return its number; actions are keys and labels in turn."""
    return await _notify(bus, ["Contoso", 0, "", title, body, list(actions), {}, 0])


async def vanish(bus: MessageBus, number: int) -> None:
    """Let a notification be replaced by one that expires at once."""
    await _notify(bus, ["Contoso", number, "", "gone", "", [], {"transient": Variant(signature="b", value=True)}, 1])


async def close(bus: MessageBus, number: int) -> None:
    """Let a daemon close a notification; one that it does not know is no error."""
    await bus.call(ask(NOTIFICATIONS, NOTIFICATIONS_PATH, "CloseNotification", "u", [number]))


async def _notify(bus: MessageBus, arguments: list[Any]) -> int:
    reply = await bus.call(ask(NOTIFICATIONS, NOTIFICATIONS_PATH, "Notify", "susssasa{sv}i", arguments))
    assert reply is not None
    if reply.message_type is MessageType.ERROR:
        raise Refused(reply.error_name or "")
    number: int = reply.body[0]
    return number
