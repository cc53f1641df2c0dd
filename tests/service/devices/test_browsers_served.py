"""Browsers over real sockets, with the store on disk: where they connect, and what outlives a start of the service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.service.devices.browser_world import CHANNEL, UAID
from tests.service.world import dial
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import PushService, open_service

SETTINGS = ServiceSettings.private(browsers=True)


class Browser:
    """A browser, as its WebSocket sees it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **words: Any) -> None:
        """Say something."""
        await self.socket.send(json.dumps(words))

    async def ask(self, **question: Any) -> dict[str, Any]:
        """Say something, and take the answer."""
        await self.say(**question)
        return await self.take()

    async def take(self) -> dict[str, Any]:
        """Take the next text."""
        text = await self.socket.recv()
        assert isinstance(text, str)
        said: dict[str, Any] = json.loads(text)
        return said

    async def greet(self, uaid: str = UAID) -> dict[str, Any]:
        """Say hello, as Firefox."""
        return await self.ask(messageType="hello", uaid=uaid, use_webpush=True, broadcasts={})


@asynccontextmanager
async def browsing(service: PushService) -> AsyncIterator[Browser]:
    """Connect as Firefox does: its origin is the whole URL, and it offers a subprotocol."""
    url = service.browser_url
    assert url is not None
    async with connect(url, origin=url, subprotocols=["push-notification"], ping_interval=None) as socket:  # type: ignore[arg-type, list-item]  # plain texts
        yield Browser(socket)


async def post(endpoint: str, body: bytes = b"") -> int:
    """Push, and return the status."""
    async with ClientSession() as http, http.post(endpoint, data=body, headers={"TTL": "60"}) as answer:
        return answer.status


async def test_subscriptions_and_what_waits_outlive_the_service(tmp_path: Path) -> None:
    """The endpoint is the same, what was answered 201 comes, and after the end of the subscription it is 410, also then."""
    async with open_service(tmp_path, SETTINGS) as service, browsing(service) as browser:
        welcome = await browser.greet()
        assert welcome == {"messageType": "hello", "status": 200, "uaid": welcome["uaid"], "use_webpush": True}
        endpoint = (await browser.ask(messageType="register", channelID=CHANNEL))["pushEndpoint"]
        assert endpoint.startswith(f"{service.url}/p/")
    async with open_service(tmp_path, SETTINGS) as service:
        assert await post(endpoint) == 201
    async with open_service(tmp_path, SETTINGS) as service, browsing(service) as browser:
        assert await browser.greet(welcome["uaid"]) == welcome
        waited = await browser.take()
        assert (waited["messageType"], waited["channelID"], "data" in waited) == ("notification", CHANNEL, False)
        await browser.say(messageType="ack", updates=[{"channelID": CHANNEL, "version": waited["version"]}])
        again = await browser.ask(messageType="register", channelID=CHANNEL)
        assert again["pushEndpoint"] == endpoint
        gone = {"messageType": "unregister", "channelID": CHANNEL, "status": 200}
        assert await browser.ask(messageType="unregister", channelID=CHANNEL, code=200) == gone
        assert await post(endpoint) == 410
    async with open_service(tmp_path, SETTINGS) as service:
        assert await post(endpoint) == 410


async def test_browsers_are_let_in_only_where_the_operator_says_so(tmp_path: Path) -> None:
    """Else nothing is at their path, and devices connect as they do."""
    async with open_service(tmp_path) as service, ClientSession() as http:
        assert service.browser_url is None
        async with http.get(f"{service.url}/browsers") as answer:
            assert answer.status == 404
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://127.0.0.1:{service.port}/browsers"):
                pass
        assert refused.value.response.status_code == 404
        async with dial(service) as device:
            await device.greet()


async def test_a_request_without_a_websocket_is_told_what_is_there(tmp_path: Path) -> None:
    """As where devices connect: a proxy may not pass WebSockets on."""
    async with open_service(tmp_path, SETTINGS) as service, ClientSession() as http:
        assert service.browser_url == f"ws://127.0.0.1:{service.port}/browsers"
        async with http.get(f"{service.url}/browsers") as answer:
            assert answer.status == 426


async def test_what_browsers_say_is_counted(tmp_path: Path) -> None:
    """By code, for Prometheus."""
    async with open_service(tmp_path, SETTINGS) as service, browsing(service) as browser, ClientSession() as http:
        await browser.greet()
        endpoint = (await browser.ask(messageType="register", channelID=CHANNEL))["pushEndpoint"]
        assert await browser.ask() == {}
        await browser.ask(messageType="unregister", channelID=CHANNEL, code=201)
        assert await post(endpoint) == 410
        async with http.get(f"{service.url}/metrics") as answer:
            assert 'tocsin_browser_unregistered_total{code="201"} 1.0' in (await answer.text()).splitlines()
