"""A real agent as a distributor of UnifiedPush on a bus of its own, connectors in processes of their own, and pushes over HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import Factory, define

from tests.e2e.agents import Agent, Journal, in_process, start_agent
from tests.e2e.desktops.bus import session_bus
from tests.processes import PATIENCE, running
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.webpush.message_encryption import SubscriptionKeys, decrypt, encrypt
from tocsin.webpush.vapid_keys import VapidKey

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon")

KEYS = SubscriptionKeys.generate()
SUCCESS = {"success": "REGISTRATION_SUCCEEDED"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@define
class World:
    """A bus, an agent on it, and what the connectors have noted."""

    folder: Path
    address: str
    agent: Agent
    _numbers: count[int] = Factory(count)

    def fresh(self) -> str:
        """Return the name of an app that no other test has."""
        return f"org.example.App{next(self._numbers)}"

    @property
    def services(self) -> Path:
        """Where the bus looks for what it may start."""
        return self.folder / "services"

    def journal(self, name: str) -> Journal:
        """Return what the processes of an app have noted."""
        return Journal(self.folder / f"{name}.jsonl")

    def restart_agent(self) -> None:
        """End the agent, and start the next."""
        self.agent.stop()
        self.agent = start_agent(self.folder, "--unifiedpush", environment=environment(self.address))

    def make_activatable(self, name: str, *options: str) -> None:
        """Let the bus start an app that does not register, with these options."""
        words = [sys.executable, "-m", "tests.e2e.connector", name, str(self.journal(name).path), "--silent", *options]
        text = f"[D-BUS Service]\nName={name}\nExec={' '.join(words)}\n"
        (self.services / f"{name}.service").write_text(text, encoding="utf-8")

    @asynccontextmanager
    async def connector(self, name: str, *options: str, until: str = "registered") -> AsyncIterator[Process]:
        """Run an app until the block is left; first wait for an event of it."""
        journal = self.journal(name)
        before = len(journal.events(until))
        command = [sys.executable, "-m", "tests.e2e.connector", name, str(journal.path), *options]
        async with await anyio.open_process(
            command, stdin=None, stdout=None, stderr=None, env=environment(self.address)
        ) as process:
            try:
                await journal.wait_for(until, before + 1)
                yield process
            finally:
                if process.returncode is None:
                    process.kill()

    async def endpoint(self, name: str, number: int = 1) -> str:
        """Wait for an endpoint that an app was told."""
        (*_, last) = await self.journal(name).wait_for("NewEndpoint", number)
        body = last["body"]
        return str(body[0]["endpoint"] if isinstance(body[0], dict) else body[1])

    async def registrations(self, name: str) -> list[dict[str, Any]]:
        """Return what ``tocsin status`` says of the registrations of an app."""
        _, output, errors = await in_process("status", "--json", "--state", str(self.agent.state))
        assert output, errors
        found = json.loads(output)["unifiedpush"]
        assert found["bus"] == "has the name org.unifiedpush.Distributor.tocsin"
        return [each for each in found["registrations"] if each["app"] == name]

    async def dead_letters(self, name: str, number: int = 1) -> list[dict[str, Any]]:
        """Wait for dead letters of an app."""
        (app,) = [each["id"] for each in await self.registrations(name)]
        return await self.agent.until_dead(app, number)

    async def until_waiting(self, name: str, word: str) -> None:
        """Wait until the only registration of an app waits for something."""
        with anyio.fail_after(PATIENCE):
            while word not in (await self.registrations(name))[0]["waiting"]:  # noqa: ASYNC110  # another process waits
                await anyio.sleep(0.05)


def environment(address: str) -> Mapping[str, str]:
    """Return the environment of what runs on a bus."""
    return dict(os.environ) | {"DBUS_SESSION_BUS_ADDRESS": address}


@pytest.fixture(scope="module")
async def w(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Run a bus, and an agent on it, for all tests: each has apps of its own."""
    folder = tmp_path_factory.mktemp("unifiedpush")
    (folder / "services").mkdir()
    async with session_bus(folder, folder / "services") as address:
        agent = start_agent(folder, "--unifiedpush", environment=environment(address))
        world = World(folder, address, agent)
        try:
            yield world
        finally:
            world.agent.stop()


async def post(endpoint: str, text: bytes, coding: str = "aes128gcm", **headers: str) -> int:
    """Push as a server does, and return the status."""
    envelope = encrypt(KEYS.p256dh, KEYS.auth, text, coding)
    sent = {"TTL": "3600", "Content-Encoding": coding} | headers
    if coding == "aesgcm":
        sent |= {"Encryption": envelope.encryption, "Crypto-Key": envelope.crypto_key}
    async with aiohttp.ClientSession() as session, session.post(endpoint, data=envelope.body, headers=sent) as answer:
        return answer.status


