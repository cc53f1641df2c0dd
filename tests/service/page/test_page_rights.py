"""Who is shown the page of a service, and from which pages it may be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.page.asking import (
    FILES,
    PROXIED,
    TOKEN,
    ask,
    channel_of,
)
from tests.service.world import KEY, World, open_world
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.page import access


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
    monkeypatch.setattr(access, "is_of_another_user", lambda _: True)
    assert (await ask(standing)).status == 404


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
