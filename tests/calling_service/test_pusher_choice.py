"""By what devices are rung that have no agent connected, as the settings say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.service.world import dial
from tocsin.calling_service.calling_settings import CallingSettings
from tocsin.calling_service.pusher_choice import check_pusher_choice, open_chosen_pusher, way_to_ring
from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.hub.connection_string import write_connection_string
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.repeat_log import RepeatLog
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import PushService, open_service

URL = "http://127.0.0.1:1/accesstoken.srf"


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (
            {"hub": "contoso"},
            "--hub needs its secret as well: give TOCSIN_CALLING_HUB_CONNECTION in the environment, or",
        ),
        ({"hub": "contoso", "hub_connection": "x", "hub_connection_file": "y"}, "--hub needs its secret one way only"),
        ({"hub_connection_file": "y"}, "there is a secret for --hub, which is not given"),
        (
            {"client_id": "sid", "token_url": URL},
            "--client-id needs its secret as well: give TOCSIN_CALLING_CLIENT_SECRET",
        ),
        ({"client_secret": "x"}, "there is a secret for --client-id, which is not given"),
        ({"client_id": "sid", "client_secret": "x"}, "--client-id and --token-url go together"),
        ({"token_url": URL}, "--client-id and --token-url go together"),
        ({"hub": "contoso", "client_id": "sid"}, "give one of the two"),
    ],
)
def test_half_a_choice_is_refused(choice: dict[str, Any], words: str) -> None:
    """In a sentence that says what to do, and shows no secret."""
    with pytest.raises(InvalidArgument) as refused:
        check_pusher_choice(CallingSettings(**choice))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("choice", "way"),
    [
        ({}, "connections"),
        ({"hub": "contoso", "hub_connection": "x"}, "hub"),
        ({"client_id": "sid", "client_secret_file": "x", "token_url": URL}, "pushes"),
    ],
)
def test_a_choice_is_said(choice: dict[str, Any], way: str) -> None:
    """In a word for programs, and in words for people."""
    settings = CallingSettings(**choice)
    check_pusher_choice(settings)
    assert way_to_ring(settings)[0] == way
    assert way_to_ring(settings)[1].startswith("rings connected agents")


async def test_without_a_choice_there_is_no_pusher() -> None:
    """Then only agents that are connected ring."""
    async with open_chosen_pusher(CallingSettings(), RepeatLog()) as pusher:
        assert pusher is None


async def chosen(service: PushService, way: str, secret: Path, **more: Any) -> CallingSettings:
    """Choose a way to ring by a service of our own, with the secret in a file."""
    app = await service.register("contoso")
    if way == "hub":
        hub = await service.hubs.add("contoso-hub", "", "")
        text = write_connection_string(service.url, KEY_NAMES[Right.SEND], hub.keys[Right.SEND])
        choice: dict[str, Any] = {"hub": "contoso-hub", "hub_connection_file": str(secret)}
    else:
        text = app.client_secret
        choice = {"client_id": app.client_id, "client_secret_file": str(secret), "token_url": service.token_url}
    await anyio.Path(secret).write_text(f"  {text}\n", encoding="utf-8")
    return CallingSettings(**choice, **more)


@pytest.mark.parametrize("way", ["hub", "pushes"])
async def test_the_chosen_way_reaches_a_device(tmp_path: Path, way: str) -> None:
    """By the secret in the file, blanks around it aside."""
    (state := tmp_path / "service").mkdir()
    async with open_service(state, ServiceSettings.private()) as service, dial(service) as device:
        settings = await chosen(service, way, tmp_path / "secret")
        await device.greet()
        app = service.registrations.apps()[0]
        uri = (await device.channel(app.remote_id)).uri
        async with open_chosen_pusher(settings, RepeatLog()) as pusher:
            assert pusher is not None
            pusher.check(uri)
            async with anyio.create_task_group() as tasks:
                outcomes: list[Pushed] = []

                async def push() -> None:
                    outcomes.append(await pusher.push(uri, b"ring", 30))

                tasks.start_soon(push)
                assert (await device.acknowledge()).body == b"ring"
            assert outcomes == [Pushed.ACCEPTED]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "it has 1 to 16384 characters there"),
        (b" \n", "it has 1 to 16384 characters there"),
        (b"x" * 20_000, "it has 1 to 16384 characters there"),
        (b"\xff\xfe", "it is no text in UTF-8"),
        ("pipe", "it is no regular file"),
    ],
)
async def test_a_file_without_a_secret_is_told(tmp_path: Path, content: Any, words: str) -> None:
    """Which file it is, and what is wrong with it; nothing that it holds."""
    path = tmp_path / "secret"
    if content == "pipe":
        os.mkfifo(path)
    elif content is not None:
        await anyio.Path(path).write_bytes(content)
    settings = CallingSettings(client_id="sid", token_url=URL, client_secret_file=str(path))
    with pytest.raises(InvalidArgument) as refused:
        async with open_chosen_pusher(settings, RepeatLog()):
            pass
    assert str(refused.value).startswith(f"the client secret cannot be read from {path}: {words}")
