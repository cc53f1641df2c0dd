"""The distributor on a bus of its own, over a platform whose push service the test plays."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from dbus_fast import Message, Variant

from tests.agent.unifiedpush.served import CHAT, TOKEN, Served, served, until_owned
from tocsin.agent.unifiedpush import distributor as module
from tocsin.bus_service import INVALID_ARGUMENTS
from tocsin.protocol import messages as m
from tocsin.protocol.errors import NotFound
from tocsin.protocol.hresult import HResult
from tocsin.protocol.unifiedpush.connector_registration import ConnectorRegistration, Phase
from tocsin.protocol.unifiedpush.names import DISTRIBUTOR, DISTRIBUTOR_PATH
from tocsin.protocol.webpush.base64url import encode

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon")

KEY, OTHER_KEY = b"\x04" + bytes(64), b"\x04" + bytes([1] * 64)
SUCCESS = {"success": "REGISTRATION_SUCCEEDED"}


def failed(reason: str) -> dict[str, str]:
    """Return the answer to a registration that is refused."""
    return {"success": "REGISTRATION_FAILED", "reason": reason}


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and SQLite: on asyncio."""
    return "asyncio"


async def test_both_versions_are_described(tmp_path: Path, address: str) -> None:
    """By which a connector chooses the second one."""
    async with served(tmp_path, address) as s:
        await until_owned(s)
        described = await s.bus.introspect(DISTRIBUTOR, DISTRIBUTOR_PATH)
        found = {
            each.name: {method.name: (method.in_signature, method.out_signature) for method in each.methods}
            for each in described.interfaces
        }
        assert found == {
            "org.unifiedpush.Distributor1": {"Register": ("sss", "ss"), "Unregister": ("s", "")},
            "org.unifiedpush.Distributor2": {"Register": ("a{sv}", "a{sv}"), "Unregister": ("a{sv}", "a{sv}")},
        }


async def test_two_calls_at_once_are_one_registration(tmp_path: Path, address: str) -> None:
    """Both are answered when there is an endpoint, which the app is told before."""
    async with served(tmp_path, address) as s:
        await until_owned(s)
        answers: list[Any] = []

        async def register() -> None:
            answers.append(await s.register())
            assert s.heard

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(register)
            tasks.start_soon(register)
            request = await s.platform.service.grant()
        assert (request.app, request.remote_id) == (s.store.rows["t"].app, "webpush:")
        assert answers == [SUCCESS, SUCCESS]
        assert [each.member for each in s.heard[:1]] == ["NewEndpoint"]
        assert len(s.distributor.report()["registrations"]) == 1


