"""The token endpoints."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import jwt
import pytest

from tests.service.world import World, exchange
from tocsin.protocol.values import TOKEN_LIFETIME
from tocsin.service.senders.oauth import MAX_FORM, package_sid

LIVE = "/accesstoken.srf"
V2 = "/tenant/oauth2/v2.0/token"
V1 = "/tenant/oauth2/token"
RESOURCES = {
    LIVE: {"scope": "notify.windows.com"},
    V2: {"scope": "https://wns.windows.com/.default"},
    V1: {"resource": "https://wns.windows.com/"},
}


def form(world: World, path: str) -> dict[str, str]:
    """Fill in a form that is granted."""
    return {
        "grant_type": "client_credentials",
        "client_id": world.app.client_id,
        "client_secret": world.app.client_secret,
        **RESOURCES[path],
    }


async def ask(world: World, path: str, body: Any, method: str = "POST") -> tuple[int, dict[str, Any]]:
    """Send a form, and return status and JSON."""
    async with world.http.request(method, world.service.url + path, data=body) as response:
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.json()


async def usable(world: World, token: str) -> bool:
    """Tell whether a post with that token gets to the device."""
    return (await world.post(headers={"Authorization": f"Bearer {token}"})).status == 200


async def test_the_live_form_grants(standing: World) -> None:
    """The answer is that of the Live service, and the token is good."""
    status, answer = await ask(standing, LIVE, form(standing, LIVE))
    token = answer.pop("access_token")
    assert (status, answer) == (200, {"token_type": "bearer", "expires_in": TOKEN_LIFETIME})
    assert await usable(standing, token)


@pytest.mark.parametrize("path", [V2, f"{V2}/", "/08eef3c0-4ecf-4128-b34e-9d6aa061b324/oauth2/v2.0/token"])
async def test_the_second_entra_form_grants(standing: World, path: str) -> None:
    """The answer is that of Entra, for any tenant, with or without a slash at the end, and the token is good."""
    status, answer = await ask(standing, path, form(standing, V2))
    token = answer.pop("access_token")
    assert (status, answer) == (200, {"token_type": "Bearer", "expires_in": 86_399, "ext_expires_in": 86_399})
    assert await usable(standing, token)


@pytest.mark.parametrize("path", [V1, f"{V1}/"])
@pytest.mark.parametrize("resource", ["https://wns.windows.com/", "https://wns.windows.com"])
async def test_the_first_entra_form_grants(standing: World, path: str, resource: str) -> None:
    """The answer tells the token's times and resource besides, as text."""
    status, answer = await ask(standing, path, {**form(standing, V1), "resource": resource})
    token = answer.pop("access_token")
    now = int(standing.clock())
    assert status == 200
    assert answer == {
        "token_type": "Bearer",
        "expires_in": 86_399,
        "ext_expires_in": 86_399,
        "not_before": str(now),
        "expires_on": str(now + TOKEN_LIFETIME),
        "resource": "https://wns.windows.com/",
    }
    assert await usable(standing, token)


async def test_the_urls_of_the_service_are_those_of_its_endpoints(standing: World) -> None:
    """What the service tells as its token URLs grants tokens."""
    for url, path in ((standing.service.token_url, LIVE), (standing.service.aad_token_url, V2)):
        assert (await ask(standing, url.removeprefix(standing.service.url), form(standing, path)))[0] == 200


async def test_a_client_id_has_no_case(standing: World) -> None:
    """GUIDs are the same in upper case."""
    upper = {**form(standing, V2), "client_id": standing.app.client_id.upper()}
    status, answer = await ask(standing, V2, upper)
    assert status == 200
    assert jwt.decode(answer["access_token"], options={"verify_signature": False})["appid"] == standing.app.client_id


WRONG: dict[str, tuple[dict[str, str | None], tuple[int, str], tuple[int, str, int]]] = {
    # change to the form: what Live answers, what Entra answers with its number
    "wrong secret": ({"client_secret": "x"}, (400, "invalid_client"), (401, "invalid_client", 7000215)),
    "unknown app": ({"client_id": "x"}, (400, "invalid_client"), (400, "unauthorized_client", 700016)),
    "other grant": (
        {"grant_type": "password"},
        (400, "unsupported_grant_type"),
        (400, "unsupported_grant_type", 70003),
    ),
    "no grant": ({"grant_type": None}, (400, "invalid_request"), (400, "invalid_request", 900144)),
    "no client id": ({"client_id": None}, (400, "invalid_request"), (400, "invalid_request", 900144)),
    "empty secret": ({"client_secret": ""}, (400, "invalid_request"), (400, "invalid_request", 900144)),
}


@pytest.mark.parametrize(("change", "live", "entra"), WRONG.values(), ids=WRONG)
async def test_a_wrong_form_is_refused(
    standing: World, change: dict[str, str | None], live: tuple[int, str], entra: tuple[int, str, int]
) -> None:
    """Each form of the endpoint refuses with its own status, error and words."""
    for path in (LIVE, V2, V1):
        body = {name: value for name, value in {**form(standing, path), **change}.items() if value is not None}
        status, answer = await ask(standing, path, body)
        if path == LIVE:
            assert (status, answer["error"]) == live
            assert set(answer) == {"error", "error_description"}
        else:
            assert (status, answer["error"], answer["error_codes"]) == (*entra[:2], [entra[2]])
            assert answer["error_description"].startswith(f"AADSTS{entra[2]}: ")
            assert UUID(answer["trace_id"]) != UUID(answer["correlation_id"])
            assert answer["timestamp"] == "2027-01-15 08:00:00Z"
        assert standing.app.client_secret not in str(answer)


