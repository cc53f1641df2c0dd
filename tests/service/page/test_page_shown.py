"""What the page tells as it happens, of which nothing of others is more than text."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import ClientSession, TCPConnector

from tests.service.page.asking import (
    TOKEN,
    WITH_TOKEN,
    ask,
    event,
    place_of,
    stream,
)
from tests.service.world import Clock, World, dial, open_world
from tocsin.followers import MAX_FOLLOWERS
from tocsin.protocol.delivery.payload_events import Wanted
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.page import live
from tocsin.service.page.live import MAX_VIEWERS, pause
from tocsin.service.page.markup import Markup
from tocsin.service.page.push_rows import KEPT, PushRow, newest_first


async def test_what_comes_is_told_to_who_looks(world: World) -> None:
    """With its reason; a page that is loaded later has it, and says where it goes on."""
    page = await ask(world)
    assert "Nothing has come since" in page.text
    async with stream(world, place_of(page)) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        await world.post(headers={"X-WNS-Type": "wns/<script>"})
        told, place = await event(response, "rows")
    assert told["said"] == "1 refused"
    assert "refused, HTTP 400" in told["rows"]
    assert "&lt;script&gt;" in told["rows"]
    assert "<script" not in told["rows"]
    again = await ask(world)
    assert told["rows"] in again.text
    assert place_of(again) == place
    async with stream(world, "", Last_Event_ID="of-another-run") as response:
        assert (await event(response, "rows"))[0]["rows"] == told["rows"]


async def test_what_changes_is_told(world: World) -> None:
    """A device that comes, an app that is added: the parts of the page that show them."""
    async with stream(world) as response, dial(world.service) as device:
        await event(response, "sections")
        await device.greet()
        await world.service.register("<b>fabrikam</b>")
        changed: dict[str, Any] = {}
        while not {"device-rows", "channel", "app-rows"} <= changed.keys():
            changed |= (await event(response, "sections"))[0]
        assert 'class="state connected"' in changed["device-rows"]
        assert "(connected)" in changed["channel"]
        assert "&lt;b&gt;fabrikam&lt;/b&gt;" in changed["app-rows"]


async def test_what_comes_is_written_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each viewer; each is told all of it."""
    written: list[int] = []

    def write(rows: Sequence[PushRow]) -> Markup:
        written.append(len(rows))
        return newest_first(rows)

    monkeypatch.setattr(live, "newest_first", write)
    async with stream(world) as one, stream(world) as other:
        for each in (one, other):
            await event(each, "sections")
        await world.post()
        told = [await event(each, "rows") for each in (one, other)]
    assert told[0] == told[1]
    assert told[0][0]["said"] == "1 dropped"
    assert written == [1]


def test_a_crowd_is_told_less_often() -> None:
    """Once a second where more come than are shown, else twice."""
    assert [pause(came) for came in (1, KEPT, KEPT + 1)] == [0.5, 0.5, 1.0]


async def test_viewers_are_bounded(world: World) -> None:
    """One too many is told so; when one has left, there is room again."""
    async with ClientSession() as http:
        url = f"{world.service.url}/_tocsin/page/events"
        open_ones = [await http.get(url) for _ in range(MAX_VIEWERS)]
        for each in open_ones:
            await event(each, "sections")
        assert (await ask(world, "/_tocsin/page/events")).status == 503
        for each in open_ones:
            each.close()
    with anyio.fail_after(10):
        while (await ask(world, "/_tocsin/page/events", "HEAD")).status != 200:
            await anyio.lowlevel.checkpoint()


async def test_viewers_that_come_all_at_once_are_bounded(world: World) -> None:
    """Those that there is no room for are told when to come again, in one of two ways, and nothing else."""
    url = f"{world.service.url}/_tocsin/page/events"
    answers = list[tuple[int, str]]()

    async def look() -> None:
        async with http.get(url) as response:
            answers.append((response.status, (await response.content.readline()).decode().strip()))
            if len(answers) == 3 * MAX_VIEWERS:
                all_told.set()
            await all_told.wait()

    all_told = anyio.Event()
    async with ClientSession(connector=TCPConnector(limit=0)) as http, anyio.create_task_group() as group:
        for _ in range(3 * MAX_VIEWERS):
            group.start_soon(look)
    told = (200, "retry: 2000")
    assert answers.count(told) == MAX_VIEWERS
    assert set(answers) - {told} <= {(200, "retry: 10000"), (503, f"{MAX_VIEWERS} pages are open already")}


async def test_the_page_shows_what_no_calendar_has(tmp_path: Path) -> None:
    """A test may set the service's clock so far ahead that the channels expire in a year that cannot be written."""
    last_week = datetime(9999, 12, 25, tzinfo=UTC).timestamp()
    async with open_world(tmp_path, later=last_week - Clock().time) as world:
        assert 'datetime="9999-12-31T23:59Z"' in (await ask(world)).text


async def test_a_service_that_stops_waits_for_no_viewer(tmp_path: Path) -> None:
    """The streams end at once."""
    async with ClientSession() as http:
        async with open_world(tmp_path) as world:
            response = await http.get(f"{world.service.url}/_tocsin/page/events")
            await event(response, "sections")
            began = anyio.current_time()
        assert anyio.current_time() - began < ServiceSettings().drain_timeout / 2
        assert b"event" not in await response.content.read()


async def test_a_stream_ends_with_its_session(tmp_path: Path) -> None:
    """Who has logged out is told nothing more."""
    async with open_world(tmp_path, WITH_TOKEN) as world:
        entered = await ask(world, "/_tocsin/page/login", "POST", {"token": TOKEN}, Origin=world.service.url)
        cookie = entered.headers["Set-Cookie"].partition(";")[0]
        async with stream(world, "", Cookie=cookie) as response:
            await event(response, "sections")
            await ask(world, "/_tocsin/page/logout", "POST", Origin=world.service.url, Cookie=cookie)
            with anyio.fail_after(10):
                rest = await response.content.read()
        assert b"event: rows" not in rest


async def test_the_service_notes_what_comes_only_while_it_is_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a look until a while after the last one; what came before and between is not in the list."""
    followers = world.service.followers
    await world.post(headers={"X-WNS-Type": "wns/before"})
    assert not followers.all
    await ask(world)
    assert len(followers.all) == 1
    monkeypatch.setattr(live, "LINGER", 0.0)
    await world.post(headers={"X-WNS-Type": "wns/early"})
    with anyio.fail_after(10):
        while followers.all:
            await anyio.lowlevel.checkpoint()
    await world.post(headers={"X-WNS-Type": "wns/between"})
    monkeypatch.undo()
    again = await ask(world)
    assert "early" not in again.text
    async with stream(world, place_of(again)) as response:
        await world.post(headers={"X-WNS-Type": "wns/last"})
        told, _ = await event(response, "rows")
    page = (await ask(world)).text
    assert told["said"] == "1 refused"
    assert [word in page for word in ("before", "between", "last")] == [False, False, True]


async def test_the_page_is_one_of_those_that_follow(world: World) -> None:
    """Where there are as many as there may be, it says so, and tries again when it is looked at again."""
    followers = world.service.followers
    with ExitStack() as stack:
        for _ in range(MAX_FOLLOWERS):
            stack.enter_context(followers.follow(Wanted()))
        await ask(world)
        assert "commands follow payloads already" in (await ask(world)).text
    await ask(world)
    await world.post()
    assert len(followers.all) == 1
