"""What the form of the page sends."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import anyio
import pytest

from tests.service.page.asking import (
    ask,
    channel_of,
    options_of,
    send,
)
from tests.service.world import OTHER_KEY, World, dial, open_world
from tocsin.protocol.errors import StateUnavailable
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.page import form as form_
from tocsin.service.page import picture
from tocsin.service.page.page_routes import MAX_FORM
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore


async def test_a_push_from_the_form_goes_the_way_of_all(world: World) -> None:
    """It reaches the device as a server's does, and its answer is shown."""
    name = await channel_of(world)
    form = {"channel": name, "type": "toast", "title": "Ann", "body": "Lunch\r\nat <1>?", "tag": "a", "cache": "cache"}
    async with anyio.create_task_group() as group, dial(world.service) as device:
        await device.greet()
        answers = []

        async def fill_in() -> None:
            answers.append(await send(world, form))

        group.start_soon(fill_in)
        payload = await device.acknowledge()
        with anyio.fail_after(10):
            while not answers:
                await anyio.lowlevel.checkpoint()
    assert payload.channel == name
    assert payload.body == (
        b'<toast><visual><binding template="ToastGeneric"><text>Ann</text><text>Lunch\nat &lt;1&gt;?</text></binding>'
        b"</visual></toast>"
    )
    assert "received" in answers[0]
    assert "200 OK" in answers[0]
    assert "X-WNS-Msg-ID" in answers[0]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"type": "raw", "body": "x"}, "Device is offline and X-WNS-Cache-Policy is no-cache"),
        ({"type": "raw", "body": "x", "tag": "<script>"}, "X-WNS-Tag must be 1 to 16 letters and digits"),
        ({"type": "raw", "body": "x", "tag": "a\r\nb: c"}, "X-WNS-Tag must be 1 to 16 letters and digits"),
        ({"type": "raw", "body": "x", "ttl": "soon"}, "X-WNS-TTL must be a whole number"),
        ({"type": "raw", "body": "x" * 5_001}, f"413 {HTTPStatus(413).phrase}"),
        ({"type": "badge", "body": "many"}, "a badge is a number"),
        ({"type": "toast", "body": ""}, "must not be empty"),
        ({"type": "voice", "body": "x"}, "choose a type"),
        ({"type": "raw", "body": "x", "channel": "another"}, "choose a channel"),
    ],
)
async def test_what_is_not_taken_says_why(standing: World, form: dict[str, str], words: str) -> None:
    """By the service's own words, or before it is sent."""
    answer = await send(standing, {"channel": await channel_of(standing)} | form)
    assert words in answer
    assert "<script" not in answer


async def test_what_was_filled_in_stays_so(standing: World) -> None:
    """For who has no JavaScript: the page that shows the answer has the form as it was sent."""
    title = "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}"
    form = {"channel": await channel_of(standing), "type": "raw", "body": '\na\tb\r\n<b>"', "tag": '"><script>'}
    form["title"] = title
    sent = await ask(standing, "/_tocsin/page/send", "POST", form, Origin=standing.service.url)
    page = (await ask(standing, "/" + sent.headers["Location"].removeprefix("../../").partition("#")[0])).text
    assert ">\n\na\tb\r\n&lt;b&gt;&quot;</textarea>" in page
    assert f'value="{title}"' in page
    assert 'value="&quot;&gt;&lt;script&gt;"' in page
    assert '<option value="raw" selected>' in page


async def test_a_channel_that_is_not_shown_is_found_and_sent_to(
    standing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the app's name or by how its own or its device's begins; the page that shows the answer offers it still."""
    name = await channel_of(standing)
    standing.clock.time += 1  # channels of one moment are in the order of their names
    app = await standing.service.register("fabrikam")
    async with dial(standing.service) as device:
        await device.greet(OTHER_KEY)
        newer = (await device.channel(app.remote_id)).channel
    assert "Another channel" not in (await ask(standing)).text
    for module in (picture, form_):
        monkeypatch.setattr(module, "MOST", 1)
    assert await options_of(standing, "") == [newer]
    assert "Another channel" in (await ask(standing)).text
    for query in ("app=CONT", f"begins={name[:6].upper()}", f"app=o&begins={name}"):
        assert await options_of(standing, query) == [name], query
    for query in ("app=nowhere", "begins=abc%27", f"app=fabrikam&begins={name}"):
        assert await options_of(standing, query) == [], query
    form = {"channel": name, "begins": name[:6], "app": "", "type": "raw", "body": "x"}
    sent = await ask(standing, "/_tocsin/page/send", "POST", form, Origin=standing.service.url)
    query = sent.headers["Location"].partition("?")[2].partition("#")[0]
    assert await options_of(standing, query) == [name]
    page = (await ask(standing, f"/?{query}")).text
    assert f'<input type="hidden" name="begins" value="{name[:6]}">' in page
    assert "The newest 1 that were found can be chosen." in page


async def test_what_is_sought_is_text(standing: World) -> None:
    """Whatever is in the address; a token there is that of a channel, as ever."""
    page = await ask(standing, "/?app=%22%3E%3Cscript%3E&begins=%27%20OR%201")
    assert (page.status, "&quot;&gt;&lt;script&gt;" in page.text) == (200, True)
    assert '<select id="channel" name="channel" required data-still></select>' in page.text


async def test_limits_hold_for_the_form_too(tmp_path: Path) -> None:
    """It is one of the app's senders."""
    async with open_world(tmp_path, ServiceSettings(app_burst=1, app_rate=0.001)) as world:
        form = {"channel": await channel_of(world), "type": "raw", "body": "x"}
        await send(world, form)
        assert "Too many notifications of this app" in await send(world, form)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"x" * (MAX_FORM + 1), 413), (b"body=%ff", 400), (b"&".join(b"a=1" for _ in range(99)), 400)],
)
async def test_a_form_is_bounded(standing: World, body: bytes, status: int) -> None:
    """In bytes and in fields, and it is UTF-8."""
    sent = await ask(standing, "/_tocsin/page/send", "POST", body, Origin=standing.service.url)
    assert sent.status == status


async def test_the_page_says_that_the_store_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown all the same."""

    async def fail(*_: object) -> None:
        raise StateUnavailable("the disk is gone")

    monkeypatch.setattr(SqliteServiceStore, "newest_channels", fail)
    page = await ask(world)
    assert (page.status, "store: the disk is gone" in page.text) == (200, True)
