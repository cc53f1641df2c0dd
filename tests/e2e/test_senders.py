"""Sender libraries as they were published, against the service: each sends a toast, a tile, a badge and a raw body.

They are installed from PyPI and npm in the versions that the files in ``senders/`` lock, so only with
``SENDERS_OF_OTHERS=1``, as ``.ci/run`` sets it; then nothing is skipped. Node.js is the one that came with pyright. Each
library has a program in ``senders/`` that uses it as its own documentation shows. Those for Node.js know Microsoft's
hosts only: ``reroute.js`` turns their connections to this machine, outside the library.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import ObjectReceiveStream
from attrs import define

import tocsin
from tests.actors.shelling import PlayedDesktop
from tests.e2e.installed import NODE, install_node, install_python, run
from tests.e2e.terminal import Terminal, free_port, next_line
from tests.processes import PATIENCE
from tocsin.testing import LocalWns

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("SENDERS_OF_OTHERS"),
        reason="installs sender libraries: set SENDERS_OF_OTHERS=1 to have them tried",
    )
]

PROGRAMS = Path(__file__).parent / "senders"

Report = list[dict[str, Any]]


class Target(Protocol):
    """Where to send, and as whom: what a :class:`LocalWns` has, and a :class:`Served`."""

    channel_uri: str
    token_url: str
    client_id: str
    client_secret: str


@define
class Served:
    """A channel of a ``tocsin serve``."""

    channel_uri: str
    token_url: str
    client_id: str
    client_secret: str


Run = Callable[[Target, str], Report]


@pytest.fixture(scope="module")
def in_python(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install the libraries for Python, and return what runs a program with them."""
    python = install_python(tmp_path_factory.mktemp("python"), PROGRAMS)
    return lambda wns, program: _lines(run([python, str(PROGRAMS / program), _credentials(wns, wns.channel_uri)]))


