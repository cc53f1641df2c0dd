"""Who is shown the page that ``tocsin open`` serves, and what it tells of a platform that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
from aiohttp import ClientSession, CookieJar
from attrs import define

import tocsin
from tests.processes import PATIENCE, Sender
from tests.service.page.asking import Got, event, place_of
from tocsin.cli import open as verb
from tocsin.cli.platform_page import asked_platform, first_visitor
from tocsin.cli.platform_page.serving_page import serving_page
from tocsin.protocol.delivery.payload_events import Wanted
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.service.server import open_service
from tocsin.transport.control_socket import ask

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and SQLite: on asyncio."""
    return "asyncio"


@define
class Visitor:
    """Who looks at a page; no cookie is kept, but where it is given."""

    http: ClientSession
    url: str
    key: str
    """The path that lets in."""
    state: Path
    channel: tocsin.PushNotificationChannel
    sender: Sender
    cookie: str = ""

    async def ask(self, path: str = "/", method: str = "GET", **headers: str) -> Got:
        """Ask, and follow no redirection."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            named.setdefault("Cookie", self.cookie)
        async with self.http.request(method, self.url + path, headers=named, allow_redirects=False) as response:
            return Got(response.status, response.headers, await response.text())

    async def enter(self) -> None:
        """Open the address, and keep the cookie."""
        entered = await self.ask(self.key)
        assert (entered.status, entered.headers["Location"]) == (303, "/")
        self.cookie = entered.headers["Set-Cookie"].partition(";")[0]


@asynccontextmanager
async def visiting(folder: Path) -> AsyncIterator[Visitor]:
    """Serve the page of a program whose push service runs elsewhere."""
    (folder / "service").mkdir()
    async with open_service(folder / "service") as service, ClientSession() as http:
        app = await service.register("contoso.mail")
        async with tocsin.embedded("contoso.mail", folder / "state", service=service.url, sensors=()) as manager:
            channel = await manager.open_channel(app.remote_id)
            credentials = {"client_id": app.client_id, "client_secret": app.client_secret, "uri": channel.uri}
            server = Sender(http, credentials | {"token_url": service.token_url})
            await server.sign_in()
            async with serving_page(folder / "state", "program") as page:
                parts = urlsplit(page.address)
                url = f"{parts.scheme}://{parts.netloc}"
                yield Visitor(http, url, parts.path, folder / "state", channel, server)


@pytest.fixture
async def visitor(tmp_path: Path) -> AsyncIterator[Visitor]:
    """Give a visitor who has not entered."""
    async with visiting(tmp_path) as found:
        yield found


async def test_the_address_lets_in_once(visitor: Visitor) -> None:
    """By a cookie that no script reads and no other site sends; who has it may use the address again, others may not."""
    outside = await visitor.ask()
    assert (outside.status, outside.text.count("run 'tocsin open' again")) == (403, 1)
    entered = await visitor.ask(visitor.key)
    assert (entered.status, entered.headers["Location"]) == (303, "/")
    cookie, *marks = entered.headers["Set-Cookie"].split("; ")
    assert cookie.startswith(f"tocsin_open_{urlsplit(visitor.url).port}=")
    assert {mark.lower() for mark in marks} == {"httponly", "path=/", "samesite=strict"}
    assert cookie.partition("=")[2] not in visitor.key
    again = await visitor.ask(visitor.key)
    assert (again.status, "Set-Cookie" in again.headers) == (403, False)
    assert [(await visitor.ask(path, Cookie=cookie)).status for path in ("/", visitor.key)] == [200, 303]
    assert (await visitor.ask(Cookie=f"{cookie}x")).status == 403


async def test_a_look_at_the_address_uses_nothing_up(visitor: Visitor) -> None:
    """Nor does one by whom it is not for, nor a wrong one."""
    assert (await visitor.ask(visitor.key, "HEAD")).status == 403
    assert (await visitor.ask(visitor.key, "POST")).status == 404
    assert (await visitor.ask(visitor.key, Host="evil.example")).status == 403
    assert (await visitor.ask(visitor.key, Origin="https://evil.example")).status == 403
    assert (await visitor.ask(visitor.key, X_Forwarded_For="203.0.113.7")).status == 404
    assert (await visitor.ask(f"{visitor.key}x")).status == 403
    assert (await visitor.ask(visitor.key)).status == 303


async def test_the_address_is_good_for_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the command has to be run again."""
    assert first_visitor.LASTS == 60
    monkeypatch.setattr(first_visitor, "LASTS", 0.0)
    async with visiting(tmp_path) as late:
        assert (await late.ask(late.key)).status == 403


