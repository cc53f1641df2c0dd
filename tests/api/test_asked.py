"""A program that embeds the platform is asked by the command while it runs."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

import tocsin
from tests.helpers import PATIENCE
from tests.processes import call, sender
from tests.world import Gathered
from tocsin.agent.takeover import take_over
from tocsin.transport import unix_server
from tocsin.transport.control_socket import ask, follow, socket_of


async def in_process(*arguments: str) -> tuple[int, str, str]:
    """Run the command beside the test's event loop, which answers it."""
    return await anyio.to_thread.run_sync(call, *arguments)


async def status_of(folder: Path) -> dict[str, Any]:
    """Ask for it as the command does."""
    told = await ask(folder / "state", {"verb": "status"})
    assert told is not None
    return told


async def until_followed(folder: Path) -> None:
    """Wait until a command follows."""
    while not (await status_of(folder))["now"]["followers"]:
        pass


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[tocsin.PushNotificationManager]:
    """Run a program with a push service of its own."""
    async with tocsin.embedded("contoso.mail", tmp_path / "state", sensors=()) as found:
        yield found


async def a_channel(manager: tocsin.PushNotificationManager) -> tuple[tocsin.PushNotificationChannel, dict[str, Any]]:
    """Return the channel of a program, and what a sender needs."""
    registration = manager.registration
    assert registration is not None
    with anyio.fail_after(PATIENCE):
        result = await manager.create_channel(registration.remote_id)
    assert result.channel is not None, result
    names = ("token_url", "client_id", "client_secret")
    return result.channel, {name: getattr(registration, name) for name in names} | {"uri": result.channel.uri}


async def test_it_says_how_it_is(tmp_path: Path, manager: tocsin.PushNotificationManager) -> None:
    """Which program it is, and what platform and service have counted; exit code 0 says that both are well."""
    channel, credentials = await a_channel(manager)
    async with sender(credentials) as server:
        await server.push(b"ding")
    code, output, errors = await in_process("status", "--json", "--state", str(tmp_path / "state"))
    told = json.loads(output)
    assert (code, errors, told["kind"], told["status"], told["causes"]) == (0, "", "program", "ok", {})
    service = channel.uri.split("/w/")[0]
    assert (told["app"], told["pid"], told["service"]) == ("contoso.mail", os.getpid(), service)
    assert (told["sessions"], told["now"]["channels"]) == ({"contoso.mail": 1}, 1)
    assert (told["counters"]["received"], told["counters"]["bad_frames"]) == (1, 0)
    _, output, _ = await in_process("status", "--state", str(tmp_path / "state"))
    first, *_, last = output.splitlines()
    assert first == f"ok  program contoso.mail, process {os.getpid()}, push service {service}"
    assert last.split() == ["contoso.mail", "1", "connected"]


async def test_its_apps_come_and_go(tmp_path: Path, manager: tocsin.PushNotificationManager) -> None:
    """As those of a service: a secret that is asked for while it runs is good at once."""
    state = ("--json", "--state", str(tmp_path / "state"))
    channel, credentials = await a_channel(manager)
    _, output, _ = await in_process("app", "rotate", "contoso.mail", *state)
    async with sender(credentials | json.loads(output)) as server:
        assert (await server.push(b"ding", channel.uri))[0] == 200
    assert (await in_process("app", "add", "contoso.chat", *state))[0] == 0
    _, output, _ = await in_process("app", "list", *state)
    assert [app["name"] for app in json.loads(output)["apps"]] == ["contoso.chat", "contoso.mail"]
    assert (await in_process("app", "remove", "contoso.chat", *state))[0] == 0
    code, _, errors = await in_process("app", "remove", "contoso.chat", *state)
    refusal = json.loads(errors)
    assert (code, refusal["kind"], refusal["sentence"]) == (1, "NotFound", "no app is registered as 'contoso.chat'")
    assert (await in_process("hub", "add", "hub", *state))[0] == 0
    _, output, _ = await in_process("hub", "list", *state)
    assert [hub["name"] for hub in json.loads(output)["hubs"]] == ["hub"]


async def test_a_payload_is_followed_from_its_sender_to_its_handler(
    tmp_path: Path, manager: tocsin.PushNotificationManager
) -> None:
    """What the sender is told, and each stage in the program, come by one command, with the same id."""
    channel, credentials = await a_channel(manager)
    told: list[dict[str, Any]] = []

    def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        args.handled = True

    async def listen() -> None:
        async with aclosing(follow(tmp_path / "state", {"verb": "tail", "apps": ["contoso.mail"]})) as events:
            async for event in events:
                told.append(event)
                if {"received", "handled"} <= {each["stage"] for each in told}:
                    return

    with anyio.fail_after(PATIENCE), channel.push_received(handler):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await until_followed(tmp_path)
            async with sender(credentials) as server:
                await server.push(b"ding")
    assert len({event["id"] for event in told}) == 1
    stages = [event["stage"] for event in told]
    stages.remove("received")  # told when the answer goes out, at its own time
    assert stages == ["accepted", "stored", "offered", "handled"]


