"""The page over HTTP: who is shown it, what it shows, and what its form sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import ClientResponse, ClientSession
from attrs import frozen

from tests.service.world import KEY, World, dial, open_world
from tocsin.protocol.errors import StateUnavailable
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.page.access import COOKIE, MAX_SESSIONS
from tocsin.service.page.live import MAX_VIEWERS
from tocsin.service.page.page_routes import MAX_FORM
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore
from tocsin.service.server import open_service

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


# Who is shown it


async def test_this_machine_sees_the_page(standing: World) -> None:
    """With what the service is, and with headers that let no other page have a part in it."""
    page = await ask(standing)
    assert page.status == 200
    assert '<html lang="en">' in page.text
    for words in ("contoso", "Connected devices", standing.service.url, standing.app.client_id):
        assert words in page.text
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (page.headers["Cache-Control"], page.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert (await ask(standing, method="HEAD")).status == 200


async def test_no_secret_is_on_the_page(standing: World) -> None:
    """Neither the token of a channel, nor an access token, nor a secret."""
    page = await ask(standing)
    token = standing.uri.partition("token=")[2]
    assert all(secret not in page.text for secret in (token, standing.token, standing.app.client_secret, KEY))


async def test_the_page_has_no_inline_script_or_style(standing: World) -> None:
    """The policy would keep them from running; the files are the service's."""
    page = (await ask(standing)).text
    assert page.count("<script ") == page.count("<script") == 1
    assert "style=" not in page
    assert " on" not in page.replace(" on the", "").partition("<main>")[0]
    for name, kind in zip(FILES, ("text/css", "text/javascript", "image/svg+xml"), strict=True):
        file = await ask(standing, f"/_tocsin/page/{name}")
        assert (file.status, file.headers["Content-Type"].partition(";")[0]) == (200, kind)
        assert "http://" not in file.text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("path", ["/", "/_tocsin/page/events", *(f"/_tocsin/page/{name}" for name in FILES)])
async def test_others_find_nothing(standing: World, path: str) -> None:
    """What came through a proxy is not from here; the answer is that of any path that is not served."""
    nothing = await ask(standing, "/nowhere")
    there = await ask(standing, path, **PROXIED)
    assert (there.status, there.text) == (404, nothing.text)
    assert {name.lower() for name in there.headers} == {name.lower() for name in nothing.headers}


@pytest.mark.parametrize("verb", ["send", "login", "logout"])
async def test_others_find_nothing_to_send_to(standing: World, verb: str) -> None:
    """As above."""
    there = await ask(standing, f"/_tocsin/page/{verb}", "POST", {}, **PROXIED, Origin=standing.service.url)
    assert there.status == 404


@pytest.mark.parametrize(
    ("path", "method"),
    [("/", "POST"), ("/", "DELETE"), ("/_tocsin/page/send", "GET"), ("/_tocsin/page/events", "POST")],
)
async def test_what_is_read_is_not_posted_to(standing: World, path: str, method: str) -> None:
    """And the other way round."""
    assert (await ask(standing, path, method, Origin=standing.service.url)).status == 404


async def test_the_page_can_be_turned_off(tmp_path: Path) -> None:
    """Then there is none."""
    async with open_world(tmp_path, ServiceSettings(page=False)) as world:
        assert [(await ask(world, path)).status for path in ("/", "/_tocsin/page/style.css")] == [404, 404]


async def test_a_trusted_proxy_is_not_this_machine(tmp_path: Path) -> None:
    """Also where it says nothing of its client."""
    async with open_world(tmp_path, ServiceSettings(trusted_proxies=("127.0.0.1",))) as world:
        assert (await ask(world)).status == 404


async def test_a_channel_uri_stays_one(standing: World) -> None:
    """A token in the query is that of a channel."""
    got = await ask(standing, f"/?token={TOKEN.replace(' ', '-')}")
    assert (got.status, "X-WNS-Error-Description" in got.headers) == (405, True)


