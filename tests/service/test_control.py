"""The command's way to a running service."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.service.world import Clock
from tocsin.persistence.state import state_folder
from tocsin.protocol.errors import PlatformUnavailable, PushError, StateUnavailable
from tocsin.service.control import ask, ask_or_perform, perform, serving_control, socket_of
from tocsin.service.registrations import Registrations, SecretVerdict
from tocsin.service.store import ServiceStore


async def echo(request: dict[str, Any]) -> dict[str, Any]:
    """Answer with what was asked, or refuse."""
    if "refuse" in request:
        raise PushError("no")
    return request


async def test_a_question_is_answered(tmp_path: Path) -> None:
    """Answers and refusals come back, one after the other."""
    async with serving_control(tmp_path, echo):
        assert await ask(tmp_path, {"verb": "x"}) == {"verb": "x"}
        with pytest.raises(PushError, match="no"):
            await ask(tmp_path, {"refuse": True})
        assert await ask(tmp_path, {}) == {}


async def test_the_socket_is_private_and_goes_with_the_service(tmp_path: Path) -> None:
    """Only its user may open it; one that a killed service left behind is replaced."""
    async with serving_control(tmp_path, echo):
        assert stat.S_IMODE(socket_of(tmp_path).stat().st_mode) == 0o600
    assert not socket_of(tmp_path).exists()
    assert await ask(tmp_path, {}) is None
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(socket_of(tmp_path)))
    async with serving_control(tmp_path, echo):
        assert await ask(tmp_path, {}) == {}


async def test_nonsense_is_not_answered(tmp_path: Path) -> None:
    """Neither what is not JSON nor what is too long harms the service."""
    async with serving_control(tmp_path, echo):
        for line in (b"nonsense\n", b"x" * 20_000, b""):
            async with await anyio.connect_unix(socket_of(tmp_path)) as stream:
                await stream.send(line or b"\n")
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()
        assert await ask(tmp_path, {}) == {}


async def test_where_there_can_be_no_socket_the_service_runs_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A path that is too long for a socket is told in the log."""
    long = tmp_path / ("x" * 100)
    async with serving_control(long, echo):
        assert await ask(long, {}) is None
    assert "cannot reach this service" in caplog.text


async def test_apps_come_and_go(registrations: Registrations) -> None:
    """What is printed is what counts: secrets, ids, names."""
    added = await perform(registrations, {"verb": "add", "name": "contoso", "family": "Contoso_1"})
    assert registrations.verify(added["client_id"], added["client_secret"]) is SecretVerdict.VALID
    rotated = await perform(registrations, {"verb": "rotate", "name": "contoso"})
    for secret in (added["client_secret"], rotated["client_secret"]):
        assert registrations.verify(added["client_id"], secret) is SecretVerdict.VALID
    assert rotated["remote_id"] == added["remote_id"]
    (listed,) = (await perform(registrations, {"verb": "list"}))["apps"]
    assert listed == {
        "name": "contoso", "family": "Contoso_1", "client_id": added["client_id"], "remote_id": added["remote_id"],
        "secrets": 2,
    }  # fmt: skip
    assert added["client_secret"] not in json.dumps(listed)
    assert await perform(registrations, {"verb": "remove", "name": "contoso"}) == {"removed": "contoso"}
    assert (await perform(registrations, {"verb": "list"}))["apps"] == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"verb": "add", "name": "contoso"}, "registered as 'contoso' already"),
        ({"verb": "add", "name": "other", "family": "F_1"}, "'F_1' is that of the app 'contoso'"),
        ({"verb": "add", "name": ""}, "1 to 128 printable characters"),
        ({"verb": "add", "name": "x", "family": "\n"}, "1 to 128 printable characters"),
        ({"verb": "rotate", "name": "nobody"}, "no app is registered as 'nobody'"),
        ({"verb": "remove", "name": "nobody"}, "no app is registered as 'nobody'"),
        ({"verb": "explode"}, "does not know how to 'explode'"),
        ({}, "does not know how to None"),
    ],
)
async def test_what_cannot_be_is_refused(registrations: Registrations, request_: dict[str, Any], words: str) -> None:
    """The sentence says why."""
    await perform(registrations, {"verb": "add", "name": "contoso", "family": "F_1"})
    with pytest.raises(PushError, match=words):
        await perform(registrations, request_)


async def test_the_family_outlives_a_restart(store: ServiceStore, registrations: Registrations, clock: Clock) -> None:
    """It is stored with the app."""
    await registrations.add("contoso", "Contoso_1")
    assert [app.family for app in (await Registrations.load(store, clock)).apps()] == ["Contoso_1"]


async def test_without_a_service_the_store_is_opened(tmp_path: Path) -> None:
    """What is done then is there for the next; a folder that somebody else holds is not touched."""
    await ask_or_perform(tmp_path, {"verb": "add", "name": "contoso"})
    assert [app["name"] for app in (await ask_or_perform(tmp_path, {"verb": "list"}))["apps"]] == ["contoso"]
    with state_folder(tmp_path), pytest.raises(StateUnavailable, match="is in use by process"):
        await ask_or_perform(tmp_path, {"verb": "list"})


async def test_a_service_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """Whoever closes without a word is no answer."""

    async def close(stream: anyio.abc.ByteStream) -> None:
        await stream.aclose()

    async with await anyio.create_unix_listener(socket_of(tmp_path)) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, close)
        with pytest.raises(PlatformUnavailable, match="does not answer"):
            await ask(tmp_path, {})
        group.cancel_scope.cancel()