def read(messages: list[dict[str, Any]]) -> list[bytes]:
    """Decrypt what connectors were called with, as they would."""
    bodies = [each["body"] for each in messages]
    hexed = [body[0]["message"] if isinstance(body[0], dict) else body[1] for body in bodies]
    return [decrypt(KEYS, Envelope("aes128gcm", "", "", bytes.fromhex(each))) for each in hexed]


async def test_an_agent_says_whether_it_serves_unifiedpush(tmp_path: Path) -> None:
    """By the name that apps register with; another one says that it does not."""
    for options, name in (((), None), (("--unifiedpush",), "org.unifiedpush.Distributor.tocsin")):
        words = ("--state", str(tmp_path / "state"), "--socket", str(tmp_path / "s"), *options)
        async with running("agent", "--json", *words) as agent:
            assert agent.first["unifiedpush"] == name
        async with await anyio.open_process([sys.executable, "-m", "tocsin", "agent", *words]) as process:
            assert process.stdout is not None
            lines = await BufferedByteReceiveStream(process.stdout).receive_until(b"ends it", 4096)
            assert (b"\napps of UnifiedPush register with org.unifiedpush.Distributor.tocsin on" in lines) == bool(name)
            process.terminate()


@pytest.mark.parametrize("version", [1, 2])
async def test_a_connector_registers_and_gets_a_push(w: World, version: int) -> None:
    """By both versions of the interface: told its endpoint, and brought what was posted there as it was."""
    chat = w.fresh()
    async with w.connector(chat, "--version", str(version)):
        (registered,) = w.journal(chat).events("registered")
        expected = [None, SUCCESS] if version == 2 else [None, "REGISTRATION_SUCCEEDED", ""]
        assert registered["answer"] == expected
        assert await post(await w.endpoint(chat), b"hello") == 201
        messages = await w.journal(chat).wait_for("Message")
        assert read(messages) == [b"hello"]
        assert messages[0]["interface"] == f"org.unifiedpush.Connector{version}"
        (shown,) = await w.registrations(chat)
        assert (shown["description"], shown["waiting"]) == ("a test", "")


async def test_a_registration_survives_both_restarts(w: World) -> None:
    """The same token has the same endpoint, and a push comes that was posted while the app was away."""
    chat = w.fresh()
    async with w.connector(chat):
        endpoint = await w.endpoint(chat)
    await w.until_waiting(chat, "cannot be started")
    w.restart_agent()
    assert await post(endpoint, b"while you were away") == 201
    async with w.connector(chat):
        assert await w.endpoint(chat, 2) == endpoint
        assert read(await w.journal(chat).wait_for("Message")) == [b"while you were away"]
        w.restart_agent()
        assert await post(endpoint, b"to the next agent") == 201
        assert read(await w.journal(chat).wait_for("Message", 2))[1:] == [b"to the next agent"]


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_push_starts_an_app_that_the_bus_can_start(w: World, version: str) -> None:
    """The file is enough, and the app gets the push by its first call."""
    chat = w.fresh()
    w.make_activatable(chat, "--version", version)
    async with w.connector(chat, "--version", version):
        endpoint = await w.endpoint(chat)
    assert await post(endpoint, b"wake up") == 201
    messages = await w.journal(chat).wait_for("Message")
    assert read(messages) == [b"wake up"]
    assert messages[0]["pid"] != w.journal(chat).events("registered")[0]["pid"]
    os.kill(messages[0]["pid"], signal.SIGKILL)


async def test_an_app_that_does_not_answer_delays_no_other(w: World) -> None:
    """Each has a way of its own."""
    slow, fast = w.fresh(), w.fresh()
    async with w.connector(slow, "--answers", "silence"), w.connector(fast):
        assert await post(await w.endpoint(slow), b"slow") == 201
        await w.journal(slow).wait_for("Message")
        assert await post(await w.endpoint(fast), b"fast") == 201
        assert read(await w.journal(fast).wait_for("Message")) == [b"fast"]


@pytest.mark.parametrize("answers", ["nothing", "error"])
async def test_what_is_not_acknowledged_comes_again_under_its_id(w: World, answers: str) -> None:
    """By the next process of the app at once, or after a pause by the same; what came behind it waits."""
    chat = w.fresh()
    async with w.connector(chat, "--answers", answers):
        endpoint = await w.endpoint(chat)
        assert await post(endpoint, b"first") == await post(endpoint, b"second") == 201
        first, again = (await w.journal(chat).wait_for("Message", 2))[:2]
        assert first["body"] == again["body"]
    before = len(w.journal(chat).events("Message"))
    async with w.connector(chat):
        taken = (await w.journal(chat).wait_for("Message", before + 2))[before:]
        assert read(taken)[-2:] == [b"first", b"second"]
        assert taken[-2]["body"][0]["id"] == first["body"][0]["id"]


