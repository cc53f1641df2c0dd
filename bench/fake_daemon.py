"""A notification daemon that draws nothing, in a process of its own: ``python -m bench.fake_daemon ADDRESS dismisses|keeps``.

It counts the notifications that are new to it, by the moment that each has as its title. Where it ``dismisses``, each is
gone from its screen at once, as if the user had closed it, so that the next one has room.
"""

from __future__ import annotations

import asyncio
import sys

from dbus_fast import Message, MessageType, NameFlag
from dbus_fast.aio import MessageBus

from bench.receiving import Tally, answer

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"

DISMISSED, CLOSED = 2, 3
"""Reasons of ``NotificationClosed``."""

_LOOK = 0.02  # seconds that the user looks at one


class FakeDaemon:
    """What it has on its screen are numbers."""

    def __init__(self, bus: MessageBus, tally: Tally, *, dismisses: bool) -> None:
        self._bus, self._tally, self._dismisses = bus, tally, dismisses
        self._last = 0

    def hear(self, message: Message) -> Message | None:
        """Answer a call."""
        if message.message_type is not MessageType.METHOD_CALL or message.interface != NAME:
            return None
        match message.member:
            case "Notify":
                return self._notify(message)
            case "CloseNotification":
                self._closed(message.body[0], CLOSED)
                return Message.new_method_return(message)
            case "GetCapabilities":
                return Message.new_method_return(message, "as", [["actions", "body"]])
            case "GetServerInformation":
                return Message.new_method_return(message, "ssss", ["Fake", "Tocsin", "1", "1.2"])
            case _:
                return None

    def _notify(self, message: Message) -> Message:
        number: int = message.body[1]
        if not number:
            self._tally.add(message.body[3])
            self._last += 1
            number = self._last
        if self._dismisses:
            # After the answer: a client that does not know the number yet passes the signal over.
            asyncio.get_running_loop().call_later(_LOOK, self._closed, number, DISMISSED)
        return Message.new_method_return(message, "u", [number])

    def _closed(self, number: int, reason: int) -> None:
        self._bus.send(Message.new_signal(PATH, NAME, "NotificationClosed", "uu", [number, reason]))


async def main(address: str, way: str) -> None:
    """Serve until the input ends."""
    bus = await MessageBus(bus_address=address).connect()
    tally = Tally()
    bus.add_message_handler(FakeDaemon(bus, tally, dismisses=way == "dismisses").hear)
    await bus.request_name(NAME, NameFlag.DO_NOT_QUEUE)
    await answer(tally, {})
    bus.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
