"""The short way to a channel: it is returned, or why there is none is raised."""

from __future__ import annotations

import os
import shlex
import sysconfig
from pathlib import Path
from typing import Any

import anyio
import pytest

import tocsin
import tocsin.testing
from tests.world import REMOTE_ID, world
from tocsin.api.identity import Identity
from tocsin.api.manager import PushNotificationManager
from tocsin.api.registration import Registration
from tocsin.cli import send
from tocsin.cli.given_body import read_body
from tocsin.cli.performing import command_parser
from tocsin.protocol.messages import ChannelRefused, RequestChannel
from tocsin.protocol.platform.retry_schedule import RetryPolicy

FAST = RetryPolicy(first=0.01, increment=0.01, longest=0.05, jitter=0)
URI = "http://push.test/w/?token=c1"
_REGISTERED = Registration("remote", "id", "secret", "http://push.test/token", "http://push.test/aad")


async def test_a_channel_of_the_own_service_needs_no_id(tmp_path: Path) -> None:
    """The manager knows the app's remote id, and the line that pushes to the channel."""
    async with tocsin.embedded("contoso.mail", tmp_path) as manager:
        assert manager.registration is not None
        assert manager.remote_id == manager.registration.remote_id
        channel = await manager.open_channel()
        assert (await manager.open_channel(manager.remote_id)).uri == channel.uri
        secrets = manager.registration.client_id, manager.registration.client_secret
        command, *line = shlex.split(manager.send_line(channel, "it's late"))
    assert Path(command).name == "tocsin"
    assert line == [
        "send",
        channel.uri,
        "it's late",
        "--client-id",
        secrets[0],
        "--client-secret",
        secrets[1],
    ]


@pytest.mark.parametrize("body", ["it's late", "", "-n", "--json", "@home", "@@", "@-", "a\nb", "http://push.test/"])
def test_the_line_pushes_the_body_as_it_is(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it looks like: an option, a file, a URI, or a line for a shell."""
    _, *words = shlex.split(_REGISTERED.send_line(URI, body))
    monkeypatch.setenv("TOCSIN_CHANNEL", "http://other.test/")
    arguments = command_parser("send").parse_args(words)
    uri, word = send._words(arguments.uri, arguments.body)
    assert (uri, read_body(word)) == (URI, body.encode())
    assert (arguments.client_id, arguments.client_secret, arguments.json) == ("id", "secret", False)


@pytest.mark.parametrize("body", ["-", "a\0b", b"bytes", None])
def test_a_body_that_no_line_can_have_is_refused(body: Any) -> None:
    """A dash is standard input."""
    with pytest.raises(tocsin.InvalidArgument, match="the body"):
        _REGISTERED.send_line(URI, body)


@pytest.mark.parametrize("found", [True, False], ids=["in its environment", "outside of it"])
def test_the_line_names_the_command_so_that_it_is_found(monkeypatch: pytest.MonkeyPatch, *, found: bool) -> None:
    """A program may be started by the path of its Python, and the terminal in which its line is pasted knows no 'tocsin'."""
    scripts = sysconfig.get_path("scripts")
    elsewhere = [each for each in os.environ["PATH"].split(os.pathsep) if each != scripts]
    monkeypatch.setenv("PATH", os.pathsep.join([scripts, *elsewhere] if found else elsewhere))
    own = Registration("remote", "id", "secret", "http://127.0.0.1/t", "http://127.0.0.1/a")
    command = "tocsin" if found else str(Path(scripts, "tocsin"))
    assert own.send_line("http://127.0.0.1/w/?token=1").startswith(f"{command} send ")


async def test_it_retries_as_the_operation_does(tmp_path: Path) -> None:
    """What may pass is waited for."""
    async with world(tmp_path, retries=FAST) as w, anyio.create_task_group() as tasks:

        async def refuse_then_grant() -> None:
            request = await w.service.expect(RequestChannel)
            refused = ChannelRefused(request.request, tocsin.HResult.WNP_E_BIND_USER_BUSY, "busy", None)
            await w.service.send(refused)
            await w.service.grant()

        tasks.start_soon(refuse_then_grant)
        assert (await w.manager.open_channel(REMOTE_ID)).uri == "http://push.test/w/?token=c1"


async def test_a_failure_is_raised_with_its_code(tmp_path: Path) -> None:
    """The sentence is the service's, the HRESULT that of the result."""
    async with world(tmp_path) as w, anyio.create_task_group() as tasks:

        async def refuse() -> None:
            request = await w.service.expect(RequestChannel)
            await w.service.send(ChannelRefused(request.request, tocsin.HResult.WPN_E_INVALID_APP, "unknown app", None))

        tasks.start_soon(refuse)
        with pytest.raises(tocsin.ChannelNotGranted, match=r"^unknown app$") as failed:
            await w.manager.open_channel(REMOTE_ID)
        assert failed.value.hresult is tocsin.HResult.WPN_E_INVALID_APP


async def test_one_that_is_cancelled_withdraws_its_request(tmp_path: Path) -> None:
    """No other has the operation, so none could cancel it later: another request asks the service anew."""
    async with world(tmp_path) as w:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(w.manager.open_channel, REMOTE_ID)
                await w.service.expect(RequestChannel)
                scope.cancel()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(w.service.grant)
            assert (await w.manager.open_channel(REMOTE_ID)).uri == "http://push.test/w/?token=c1"


async def test_an_app_of_a_service_elsewhere_is_told_where_its_id_is_from(tmp_path: Path) -> None:
    """Id and secret are with who has registered it there; a packaged app is found by its family."""
    async with world(tmp_path) as w:
        with pytest.raises(
            tocsin.IllegalCall, match="that runs elsewhere: its remote id is what 'tocsin app add NAME'"
        ):
            _ = w.manager.remote_id
        with pytest.raises(tocsin.IllegalCall, match="that runs elsewhere: the id and secret to send with are what"):
            w.manager.send_line(tocsin.testing.channel())
        with pytest.raises(tocsin.IllegalCall, match="its remote id is what 'tocsin app add NAME' prints there"):
            await w.manager.open_channel()
        packaged = PushNotificationManager(
            w.manager._session, "contoso.mail", None, Identity(packaged=True, family_name="Contoso.Mail_1")
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(w.service.grant)
            assert (await packaged.open_channel()).uri


@pytest.mark.parametrize("remote_id", ["mail", "00000000-0000-0000-0000-000000000000"])
async def test_an_id_that_is_none_is_refused(tmp_path: Path, remote_id: str) -> None:
    """As by ``create_channel``."""
    async with world(tmp_path) as w:
        with pytest.raises(tocsin.InvalidArgument, match="remote id"):
            await w.manager.open_channel(remote_id)
