"""How tests ask for the page of a service, and read what it tells."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from aiohttp import ClientResponse
from attrs import frozen

from tests.service.world import World
from tocsin.service.operations.settings import ServiceSettings

TOKEN = "correct horse battery"  # noqa: S105 - a case
WITH_TOKEN = ServiceSettings(page_token=TOKEN)
PROXIED = {"X-Forwarded-For": "203.0.113.7"}
FILES = ("style.css", "script.js", "icon.svg")


@frozen
class Got:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    text: str


async def ask(world: World, path: str = "/", method: str = "GET", data: Any = None, **headers: str) -> Got:
    """Ask, and follow no redirection."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = world.service.url + path
    async with world.http.request(method, url, data=data, headers=named, allow_redirects=False) as response:
        return Got(response.status, response.headers, await response.text())


async def send(world: World, form: Mapping[str, str], **headers: str) -> str:
    """Fill in the form, and return what the page then says of the answer."""
    sent = await ask(world, "/_tocsin/page/send", "POST", form, **({"Origin": world.service.url} | headers))
    assert sent.status == 303, sent.text
    assert sent.headers["Location"].startswith("../../?sent=")
    shown = await ask(world, "/" + sent.headers["Location"].removeprefix("../../").partition("#")[0])
    return shown.text.partition('<div id="answer"')[2].partition("</section>")[0]


async def channel_of(world: World) -> str:
    """Return the name of the channel that the form offers first."""
    return (await ask(world)).text.partition('<option value="')[2].partition('"')[0]


async def options_of(world: World, query: str) -> list[str]:
    """Return the names of the channels that the form offers."""
    select = (await ask(world, f"/?{query}")).text.partition('<select id="channel"')[2].partition("</select>")[0]
    return re.findall('<option value="(.*?)"', select)


@asynccontextmanager
async def stream(world: World, after: str = "", **headers: str) -> AsyncIterator[ClientResponse]:
    """Open the stream of what happens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{world.service.url}/_tocsin/page/events?after={after}"
    async with world.http.get(url, headers=named) as response:
        yield response


async def event(response: ClientResponse, kind: str) -> tuple[dict[str, Any], str]:
    """Wait for an event of that kind, and return its data and its id."""
    found, place = "", ""
    with anyio.fail_after(10):
        async for line in response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                found = value
            elif name == "id":
                place = value
            elif name == "data" and found == kind:
                data: dict[str, Any] = json.loads(value)
                return data, place
    raise AssertionError("the stream has ended")


def place_of(page: Got) -> str:
    """Return where in what comes a page goes on."""
    return page.text.partition('data-place="')[2].partition('"')[0]
