"""A notification daemon that draws nothing, on a bus, and says what a test has it say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from tests.e2e.desktops.bus import NOTIFICATIONS, NOTIFICATIONS_PATH


class FakeDaemon:
    """Answers as a daemon does; ``errors`` are answered first, ``silent`` answers nothing."""

    def __init__(self, bus: MessageBus, capabilities: list[str]) -> None:
        self.bus, self.capabilities = bus, capabilities
        self.notified: list[list[Any]] = []
        self.closed: list[int] = []
        self.errors: list[tuple[str, str]] = []
        self.silent = False
        self.clicks_at_once = False
        self._last = 0

    def hear(self, message: Message) -> Message | bool:  # noqa: PLR0911  # a case each
        """Answer a call."""
        if message.message_type is not MessageType.METHOD_CALL or message.interface != NOTIFICATIONS:
            return False
        if self.silent:
            return True
        if self.errors and message.member == "Notify":
            return Message.new_error(message, *self.errors.pop(0))
        match message.member:
            case "GetServerInformation":
                return Message.new_method_return(message, "ssss", ["Fake", "Tests", "1", "1.2"])
            case "GetCapabilities":
                return Message.new_method_return(message, "as", [self.capabilities])
            case "Notify":
                return self._notify(message)
            case _:
                self.closed.append(message.body[0])
                return Message.new_method_return(message)

    def _notify(self, message: Message) -> Message | bool:
        self.notified.append(message.body)
        if not message.body[1]:
            self._last += 1
        number = message.body[1] or self._last
        answer = Message.new_method_return(message, "u", [number])
        if not self.clicks_at_once:
            return answer
        self.bus.send(answer)
        self.say("ActionInvoked", "us", [number, "default"])
        return True

    def say(self, member: str, signature: str, body: list[Any], interface: str = NOTIFICATIONS) -> None:
        """Send a signal."""
        self.bus.send(Message.new_signal(NOTIFICATIONS_PATH, interface, member, signature, body))


@asynccontextmanager
async def fake_daemon(address: str, *capabilities: str, name: str = NOTIFICATIONS) -> AsyncIterator[FakeDaemon]:
    """Run one on a bus until the block is left."""
    bus = await MessageBus(bus_address=address).connect()
    daemon = FakeDaemon(bus, list(capabilities or ("actions", "body")))
    bus.add_message_handler(daemon.hear)
    await bus.request_name(name)
    try:
        yield daemon
    finally:
        bus.disconnect()
        with anyio.CancelScope(shield=True):
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # it has no annotation