@asynccontextmanager
async def without_network(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """Serve while the push service cannot be reached, to apps that are told so soon."""
    monkeypatch.setattr(module, "ENDPOINT_PATIENCE", 0.2)
    async with served(tmp_path, address, reachable=False) as s:
        await until_owned(s)
        yield s


async def until_forgotten(s: Served, token: str = TOKEN) -> None:
    """Wait until nothing is kept of a registration."""
    while token in s.store.rows:  # noqa: ASYNC110  # it ends in its own time
        await anyio.sleep(0.005)


async def test_an_app_does_not_wait_for_a_service_that_is_silent(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told so, and nothing is kept of it."""
    monkeypatch.setattr(module, "ENDPOINT_PATIENCE", 0.2)
    async with served(tmp_path, address) as s:
        await until_owned(s)
        assert await s.register() == failed("INTERNAL_ERROR")
        await until_forgotten(s)


async def test_an_app_that_was_told_of_no_network_gets_its_endpoint_with_it(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for the answer, nor has it to ask again."""
    async with without_network(tmp_path, address, monkeypatch) as s:
        assert await s.register() == failed("NETWORK")
        assert s.heard == []
        (waiting,) = s.distributor.report()["registrations"]
        assert waiting["waiting"].startswith("waits for its endpoint")
        s.platform.service.reachable = True
        await s.platform.service.accept()
        await s.platform.service.grant()
        while not s.heard:  # noqa: ASYNC110  # the app is told in its own time
            await anyio.sleep(0.005)
        assert s.heard[0].body[0]["endpoint"].value == s.store.rows[TOKEN].endpoint != ""
        assert s.store.rows[TOKEN].phase is Phase.REGISTERED


async def test_without_a_network_the_last_token_of_an_app_counts(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tries again with another one; what it asks for at the same time it wants all of."""
    async with without_network(tmp_path, address, monkeypatch) as s:
        assert await s.register("first") == failed("NETWORK")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(s.register, "second")
            tasks.start_soon(s.register, "third")
        await until_forgotten(s, "first")
        assert await s.register("second") == failed("NETWORK")
        assert set(s.store.rows) == {"second", "third"}


async def test_an_app_that_has_ended_waits_for_no_network(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it ends before it was told, or after that: its next process may know another token."""
    async with without_network(tmp_path, address, monkeypatch) as s:
        assert await s.register() == failed("NETWORK")
        await s.bus.release_name(CHAT)
        await until_forgotten(s)
        await s.bus.request_name(CHAT)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(s.register)
            while TOKEN not in s.store.rows:  # noqa: ASYNC110  # it is written down in its own time
                await anyio.sleep(0.005)
            await s.bus.release_name(CHAT)
        await until_forgotten(s)


async def test_a_name_by_which_no_app_can_be_reached_is_refused(tmp_path: Path, address: str) -> None:
    """In both versions, and in words: nothing owns it, and no file starts it."""
    async with served(tmp_path, address) as s:
        await until_owned(s)
        call = Message(
            destination=DISTRIBUTOR,
            path=DISTRIBUTOR_PATH,
            interface="org.unifiedpush.Distributor1",
            member="Register",
            signature="sss",
            body=["org.example.Absent", TOKEN, ""],
        )
        answer = await s.bus.call(call)
        assert answer is not None
        assert answer.error_name == INVALID_ARGUMENTS
        assert "nothing owns 'org.example.Absent', and no file of that name" in answer.body[0]
        assert await s.register(service="org.example.Absent") == INVALID_ARGUMENTS
        assert s.store.rows == {}


async def test_a_known_endpoint_needs_no_network(tmp_path: Path, address: str) -> None:
    """After a restart an app reads what it knows, also where the push service is away."""
    row = ConnectorRegistration("t", CHAT, 2, "", None, 9e8, Phase.REGISTERED, "http://push.test/p/c1")
    async with served(tmp_path, address, reachable=False, rows=(row,)) as s:
        await until_owned(s)
        assert await s.register() == SUCCESS
        assert s.heard[0].body[0]["endpoint"].value == "http://push.test/p/c1"


async def test_a_service_that_gives_no_endpoints_asks_for_a_person(tmp_path: Path, address: str) -> None:
    """As one that is too old to know Web Push."""
    async with served(tmp_path, address) as s:
        await until_owned(s)
        answers: list[Any] = []

        async def register() -> None:
            answers.append(await s.register())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(register)
            request = await s.platform.service.expect(m.RequestChannel)
            refused = m.ChannelRefused(request.request, int(HResult.WPN_E_INVALID_APP), "no such app", None)
            await s.platform.service.send(refused)
        assert answers == [failed("ACTION_REQUIRED")]


async def test_there_is_room_for_so_many(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One more is refused, which the log says once, and has room when one has gone."""
    monkeypatch.setattr(module, "MAX_REGISTRATIONS", 1)
    async with served(tmp_path, address) as s:
        await until_owned(s)
        await s.registered()
        assert await s.register("another") == await s.register("a third") == failed("ACTION_REQUIRED")
        assert len([each for each in caplog.records if "registrations are kept" in each.getMessage()]) == 1
        assert await s.ask("Unregister", "s", ["t"], 1) == []
        revoke = await s.platform.service.expect(m.RevokeChannels)
        await s.platform.service.send(m.ChannelsRevoked(revoke.request, ("c1",)))
        while s.distributor.report()["registrations"]:  # noqa: ASYNC110  # it ends in its own time
            await anyio.sleep(0.005)
        await s.registered("another", "c2")
        assert list(s.store.rows) == ["another"]


async def test_another_key_is_another_endpoint(tmp_path: Path, address: str) -> None:
    """The one before is revoked first; version 1 has no keys, and changes none."""
    async with served(tmp_path, address) as s:
        await until_owned(s)
        service = s.platform.service
        answers: list[Any] = []

        async def register(key: bytes) -> None:
            answers.append(await s.register(key=key))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(register, KEY)
            assert (await service.grant()).remote_id == f"webpush:{encode(KEY)}"
        assert await s.ask("Register", "sss", [CHAT, "t", ""], 1) == ["REGISTRATION_SUCCEEDED", ""]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(register, OTHER_KEY)
            revoke = await service.expect(m.RevokeChannels)
            await service.send(m.ChannelsRevoked(revoke.request, ("c1",)))
            assert (await service.grant("c2")).remote_id == f"webpush:{encode(OTHER_KEY)}"
        assert answers == [SUCCESS, SUCCESS]
        assert s.store.rows["t"].key == OTHER_KEY
        assert [each.member for each in s.heard] == ["NewEndpoint"] * 3


@pytest.mark.parametrize(
    "call",
    [
        ("Register", "sss", ["no name", "t", ""], 1),
        ("Register", "sss", [CHAT, "", ""], 1),
        ("Register", "a{sv}", [{}], 2),
        ("Unregister", "a{sv}", [{"token": Variant("u", 1)}], 2),
        ("Unregister", "s", ["x" * 101], 1),
    ],
)
async def test_malformed_calls_are_errors(tmp_path: Path, address: str, call: tuple[str, str, list[Any], int]) -> None:
    """For whom has written the app."""
    async with served(tmp_path, address) as s:
        await until_owned(s)
        assert await s.ask(*call) == INVALID_ARGUMENTS


async def test_what_is_not_registered_is_unregistered_already(tmp_path: Path, address: str) -> None:
    """No word is lost on it."""
    async with served(tmp_path, address) as s:
        await until_owned(s)
        assert await s.ask("Unregister", "a{sv}", [{"token": Variant("s", "t")}]) == {}
        with pytest.raises(NotFound, match="tocsin status"):
            await s.distributor.remove("unifiedpush:org.example.Chat:0")