@pytest.fixture(scope="module")
def in_node(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install the libraries for Node.js, and return what runs a program with them."""
    environment = install_node(tmp_path_factory.mktemp("node"), PROGRAMS)

    def run_rerouted(wns: Target, program: str) -> Report:
        uri = urlsplit(wns.channel_uri)
        as_wns = uri._replace(scheme="https", netloc="db5p.notify.windows.com").geturl()
        command = [
            str(NODE),
            "--require",
            str(PROGRAMS / "reroute.js"),
            str(PROGRAMS / program),
            _credentials(wns, as_wns),
        ]
        return _lines(run(command, environment | {"TOCSIN_PORT": str(uri.port)}))

    return run_rerouted


def _credentials(wns: Target, uri: str) -> str:
    ids = {"client_id": wns.client_id, "client_secret": wns.client_secret}
    return json.dumps({"uri": uri, "token_url": wns.token_url, **ids})


def _lines(output: str) -> Report:
    """Read the report: one object a line, in the order of the types."""
    order = ["toast", "tile", "badge", "raw"]
    return sorted((json.loads(line) for line in output.splitlines()), key=lambda line: order.index(line["type"]))


def arrived(wns: LocalWns) -> dict[str, str]:
    """Return what the device has got, by type; each type came once."""
    pushes = {push.type: push.text for push in wns.pushes}
    assert len(wns.pushes) == len(pushes)
    return pushes


NODE_TOAST = '<toast><visual><binding template="ToastText01"><text id="1">Grüße</text></binding></visual></toast>'
NODE_TILE = (
    '<tile><visual><binding template="TileSquareText02"><text id="1">one</text><text id="2">two</text></binding>'
    "</visual></tile>"
)
NODE_ARRIVED = {
    "toast": NODE_TOAST,
    "tile": NODE_TILE,
    "badge": '<badge value="7" version="1"/>',
    "raw": '{"key":"value"}',
}
PYTHON_ARRIVED = {
    "toast": '<toast><visual><binding template="ToastText01"><text id="1">Gr&#252;&#223;e</text></binding></visual></toast>',
    "tile": '<tile><visual><binding template="TileSquareText02" /></visual></tile>',
    "badge": '<badge value="7" />',
    "raw": '{"key": "value"}',
}


def test_npm_wns(in_node: Run, wns: LocalWns) -> None:
    """All four arrive, it reports success for each, and they share one token."""
    for line in in_node(wns, "wns.js"):
        assert line == {**line, "error": None, "status": 200, "notification": "received", "token": "string"}
    assert arrived(wns) == NODE_ARRIVED
    assert wns.token_requests == 1


def test_npm_wns_reports_what_went_wrong(in_node: Run, wns: LocalWns) -> None:
    """Its own words for our status codes: for a channel that was revoked, and for credentials that get no token."""
    wns.revoke_channel()
    report = in_node(wns, "wns.js")
    assert [(line["status"], line["error"]) for line in report] == [(410, "The channel expired.")] * 4
    wns.refuse_token()
    report = in_node(wns, "wns.js")
    assert [line["status"] for line in report] == [400] * 4
    assert all("invalid_client" in line["error"] for line in report)
    assert wns.pushes == []


def test_npm_node_pushnotifications(in_node: Run, wns: LocalWns) -> None:
    """All four arrive, and it counts four successes."""
    report = in_node(wns, "node_pushnotifications.js")
    assert [(line["success"], line["failure"], line["error"]) for line in report] == [(1, 0, None)] * 4
    assert arrived(wns) == NODE_ARRIVED


def test_pypi_django_push_notifications(in_python: Run, wns: LocalWns) -> None:
    """All four arrive, and it reports no error; it asks for a token each time."""
    report = in_python(wns, "django_push_notifications.py")
    assert [(line["reply"], line["error"]) for line in report] == [("", None)] * 4
    assert arrived(wns) == PYTHON_ARRIVED
    assert wns.token_requests == 4


def test_pypi_django_push_notifications_reports_what_went_wrong(in_python: Run, wns: LocalWns) -> None:
    """Its own words for our status codes: busy, away, a channel that was revoked, credentials that get no token."""
    wns.throttle()
    wns.fail(503)
    wns.fail(413)
    report = in_python(wns, "django_push_notifications.py")
    assert [line["error"] for line in report] == [
        "HTTP 406: The cloud service exceeded its throttle limit",
        "HTTP 503: The server is currently unavailable.",
        "HTTP 413: The notification payload exceeds the 500 byte limit.",
        None,
    ]
    assert [push.type for push in wns.pushes] == ["raw"]
    wns.revoke_channel()
    report = in_python(wns, "django_push_notifications.py")
    assert [line["error"] for line in report] == ["HTTP 410: The channel expired."] * 4
    wns.refuse_token()
    report = in_python(wns, "django_push_notifications.py")
    assert [line["error"] for line in report] == ["Authentication failed, check your WNS settings."] * 4


async def test_all_against_tocsin_serve(in_python: Run, in_node: Run, tmp_path: Path) -> None:
    """As processes of their own: the service, an app's registration, and an app that gets what the libraries send."""
    terminal = Terminal(tmp_path, free_port())
    app = json.loads(await terminal.run("tocsin app add contoso.mail --state ./service --json"))
    async with terminal.running("tocsin serve --state ./service --port 8080") as printed:
        await next_line(printed)
        service = terminal.variables["SERVICE"]
        async with tocsin.embedded("contoso.mail", tmp_path / "app", service) as manager:
            channel = (await manager.create_channel(app["remote_id"])).channel
            assert channel is not None
            served = Served(channel.uri, f"{service}/accesstoken.srf", app["client_id"], app["client_secret"])
            with taking(channel) as taken:  # all the while: what comes while an app takes nothing is for the desktop
                for ran_in, program, expected in (
                    (in_node, "wns.js", NODE_ARRIVED),
                    (in_node, "node_pushnotifications.js", NODE_ARRIVED),
                    (in_python, "django_push_notifications.py", PYTHON_ARRIVED),
                ):
                    report = await anyio.to_thread.run_sync(ran_in, served, program)
                    assert [line["error"] for line in report] == [None] * 4
                    with anyio.fail_after(PATIENCE):
                        assert dict([await taken.receive() for _ in expected]) == expected


async def test_what_they_send_is_shown(in_python: Run, in_node: Run, tmp_path: Path) -> None:
    """Their toasts on the desktop, their tiles and badges in ``tocsin tiles``; no handler of the app is needed."""
    desktop = PlayedDesktop()
    async with tocsin.embedded("contoso.mail", tmp_path / "state", desktop=desktop) as manager:
        registration = manager.registration
        assert registration is not None
        channel = (await manager.create_channel(registration.remote_id)).channel
        assert channel is not None
        who = registration.token_url, registration.client_id, registration.client_secret
        programs = (
            (in_node, "wns.js", "one | two"),
            (in_node, "node_pushnotifications.js", "one | two"),
            (in_python, "django_push_notifications.py", ""),
        )
        for ran_in, program, tile in programs:
            report = await anyio.to_thread.run_sync(ran_in, Served(channel.uri, *who), program)
            assert [line["error"] for line in report] == [None] * 4
            with anyio.fail_after(PATIENCE):
                while await _tiles(tmp_path / "state") != {"badge": "7", "tile": tile}:  # noqa: ASYNC110  # as it is on disk
                    await anyio.sleep(0.05)
            await manager.badge.clear()
            await manager.tiles.clear()
    assert [popup.title for popup, _ in desktop.asked] == ["Grüße"] * len(programs)


async def _tiles(state: Path) -> dict[str, str]:
    """Return what ``tocsin tiles`` says that a badge and a tile show."""
    command = [sys.executable, "-m", "tocsin", "tiles", "--json", "--state", str(state)]
    printed = (await anyio.run_process(command)).stdout.decode()
    return {line["kind"]: line["shows"] for line in map(json.loads, printed.splitlines())}


@contextmanager
def taking(channel: tocsin.PushNotificationChannel) -> Iterator[ObjectReceiveStream[tuple[str, str]]]:
    """Take what comes, as an app that runs does: each payload's type and text, in order."""
    give, take = anyio.create_memory_object_stream[tuple[str, str]](math.inf)

    def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        give.send_nowait((args.type, args.text))
        args.handled = True

    with give, take, channel.push_received(handler):
        yield take
