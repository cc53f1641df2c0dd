"""The token of the page: sent with a request, or typed in once."""

from __future__ import annotations

from pathlib import Path

from aiohttp import ClientSession, CookieJar

from tests.service.page.asking import (
    PROXIED,
    TOKEN,
    WITH_TOKEN,
    ask,
)
from tests.service.world import open_world
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.page.access import MAX_SESSIONS
from tocsin.service.server import open_service


async def test_with_a_token_all_are_asked_for_it(tmp_path: Path) -> None:
    """Also this machine, and who comes through a proxy; nothing of the service is told before."""
    async with open_world(tmp_path, WITH_TOKEN) as world:
        for headers in (
            {},
            PROXIED,
            {"Authorization": "Bearer wrong"},
            {"Cookie": f"tocsin_page_{world.service.port}=wrong"},
        ):
            asked = await ask(world, **headers)
            assert asked.status == (401 if "Authorization" in headers else 200)  # a program is told by the status
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


async def test_services_of_a_host_do_not_log_one_another_out(tmp_path: Path) -> None:
    """A browser sends each the cookies of both, since cookies know no ports."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with (
        open_world(tmp_path / "one", WITH_TOKEN) as one,
        open_world(tmp_path / "other", WITH_TOKEN) as other,
        ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser,
    ):
        for each in (one, other):
            url, headers = each.service.url, {"Origin": each.service.url}
            async with browser.post(f"{url}/_tocsin/page/login", data={"token": TOKEN}, headers=headers) as entered:
                assert entered.status == 200
        for each in (one, other):
            async with browser.get(each.service.url) as page:
                assert "Log out" in await page.text()


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
