"""A daemon of the system bus that a test plays: it owns a name, and its properties are what the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

PROPERTIES = "org.freedesktop.DBus.Properties"

Place = tuple[str, str]
"""The path of an object, and an interface of it."""


class FakeService:
    """Answers ``GetAll``, and what methods are made for; ``calls`` holds the members that were called."""

    def __init__(self, bus: MessageBus, places: Mapping[Place, Mapping[str, Variant]]) -> None:
        self.bus = bus
        self.places = {place: dict(properties) for place, properties in places.items()}
        self.methods: dict[str, tuple[str, list[Any]] | str] = {}
        """What a method answers: a signature and values, or the name of an error."""
        self.calls: list[str] = []
        self.silent = False

    def hear(self, message: Message) -> Message | bool:
        """Answer a call."""
        if message.message_type is not MessageType.METHOD_CALL:
            return False
        self.calls.append(str(message.member))
        if self.silent:
            return True
        answer = self.methods.get(str(message.member))
        if isinstance(answer, str):
            return Message.new_error(message, answer, "no")
        if answer is not None:
            return Message.new_method_return(message, *answer)
        found = self.places.get((str(message.path), message.body[0])) if message.member == "GetAll" else None
        if found is None:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "no such object")
        return Message.new_method_return(message, "a{sv}", [found])

    def set(self, place: Place, **properties: Variant) -> None:
        """Change properties, and tell of it."""
        self.places[place] |= properties
        self.say(place[0], PROPERTIES, "PropertiesChanged", "sa{sv}as", [place[1], properties, []])

    def say(self, path: str, interface: str, member: str, signature: str = "", body: list[Any] | None = None) -> None:
        """Send a signal."""
        self.bus.send(Message.new_signal(path, interface, member, signature, body or []))


@asynccontextmanager
async def fake_service(
    address: str, name: str, places: Mapping[Place, Mapping[str, Variant]]
) -> AsyncIterator[FakeService]:
    """Run one on a bus until the block is left."""
    bus = await MessageBus(bus_address=address).connect()
    service = FakeService(bus, places)
    bus.add_message_handler(service.hear)
    await bus.request_name(name)
    try:
        yield service
    finally:
        bus.disconnect()
        with anyio.CancelScope(shield=True):
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # it has no annotation


def b(value: object) -> Variant:
    """Make a truth value."""
    return Variant("b", value)


def u(value: int) -> Variant:
    """Make a number."""
    return Variant("u", value)


def s(value: str) -> Variant:
    """Make a text."""
    return Variant("s", value)