@pytest.mark.usefixtures("manager")
async def test_a_service_elsewhere_is_asked_about_its_apps(tmp_path: Path) -> None:
    """A program that uses another push service says how it is itself, and which service to ask about the rest."""
    service = (await status_of(tmp_path))["service"]
    async with tocsin.embedded("contoso.chat", tmp_path / "other", service, sensors=()):
        for verb in ("app", "hub"):
            code, _, errors = await in_process(verb, "list", "--state", str(tmp_path / "other"))
            assert (code, errors.count("\n")) == (1, 1)
            assert "this program does not know how to" in errors
            assert errors.endswith(f"apps and hubs are registered with its push service, {service}\n")
        code, output, _ = await in_process("status", "--state", str(tmp_path / "other"))
        assert output.startswith(f"ok  program contoso.chat, process {os.getpid()}, push service {service}")
        assert "received" not in output


async def test_what_an_agent_is_asked_a_program_is_asked_too(
    tmp_path: Path, manager: tocsin.PushNotificationManager
) -> None:
    """Usage and policy; a dead letter is handled once it is retried. What only an agent can, is refused."""
    state = ("--state", str(tmp_path / "state"))
    channel, credentials = await a_channel(manager)
    async with sender(credentials) as server:
        await server.push(b"no tile", X_WNS_Type="wns/tile", Content_Type="text/xml")
    with anyio.fail_after(PATIENCE):
        while not (dead := (await in_process("dead-letters", "--json", *state))[1]):
            pass
    seen = Gathered()
    with channel.push_received(lambda args: seen.add(args.attempt)):
        id_ = json.loads(dead)["id"]
        code, output, errors = await in_process("dead-letters", "retry", id_, *state)
        assert (code, errors) == (0, "")
        assert output == f"{id_} is a payload again, behind those that wait\n"
        await seen.wait_for(1)
    assert "BUDGET" in (await in_process("usage", *state))[1]
    assert (await in_process("policy", "exempt", "contoso.mail", *state))[0] == 0
    assert manager.conditions.settings.exempt_from_energy_saver
    code, _, errors = await in_process("agent", "forget", "contoso.mail", *state)
    assert (code, errors) == (1, "tocsin agent: this program does not know how to 'forget'\n")
    with pytest.raises(tocsin.PlatformUnavailable, match="is no agent, and cannot be replaced by one"):
        await take_over(tmp_path / "state")


async def test_the_socket_is_private_and_goes_with_the_program(tmp_path: Path) -> None:
    """Only its user may open it, and who asks behind the end finds nothing."""
    state = tmp_path / "state"
    async with tocsin.embedded("contoso.mail", state, sensors=()):
        assert stat.S_IMODE(socket_of(state).stat().st_mode) == 0o600
    assert not socket_of(state).exists()
    assert await ask(state, {"verb": "status"}) is None


@pytest.mark.parametrize("cause", ["a system without", "a path too long"])
async def test_where_there_can_be_no_socket_the_program_runs_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cause: str
) -> None:
    """It is no fault of the program, so the log says it at info; the command says who holds the folder."""
    state = tmp_path / ("s" if cause == "a system without" else "s" * 100)
    if cause == "a system without":
        monkeypatch.setattr(unix_server, "socket", SimpleNamespace(socket=socket.socket))
    with caplog.at_level(logging.INFO):
        async with tocsin.embedded("contoso.mail", state, sensors=()) as manager:
            await a_channel(manager)
            for words in (["app", "list"], ["status"], ["tail"]):
                code, _, errors = await in_process(*words, "--state", str(state))
                assert (code, errors.count("\n")) == (1, 1)
                assert f"process {os.getpid()} holds {state} and takes no commands; its log may say why" in errors
    (record,) = [each for each in caplog.records if "cannot reach this program" in each.message]
    assert record.levelno == logging.INFO
    assert max(each.levelno for each in caplog.records) < logging.WARNING


async def test_a_program_hears_of_its_connection_from_the_first(tmp_path: Path) -> None:
    """A handler that it adds right behind its start hears of the first connection: nothing before that waits for a thread."""
    seen = Gathered()
    async with tocsin.embedded("contoso.mail", tmp_path / "state", sensors=()) as manager:
        manager.add_connection_changed(lambda connection: seen.add(connection.connected))
        await seen.wait_for(1)
    assert seen.items[0] is True


@pytest.mark.parametrize("kind", ["file", "link"])
async def test_what_stands_in_the_place_of_the_socket_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """A file, or a link to one: the program runs, and cannot be asked."""
    place = socket_of(tmp_path)
    if kind == "file":
        place.write_text("mine")
    else:
        (tmp_path / "mine").write_text("mine")
        place.symlink_to("mine")
    with caplog.at_level(logging.INFO):
        async with tocsin.embedded("contoso.mail", tmp_path, sensors=()):
            assert await ask(tmp_path, {"verb": "status"}) is None
    assert (place.read_text(), place.is_symlink()) == ("mine", kind == "link")
    assert "cannot reach this program" in caplog.text