async def test_a_push_for_now_or_never_reaches_no_later_process(w: World) -> None:
    """With TTL 0 it comes to an app that is there, and is a dead letter otherwise, over restarts of the agent."""
    chat, ttl = w.fresh(), {"TTL": "0"}
    async with w.connector(chat):
        endpoint = await w.endpoint(chat)
        assert await post(endpoint, b"now", **ttl) == 201
        assert read(await w.journal(chat).wait_for("Message")) == [b"now"]
    await w.until_waiting(chat, "cannot be started")
    assert await post(endpoint, b"never", **ttl) == 201
    assert [each["reason"] for each in await w.dead_letters(chat)] == ["not_handled"]
    w.restart_agent()
    assert await post(endpoint, b"never again", **ttl) == await post(endpoint, b"later") == 201
    async with w.connector(chat):
        assert read(await w.journal(chat).wait_for("Message", 2)) == [b"now", b"later"]
        assert len(await w.dead_letters(chat, 2)) == 2
        assert (await w.registrations(chat))[0]["missed"] == 1


async def test_another_app_cannot_have_a_token_that_is_taken(w: World) -> None:
    """It is refused, and the one that has it goes on."""
    chat, other = w.fresh(), w.fresh()
    async with w.connector(chat), w.connector(other, "--token", chat):
        (refused,) = w.journal(other).events("registered")
        assert refused["answer"] == [None, {"success": "REGISTRATION_FAILED", "reason": "UNAUTHORIZED"}]
        assert await post(await w.endpoint(chat), b"hello") == 201
        assert read(await w.journal(chat).wait_for("Message")) == [b"hello"]
        assert w.journal(other).events("Message") == []


@pytest.mark.parametrize("version", [1, 2])
async def test_an_endpoint_is_gone_once_its_app_has_unregistered(w: World, version: int) -> None:
    """The app is told, as its version wants it, and senders read 410."""
    chat = w.fresh()
    async with w.connector(chat, "--version", str(version), "--unregister", until="unregistered"):
        endpoint = await w.endpoint(chat)
        (told,) = await w.journal(chat).wait_for("Unregistered")
        assert told["body"] == ([{"token": chat}] if version == 2 else [""])
        with anyio.fail_after(PATIENCE):
            while await post(endpoint, b"late") != 410:  # noqa: ASYNC110  # as above
                await anyio.sleep(0.02)
            while await w.registrations(chat):  # noqa: ASYNC110  # as above
                await anyio.sleep(0.02)


async def test_a_key_admits_its_sender_alone(w: World) -> None:
    """The endpoint is for the sender that the app has named, and another name is another endpoint."""
    chat = w.fresh()
    first, second = VapidKey.generate(), VapidKey.generate()
    async with w.connector(chat, "--vapid", first.application_server_key):
        endpoint = await w.endpoint(chat)
        assert await post(endpoint, b"unsigned") in {401, 403}
    async with w.connector(chat, "--vapid", second.application_server_key):
        assert await w.endpoint(chat, 2) != endpoint
        assert await post(endpoint, b"to the earlier one") == 410


async def test_what_connectors_cannot_read_is_dropped_and_counted(w: World) -> None:
    """The old coding; what comes behind is delivered."""
    chat = w.fresh()
    async with w.connector(chat):
        endpoint = await w.endpoint(chat)
        assert await post(endpoint, b"old", "aesgcm") == 201
        assert await post(endpoint, b"new") == 201
        assert read(await w.journal(chat).wait_for("Message")) == [b"new"]
        assert (await w.registrations(chat))[0]["unreadable"] == 1
        assert f"a push in the coding 'aesgcm' to {chat} was dropped" in w.agent.said


async def test_a_user_may_remove_a_registration(w: World) -> None:
    """Its app is told, by its token."""
    chat = w.fresh()
    async with w.connector(chat):
        await w.endpoint(chat)
        state = ("--state", str(w.agent.state))
        _, output, _ = await in_process("status", *state)
        found = re.search(rf"  (unifiedpush:{chat}:\w+) registered by UnifiedPush since 20\S+, a test\n", output)
        assert found, output
        app = found[1]
        assert [each["id"] for each in await w.registrations(chat)] == [app]
        code, output, errors = await in_process("agent", "forget", app, *state, "--socket", "another.sock")
        assert (code, output) == (1, "")
        assert f"has the socket {w.agent.socket}, and not " in errors
        code, output, errors = await in_process("agent", *state, "forget", app, "--socket", str(w.agent.socket))
        assert (code, output) == (0, f"{app} was removed: 1 registration\n"), errors
        (told,) = await w.journal(chat).wait_for("Unregistered")
        assert told["body"] == [{"token": chat}]
        with anyio.fail_after(PATIENCE):
            while await w.registrations(chat):  # noqa: ASYNC110  # its endpoint is revoked first
                await anyio.sleep(0.02)