@pytest.mark.parametrize(
    ("path", "change", "error", "code"),
    [
        (LIVE, {"scope": "wns.windows.com"}, "invalid_scope", None),
        (V2, {"scope": "notify.windows.com"}, "invalid_scope", 1002012),
        (V1, {"resource": "https://graph.microsoft.com/"}, "invalid_resource", 500011),
    ],
)
async def test_another_resource_is_refused(
    standing: World, path: str, change: dict[str, str], error: str, code: int | None
) -> None:
    """Tokens are for this service only, and the answer says what to ask for."""
    status, answer = await ask(standing, path, {**form(standing, path), **change})
    assert (status, answer["error"]) == (400, error)
    assert answer.get("error_codes") == (None if code is None else [code])
    assert next(iter(RESOURCES[path].values())) in answer["error_description"]


async def test_a_missing_field_is_named(standing: World) -> None:
    """A JSON body, or none, is a form without its fields."""
    for body in (b'{"grant_type": "client_credentials"}', b""):
        status, answer = await ask(standing, V2, body)
        assert status == 400
        assert answer["error_description"].endswith("must contain the following parameter: 'grant_type'.")


async def test_a_field_that_comes_twice_is_refused(standing: World) -> None:
    """Which of the two was meant is not ours to guess."""
    body = urlencode([*form(standing, V2).items(), ("client_id", "x")])
    status, answer = await ask(standing, V2, body.encode())
    assert (status, answer["error"]) == (400, "invalid_request")
    assert "'client_id' is duplicated" in answer["error_description"]


@pytest.mark.parametrize("body", [b"a=1&" * 17, b"\xff=1"])
async def test_what_is_no_form_is_refused(standing: World, body: bytes) -> None:
    """Too many fields, or bytes that are no text, are an error in words."""
    status, answer = await ask(standing, LIVE, body)
    assert (status, answer["error"]) == (400, "invalid_request")
    assert "is not a form in UTF-8 with at most 16 fields" in answer["error_description"]


async def test_a_long_request_is_413_and_leaves_the_connection_in_step(standing: World) -> None:
    """The body is bounded, and the next request on the same connection is understood."""
    head = f"POST {LIVE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
    good = urlencode(form(standing, LIVE)).encode()
    answers = await exchange(
        standing.service,
        f"{head}{4 * MAX_FORM}\r\n\r\n".encode() + b"x" * 4 * MAX_FORM,
        f"{head}{len(good)}\r\n\r\n".encode() + good,
    )
    assert [status for status, _, _ in answers] == [413, 200]


@pytest.mark.parametrize("path", [LIVE, V2, V1])
async def test_only_post_is_allowed(standing: World, path: str) -> None:
    """GET is 405, and says so."""
    async with standing.http.get(standing.service.url + path) as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_the_live_form_takes_a_package_sid(standing: World) -> None:
    """Senders of that form know an app by ``ms-app://`` and numbers; one that is made up is no app."""
    sid = package_sid(standing.app.client_id)
    assert re.fullmatch("ms-app://s-1-15-2(-[0-9]+){7}", sid)
    status, answer = await ask(standing, LIVE, {**form(standing, LIVE), "client_id": sid.upper()})
    assert status == 200
    assert await usable(standing, answer["access_token"])
    for wrong in (f"{sid}1", "ms-app://s-1-15-2-1-2-3-4-5-6-7", "ms-app://s-1-15-2-x", "ms-app://s-1-15-2-99999999999"):
        status, answer = await ask(standing, LIVE, {**form(standing, LIVE), "client_id": wrong})
        assert (status, answer["error"]) == (400, "invalid_client")


@pytest.mark.parametrize(("path", "status"), [(V2, 200), (V1, 200), (LIVE, 400)])
async def test_the_entra_forms_take_credentials_from_the_header(standing: World, path: str, status: int) -> None:
    """As OAuth libraries do by default; what stands in the form as well counts, and the Live form does not know it."""
    login = b64encode(f"{standing.app.client_id}:{standing.app.client_secret}".encode()).decode()
    body = {name: value for name, value in form(standing, path).items() if not name.startswith("client_")}
    for fields in (body, {**body, "client_id": standing.app.client_id}):
        async with standing.http.post(
            standing.service.url + path, data=fields, headers={"Authorization": f"Basic {login}"}
        ) as response:
            assert response.status == status


@pytest.mark.parametrize("header", ["Basic", "Basic =", "Basic YQ==", "Bearer YTpi", "Basic /w==", "Basic YTpi"])
async def test_a_header_without_credentials_gives_none(standing: World, header: str) -> None:
    """It is as if it were not there, or its app unknown."""
    url, body = standing.service.url + V2, {**RESOURCES[V2], "grant_type": "client_credentials"}
    async with standing.http.post(url, data=body, headers={"Authorization": header}) as response:
        code = 700016 if header == "Basic YTpi" else 900144
        assert (response.status, (await response.json())["error_codes"]) == (400, [code])


async def test_older_tokens_stay_good_for_their_day(world: World) -> None:
    """A newer token ends no older one; each is good until it expires."""
    older = world.token
    world.clock.time += TOKEN_LIFETIME - 1
    await world.authorize()
    assert world.token != older
    assert await usable(world, older)
    world.clock.time += 1
    assert not await usable(world, older)
    assert await usable(world, world.token)