async def test_a_program_of_another_user_finds_nothing(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with the address, or the cookie."""
    await visitor.enter()
    monkeypatch.setattr(first_visitor, "is_of_another_user", lambda _: True)
    for path in ("/", visitor.key, "/_tocsin/page/events", "/_tocsin/page/script.js"):
        assert (await visitor.ask(path)).status == 404, path


@pytest.mark.parametrize("path", ["/", "/_tocsin/page/events", "/_tocsin/page/script.js"])
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}], ids=str
)
async def test_pages_of_others_are_refused(visitor: Visitor, path: str, headers: dict[str, str]) -> None:
    """Whatever cookie comes with it."""
    await visitor.enter()
    assert (await visitor.ask(path, **headers)).status == 403


async def test_the_page_only_looks(visitor: Visitor) -> None:
    """It has no form, and nothing to send to; what is not let in hears nothing."""
    assert (await visitor.ask("/_tocsin/page/events")).status == 401
    await visitor.enter()
    page = await visitor.ask()
    assert "<form" not in page.text
    assert [(await visitor.ask(path, "POST", Origin=visitor.url)).status for path in ("/", "/_tocsin/page/send")] == [
        404,
        404,
    ]
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")


async def test_what_becomes_of_payloads_is_told(visitor: Visitor) -> None:
    """With app, outcome and reason, as it happens; neither the URI of the channel nor what is in the payload."""
    await visitor.enter()
    page = await visitor.ask()
    assert "<h1>" in page.text
    assert "Tocsin program" in page.text
    assert "contoso.mail" in page.text
    events = f"{visitor.url}/_tocsin/page/events?after={place_of(page)}"
    with anyio.fail_after(PATIENCE):
        while not ((await ask(visitor.state, {"verb": "status"})) or {})["now"]["followers"]:
            await anyio.lowlevel.checkpoint()
    handled = visitor.channel.push_received(lambda args: setattr(args, "handled", True))
    async with visitor.http.get(events, headers={"Cookie": visitor.cookie}) as response:
        await event(response, "sections")
        with handled:
            assert (await visitor.sender.push(b"words of a payload"))[0] == 200
            told, _ = await event(response, "rows")
    assert told["said"] == "1 handled"
    assert '<span class="stage handled">handled</span>' in told["rows"]
    again = await visitor.ask()
    assert told["rows"] in again.text
    token = visitor.channel.uri.partition("token=")[2]
    assert [secret for secret in (token, "words of", visitor.cookie.partition("=")[2]) if secret in again.text] == []


async def test_a_platform_that_has_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    """The page stays, and goes on when another runs on the same folder."""
    async with visiting(tmp_path) as visitor:
        await visitor.enter()
        cookie_of_another_page = visitor.cookie
    async with (
        serving_page(tmp_path / "state", "program") as page,
        ClientSession(cookie_jar=CookieJar(unsafe=True)) as http,
    ):
        address = page.address.partition("/_tocsin")[0]
        async with http.get(address, headers={"Cookie": cookie_of_another_page}) as response:
            assert response.status == 403
        async with http.get(page.address) as response:
            text = await response.text()
        assert "nothing runs on" in text
        assert "contoso.mail" in text


async def test_what_was_lost_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And what is of no outcome is passed over."""

    async def follow(*_: object) -> AsyncIterator[dict[str, object]]:
        told: list[dict[str, object]] = [{"stage": "stored"}, {"lost": 3}, {"stage": "handled", "at": 2.0, "app": "a"}]
        for each in told:
            yield each
        await anyio.sleep_forever()

    monkeypatch.setattr(asked_platform, "follow", follow)
    platform = asked_platform.AskedPlatform(tmp_path)
    with platform.followers.follow(Wanted()) as follower:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(platform.listen)
            events, lost = await follower.batch()
            tasks.cancel_scope.cancel()
    assert ([each.stage for each in events], lost) == (["handled"], 3)


async def test_an_address_that_is_not_opened_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In time, and in words; nothing goes on listening."""
    monkeypatch.setattr(first_visitor, "LASTS", 0.05)
    led: list[str] = []
    with pytest.raises(PlatformUnavailable, match="the page was not opened within 0 s; run 'tocsin open' again"):
        await verb._serve_page(tmp_path, "agent", led.append)
    async with ClientSession() as http:
        with pytest.raises(OSError, match="Cannot connect"):
            await http.get(led[0])