async def test_a_program_of_another_user_finds_nothing(standing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system says whose program has connected."""
    monkeypatch.setattr("tocsin.service.page.access.is_of_another_user", lambda _: True)
    assert (await ask(standing)).status == 404


# The token


async def test_with_a_token_all_are_asked_for_it(tmp_path: Path) -> None:
    """Also this machine, and whoever comes through a proxy; nothing of the service is told before."""
    async with open_world(tmp_path, WITH_TOKEN) as world:
        for headers in ({}, PROXIED, {"Authorization": "Bearer wrong"}, {"Cookie": f"{COOKIE}=wrong"}):
            asked = await ask(world, **headers)
            assert asked.status == 200
            assert 'type="password"' in asked.text
            assert world.app.client_id not in asked.text
            assert (await ask(world, "/_tocsin/page/events", **headers)).status == 401
        assert (await ask(world, "/_tocsin/page/style.css")).status == 200
        refused = await ask(world, "/_tocsin/page/send", "POST", {}, Origin=world.service.url)
        assert refused.status == 401


async def test_a_bearer_token_opens_the_page(tmp_path: Path) -> None:
    """As it opens the metrics, from wherever it comes."""
    async with open_world(tmp_path, WITH_TOKEN) as world:
        page = await ask(world, Authorization=f"Bearer {TOKEN}", **PROXIED)
        assert world.app.client_id in page.text
        assert "Log out" not in page.text


async def test_who_logs_in_has_a_session_until_it_logs_out(tmp_path: Path) -> None:
    """By a cookie that no script reads and no other site sends; it is not the token."""
    async with open_world(tmp_path, WITH_TOKEN) as world:
        wrong = await ask(world, "/_tocsin/page/login", "POST", {"token": "no"}, Origin=world.service.url)
        assert (wrong.status, "That is not the token" in wrong.text) == (401, True)
        assert 'href="../../_tocsin/page/style.css"' in wrong.text
        entered = await ask(world, "/_tocsin/page/login", "POST", {"token": TOKEN}, Origin=world.service.url)
        assert (entered.status, entered.headers["Location"]) == (303, "../../")
        written = entered.headers["Set-Cookie"]
        cookie = written.partition(";")[0]
        assert TOKEN not in written
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {each.strip() for each in written.split(";")}
        assert "Secure" not in written  # it is spoken in plain words on this machine
        assert "Log out" in (await ask(world, Cookie=cookie)).text
        left = await ask(world, "/_tocsin/page/logout", "POST", Origin=world.service.url, Cookie=cookie)
        assert left.status == 303
        assert 'type="password"' in (await ask(world, Cookie=cookie)).text


async def test_a_cookie_is_for_tls_where_the_service_is_reached_so(tmp_path: Path) -> None:
    """Also where it is a proxy that speaks it."""
    settings = ServiceSettings(page_token=TOKEN, public_url="https://push.example")
    async with open_service(tmp_path, settings) as service, ClientSession() as http:
        url = f"http://127.0.0.1:{service.port}/_tocsin/page/login"
        headers = {"Host": "push.example", "Origin": "https://push.example"}
        async with http.post(url, data={"token": TOKEN}, headers=headers, allow_redirects=False) as entered:
            assert (entered.status, "Secure" in entered.headers["Set-Cookie"]) == (303, True)


async def test_tokens_cannot_be_guessed_one_after_the_other(tmp_path: Path) -> None:
    """After some wrong ones the right one is refused for a while too, however it is given."""
    settings = ServiceSettings(page_token=TOKEN, secret_burst=2, secret_rate=0.001)
    async with open_world(tmp_path, settings) as world:
        for _ in range(2):
            await ask(world, Authorization="Bearer no")
        late = await ask(world, "/_tocsin/page/login", "POST", {"token": TOKEN}, Origin=world.service.url)
        assert (late.status, int(late.headers["Retry-After"]) > 100) == (429, True)
        assert 'type="password"' in (await ask(world, Authorization=f"Bearer {TOKEN}")).text


async def test_sessions_are_bounded(tmp_path: Path) -> None:
    """The oldest one ends when there are too many."""
    async with open_world(tmp_path, WITH_TOKEN) as world:
        cookies = []
        for _ in range(MAX_SESSIONS + 1):
            entered = await ask(world, "/_tocsin/page/login", "POST", {"token": TOKEN}, Origin=world.service.url)
            cookies.append(entered.headers["Set-Cookie"].partition(";")[0])
        assert 'type="password"' in (await ask(world, Cookie=cookies[0])).text
        assert "Log out" in (await ask(world, Cookie=cookies[1])).text


# Pages of others


@pytest.mark.parametrize("path", ["/", "/_tocsin/page/events", "/_tocsin/page/script.js"])
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}], ids=str
)
async def test_pages_of_others_are_refused(standing: World, path: str, headers: dict[str, str]) -> None:
    """Those that ask from elsewhere, and those whose name was made to lead here."""
    assert (await ask(standing, path, **headers)).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["send", "logout"])
async def test_only_the_page_itself_posts(standing: World, verb: str, headers: dict[str, str]) -> None:
    """A form of another site is refused, and what does not say where it is from."""
    form = {"channel": await channel_of(standing), "type": "raw", "body": "x"}
    assert (await ask(standing, f"/_tocsin/page/{verb}", "POST", form, **headers)).status == 403


# What it shows


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


# What its form sends


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
        ({"type": "raw", "body": "x" * 5_001}, "413 Request"),
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
    form = {"channel": await channel_of(standing), "type": "raw", "body": 'a\r\n<b>"', "tag": '"><script>'}
    sent = await ask(standing, "/_tocsin/page/send", "POST", form, Origin=standing.service.url)
    page = (await ask(standing, "/" + sent.headers["Location"].removeprefix("../../").partition("#")[0])).text
    assert "a\\r\n&lt;b&gt;&quot;</textarea>" in page
    assert 'value="&quot;&gt;&lt;script&gt;"' in page
    assert '<option value="raw" selected>' in page


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
