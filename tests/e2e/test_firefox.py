"""Real Firefox with a Tocsin service as its push server: a page subscribes, pywebpush pushes, its service worker gets it.

Firefox is Debian's, without a screen; pywebpush is installed from PyPI in the version that ``firefox/requirements.txt`` names. So only
with ``SENDERS_OF_OTHERS=1``, as ``.ci/run`` sets it. With ``PAGE_PICTURES=FOLDER`` it leaves a picture of the page there.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from aiohttp import ClientSession, web

import tocsin
from tests.e2e.firefox_driver import FIREFOX, browsing, write_preferences
from tests.e2e.installed import install_python, run
from tests.processes import PATIENCE
from tests.world import Gathered
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import PushService, open_service
from tocsin.webpush.vapid_keys import VapidKey

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("SENDERS_OF_OTHERS"),
        reason="installs pywebpush: set SENDERS_OF_OTHERS=1 to have Firefox tried",
    ),
    pytest.mark.skipif(FIREFOX is None, reason="needs Firefox: Debian's package is firefox-esr, .ci/run installs it"),
]

PICTURES = os.environ.get("PAGE_PICTURES", "")
"""The folder for a picture of the page, where it is wanted."""

PAGE = Path(__file__).parent / "firefox"
LONGEST = "x" * 3_993
"""The longest text that pywebpush makes one record of 4,096 bytes of."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Install pywebpush, and return the Python that has it."""
    return install_python(tmp_path_factory.mktemp("python"), PAGE)


@asynccontextmanager
async def page_server(seen: Gathered) -> AsyncIterator[str]:
    """Serve the page, whose worker tells what it got; return where it is."""

    async def take(request: web.Request) -> web.Response:
        seen.add(await request.text())
        return web.Response()

    app = web.Application()
    app.router.add_post("/seen", take)
    app.router.add_post("/subscribed", take)
    app.router.add_static("/", PAGE)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def unregistered(service: PushService) -> str:
    """Wait until a browser has ended a subscription, and return what the metrics say of that."""
    async with ClientSession() as http:
        with anyio.fail_after(PATIENCE):
            while True:
                async with http.get(f"{service.url}/metrics") as answer:
                    lines = (await answer.text()).splitlines()
                if said := [line for line in lines if line.startswith("tocsin_browser_unregistered_total{")]:
                    return " ".join(said)
                await anyio.sleep(0.1)


def prefer(profile: Path, service: PushService) -> None:
    """Make a profile whose push server is this service."""
    preferences = {
        "dom.push.serverURL": service.browser_url,
        "dom.push.testing.allowInsecureServerURL": True,
        "dom.push.connection.enabled": True,  # which being driven turns off
        "permissions.default.desktop-notification": 1,
    }
    write_preferences(profile, preferences)


async def test_a_page_is_subscribed_anew_where_the_service_has_lost_its_state(tmp_path: Path) -> None:
    """Firefox tells its worker by ``pushsubscriptionchange``, and what is sent to the new subscription comes."""
    profile, seen, key = tmp_path / "profile", Gathered(), VapidKey.generate()
    folders = [tmp_path / "state", tmp_path / "another"]
    for each in folders:
        each.mkdir()
    settings = ServiceSettings.private(browsers=True)
    async with page_server(seen) as page, tocsin.WebPushClient(key, "mailto:sender@example.org") as sender:
        async with open_service(folders[0], settings) as service:
            prefer(profile, service)
            async with browsing(profile) as firefox:
                await firefox.visit(f"{page}/index.html")
                old = await firefox.evaluate(f"subscribe({key.application_server_key!r})")
                await sender.send(old, "before")
                await seen.wait_for(1)
        async with open_service(folders[1], attrs.evolve(settings, port=service.port)) as service:
            with pytest.raises(tocsin.ChannelGone):
                await sender.send(old, "lost")
            async with browsing(profile):
                await seen.wait_for(2)
                new = str(seen.items[1])
                assert json.loads(new)["endpoint"] != json.loads(old)["endpoint"]
                await sender.send(new, "after")
                await seen.wait_for(3)
    assert (seen.items[0], seen.items[2]) == ("before", "after")


async def test_firefox_takes_tocsin_as_its_push_server(tmp_path: Path, python: str) -> None:
    """It subscribes, gets what comes and what waited over restarts of both sides, and ends its subscription when it may not have it."""
    state, profile, seen, key = tmp_path / "state", tmp_path / "profile", Gathered(), VapidKey.generate()
    state.mkdir()
    subscription: dict[str, Any] = {}

    async def push(*texts: str) -> Sequence[str]:
        told = json.dumps({"subscription": subscription, "texts": texts, "key": key.text()})
        said = await anyio.to_thread.run_sync(partial(run, [python, str(PAGE / "push.py"), told]))
        return said.split()

    settings = ServiceSettings.private(browsers=True)
    async with page_server(seen) as page:
        async with open_service(state, settings) as service:
            prefer(profile, service)
            async with browsing(profile) as firefox:
                await firefox.visit(f"{page}/index.html")
                subscription |= json.loads(await firefox.evaluate(f"subscribe({key.application_server_key!r})"))
                assert subscription["endpoint"].startswith(f"{service.url}/p/")
                assert await push("Hello from pywebpush") == ["201"]
                assert await firefox.evaluate("shown()") == "Hello from pywebpush"
                if PICTURES:
                    await firefox.resize(760, 320)
                    (Path(PICTURES) / "firefox.png").write_bytes(await firefox.picture())
                assert await push("", LONGEST) == ["201"] * 2
                await seen.wait_for(3)
                # In whichever order the worker's own requests come: Firefox handles several pushes at a time.
                assert sorted(map(str, seen.items)) == sorted(["Hello from pywebpush", "", LONGEST])
            assert await push("waited 1", "waited 2") == ["201"] * 2
        async with open_service(state, settings) as service:
            assert await push("waited 3") == ["201"]
            async with browsing(profile) as firefox:
                await seen.wait_for(6)
                assert sorted(map(str, seen.items[3:])) == ["waited 1", "waited 2", "waited 3"]
                await firefox.visit(f"{page}/index.html")
                assert json.loads(await firefox.evaluate("subscription()")) == subscription
                assert await push("now") == ["201"]
                await seen.wait_for(7)
                await firefox.command(
                    "permissions.setPermission", descriptor={"name": "notifications"}, state="denied", origin=page
                )
                assert await unregistered(service) == 'tocsin_browser_unregistered_total{code="202"} 1.0'
                assert await push("too late") == ["410"]
    assert len(seen.items) == 7
