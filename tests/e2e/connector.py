"""A connector of UnifiedPush in a process of its own: ``python -m tests.e2e.connector NAME JOURNAL [...]``.

It owns its name on the session bus, registers with the distributor of Tocsin, and notes what it is called with, one JSON object a line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import Any

from attrs import define
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

DISTRIBUTOR, DISTRIBUTOR_PATH = "org.unifiedpush.Distributor.tocsin", "/org/unifiedpush/Distributor"
CONNECTOR_PATH = "/org/unifiedpush/Connector"
ANSWERS = ("id", "nothing", "error", "silence")


@define
class Connector:
    """How it behaves."""

    name: str
    journal: Path
    token: str
    version: int
    answers: str
    """What a message of version 2 is answered."""
    vapid: str
    service: str
    """The name that it registers; its own but for a test."""

    async def run(self, *, registers: bool, unregisters: bool) -> None:
        """Serve until it is killed."""
        bus = await MessageBus().connect()
        bus.add_message_handler(self.hear)
        await bus.request_name(self.name)
        self.note("started")
        if registers:
            self.note("registered", answer=await self.ask(bus, "Register"))
        if unregisters:
            self.note("unregistered", answer=await self.ask(bus, "Unregister"))
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # it has no annotation

    async def ask(self, bus: MessageBus, member: str) -> list[Any]:
        """Ask the distributor."""
        body: list[Any]
        given = {"token": self.token}
        if member == "Register":
            given = {"service": self.service, "token": self.token, "description": "a test"}
        if self.version == 2:
            more = {"vapid": self.vapid} if self.vapid and member == "Register" else {}
            values = {name: Variant("s", value) for name, value in (given | more).items()}
            signature, body = "a{sv}", [values]
        else:
            signature, body = "s" * len(given), [*given.values()]
        call = Message(
            destination=DISTRIBUTOR,
            path=DISTRIBUTOR_PATH,
            interface=f"org.unifiedpush.Distributor{self.version}",
            member=member,
            signature=signature,
            body=body,
        )
        answer = await bus.call(call)
        assert answer is not None
        return [answer.error_name, *map(_plain, answer.body)]

    def hear(self, message: Message) -> Message | bool:
        """Note what the distributor says, and answer."""
        if message.message_type is not MessageType.METHOD_CALL or message.path != CONNECTOR_PATH:
            return False
        self.note(message.member, interface=message.interface, body=list(map(_plain, message.body)))
        if not str(message.interface).endswith("2") or message.member != "Message":
            return True
        match self.answers:
            case "id":
                return Message.new_method_return(message, "a{sv}", [{"id": message.body[0]["id"]}])
            case "nothing":
                return Message.new_method_return(message, "a{sv}", [{}])
            case "error":
                return Message.new_error(message, "org.example.Error.No", "no")
            case _:
                return True

    def note(self, event: str | None, **more: Any) -> None:
        """Write an event down."""
        with self.journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"event": event, "pid": os.getpid()} | more) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each.value) for name, each in value.items()}
    return value.hex() if isinstance(value, bytes) else value


def main() -> None:
    """Read how it is to behave, and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("journal", type=Path)
    parser.add_argument("--token", default="", help="by default the name")
    parser.add_argument("--version", type=int, default=2)
    parser.add_argument("--answers", choices=ANSWERS, default="id")
    parser.add_argument("--vapid", default="")
    parser.add_argument("--service", default="")
    parser.add_argument("--silent", action="store_true", help="do not register")
    parser.add_argument("--unregister", action="store_true")
    given = parser.parse_args()
    service = given.service or given.name
    connector = Connector(
        given.name, given.journal, given.token or given.name, given.version, given.answers, given.vapid, service
    )
    asyncio.run(connector.run(registers=not given.silent, unregisters=given.unregister))


if __name__ == "__main__":
    main()
