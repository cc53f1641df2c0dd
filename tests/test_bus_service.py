"""An object that is served on a bus of its own: what it answers, how it describes itself, and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from dbus_fast import Message, MessageFlag, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.e2e.desktops.bus import connected, session_bus
from tocsin import bus_service as module
from tocsin.bus_connection import BUS, BUS_PATH, SESSION, BusCallRefused, BusConnection
from tocsin.bus_service import BusMethod, ServedObject

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon")

NAME, PATH = "org.example.Served", "/org/example/Served"
PATIENCE = 10.0


@pytest.fixture
def anyio_backend() -> str:
    """Sockets: on asyncio."""
    return "asyncio"


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Run a bus."""
    async with session_bus(tmp_path) as found:
        yield found


class Echo:
    """Answers with what it is given; ``hold`` waits until it is let go."""

    def __init__(self) -> None:
        self.let_go = anyio.Event()
        self.begun = 0

    async def echo(self, body: list[Any]) -> list[Any]:
        """Answer with the same."""
        return body

    async def hold(self, body: list[Any]) -> list[Any]:
        """Answer late."""
        self.begun += 1
        await self.let_go.wait()
        return body

    async def refuse(self, _: list[Any]) -> list[Any]:
        """Answer with an error."""
        raise BusCallRefused("org.example.Error.Never", "never\x1b[2J")

    async def fail(self, _: list[Any]) -> list[Any]:
        """Have a defect."""
        raise ZeroDivisionError("secret words")


@asynccontextmanager
async def served(address: str) -> AsyncIterator[tuple[Echo, BusConnection]]:
    """Serve until the block is left."""
    echo = Echo()
    methods = {
        "Echo": BusMethod("sa{sv}", "sa{sv}", echo.echo),
        "Hold": BusMethod("s", "s", echo.hold),
        "Refuse": BusMethod("", "", echo.refuse),
        "Fail": BusMethod("", "", echo.fail),
    }
    served = ServedObject(PATH, {NAME: methods})
    connection = BusConnection(SESSION, lambda _: None, lambda: None, address, answer=served.take)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.run)
            tasks.start_soon(served.run)
            await connection.call(BUS, BUS, BUS_PATH, "RequestName", "su", [NAME, 0])
            yield echo, connection
            tasks.cancel_scope.cancel()


def asking(member: str, signature: str = "", body: list[Any] | None = None, **others: Any) -> Message:
    """Make a call of the object."""
    given: dict[str, Any] = {"destination": NAME, "path": PATH, "interface": NAME} | others
    return Message(member=member, signature=signature, body=body or [], **given)


async def asked(bus: MessageBus, *arguments: Any, **others: Any) -> Message:
    """Call the object, and return the answer."""
    answer = await bus.call(asking(*arguments, **others))
    assert answer is not None
    return answer


async def test_a_method_gets_and_gives_values_and_dictionaries(address: str) -> None:
    """A dictionary of any types has them beside its values within."""
    given: list[Any] = ["x", {"n": Variant("u", 7), "b": Variant("ay", b"\x00")}]
    async with served(address), connected(address) as bus:
        answer = await asked(bus, "Echo", "sa{sv}", given)
        assert (answer.signature, answer.body) == ("sa{sv}", given)


async def test_it_describes_itself(address: str) -> None:
    """With the signatures of its methods, by which a caller chooses a version."""
    async with served(address), connected(address) as bus:
        described = await bus.introspect(NAME, PATH)
        (interface,) = described.interfaces
        found = {each.name: (each.in_signature, each.out_signature) for each in interface.methods}
        assert interface.name == NAME
        assert found == {"Echo": ("sa{sv}", "sa{sv}"), "Hold": ("s", "s"), "Refuse": ("", ""), "Fail": ("", "")}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (asking("Echo", "s", ["x"]), "org.freedesktop.DBus.Error.InvalidArgs"),
        (asking("Never"), "org.freedesktop.DBus.Error.UnknownMethod"),
        (asking("Echo", path="/"), "org.freedesktop.DBus.Error.UnknownMethod"),
        (asking("Echo", interface="org.example.Other"), "org.freedesktop.DBus.Error.UnknownMethod"),
        (asking("Refuse"), "org.example.Error.Never"),
        (asking("Fail"), "org.freedesktop.DBus.Error.Failed"),
    ],
)
async def test_what_cannot_be_answered_is_an_error(address: str, call: Message, error: str) -> None:
    """One that a terminal can show, and that tells nothing of a defect."""
    async with served(address), connected(address) as bus:
        answer = await bus.call(call)
        assert answer is not None
        assert (answer.message_type, answer.error_name) == (MessageType.ERROR, error)
        assert answer.body[0].isprintable()
        assert "secret" not in answer.body[0]
        assert (await asked(bus, "Echo", "sa{sv}", ["x", {}])).body == ["x", {}]


async def test_calls_are_answered_side_by_side_and_are_bounded(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits delays no other; one more than may wait is refused."""
    monkeypatch.setattr(module, "MAX_CALLS", 3)
    async with served(address) as (echo, _), connected(address) as bus:
        answers: list[Message] = []

        async def hold() -> None:
            answers.append(await asked(bus, "Hold", "s", ["x"]))

        async with anyio.create_task_group() as tasks:
            for _number in range(2):
                tasks.start_soon(hold)
            assert (await asked(bus, "Echo", "sa{sv}", ["x", {}])).body == ["x", {}]
            tasks.start_soon(hold)
            while echo.begun < 3:  # noqa: ASYNC110  # another connection's
                await anyio.sleep(0.001)
            refused = await asked(bus, "Echo", "sa{sv}", ["x", {}])
            assert refused.error_name == "org.freedesktop.DBus.Error.LimitsExceeded"
            echo.let_go.set()
        assert [answer.body for answer in answers] == [["x"]] * 3


async def test_who_wants_no_answer_gets_none(address: str) -> None:
    """The next answer that comes is the next call's."""
    async with served(address), connected(address) as bus:
        heard: list[Message] = []

        def hear(message: Message) -> None:
            # The bus tells a connection its name by a signal, which may come late.
            if message.message_type is not MessageType.SIGNAL:
                heard.append(message)

        bus.add_message_handler(hear)
        for member in ("Refuse", "Fail", "Never"):
            await bus.send(asking(member, flags=MessageFlag.NO_REPLY_EXPECTED))
        await bus.send(asking("Echo", "sa{sv}", ["x", {}], flags=MessageFlag.NO_REPLY_EXPECTED))
        await asked(bus, "Echo", "sa{sv}", ["y", {}])
        assert [message.body for message in heard] == [["y", {}]]


async def test_a_caller_that_has_gone_and_a_connection_that_has_gone_do_no_harm(address: str) -> None:
    """What is answered late goes nowhere."""
    async with served(address) as (echo, connection):
        async with connected(address) as bus:
            await bus.send(asking("Hold", "s", ["x"]))
            while not echo.begun:  # noqa: ASYNC110  # another connection's
                await anyio.sleep(0.001)
        ours = connection._bus
        ours.disconnect()
        while connection.is_connected:  # noqa: ASYNC110  # it is noticed by another task
            await anyio.sleep(0.001)
        echo.let_go.set()
        await connection.call(BUS, BUS, BUS_PATH, "RequestName", "su", [NAME, 0])
        async with connected(address) as bus:
            assert (await asked(bus, "Echo", "sa{sv}", ["x", {}])).body == ["x", {}]


async def test_it_may_tell_what_is_not_there(address: str) -> None:
    """A call that wants no answer to a name without an owner is no failure."""
    async with served(address) as (_, connection):
        await connection.tell("org.example.Absent", NAME, PATH, "Echo", "s", ["x"])
        assert connection.is_connected
