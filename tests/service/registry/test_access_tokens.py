"""Access tokens."""

from __future__ import annotations

import jwt
import pytest

from tests.service.world import Clock
from tocsin.protocol.values import TOKEN_LIFETIME
from tocsin.service.registry import access_tokens as module
from tocsin.service.registry.access_tokens import AUDIENCE, AccessTokens, TokenFault
from tocsin.service.registry.apps import AppRegistration, Apps
from tocsin.service.registry.service_store import ServiceStore


@pytest.fixture
async def app(registrations: Apps) -> AppRegistration:
    """Register an app."""
    return await registrations.register("app")


@pytest.fixture
async def tokens(store: ServiceStore, registrations: Apps, clock: Clock) -> AccessTokens:
    """Give the tokens of an empty store."""
    return await AccessTokens.load(store, registrations, clock)


async def test_a_token_names_its_app(tokens: AccessTokens, app: AppRegistration) -> None:
    """What was issued to an app verifies as that app, each time."""
    token = tokens.issue(app.client_id)
    assert tokens.verify(token) == app.client_id
    assert tokens.verify(token) == app.client_id


async def test_two_tokens_are_never_the_same(tokens: AccessTokens, app: AppRegistration) -> None:
    """Tokens issued in the same second differ."""
    assert tokens.issue(app.client_id) != tokens.issue(app.client_id)


async def test_a_token_carries_the_usual_claims(tokens: AccessTokens, app: AppRegistration, clock: Clock) -> None:
    """Issuer, audience, app, times and an id are in it."""
    claims = jwt.decode(tokens.issue(app.client_id), options={"verify_signature": False})
    assert claims.pop("jti")
    assert claims == {
        "iss": "tocsin",
        "aud": AUDIENCE,
        "appid": app.client_id,
        "iat": int(clock.time),
        "exp": int(clock.time) + TOKEN_LIFETIME,
    }


@pytest.mark.parametrize("seen", [False, True])
async def test_a_token_expires_after_a_day(
    tokens: AccessTokens, app: AppRegistration, clock: Clock, seen: bool
) -> None:
    """On the day it is good, whether it was seen before or not; then it has expired, for good."""
    token = tokens.issue(app.client_id)
    clock.time += TOKEN_LIFETIME - 1
    if seen:
        assert tokens.verify(token) == app.client_id
    clock.time += 1
    assert tokens.verify(token) is TokenFault.EXPIRED
    assert tokens.verify(token) is TokenFault.EXPIRED


async def test_a_forged_token_is_told(tokens: AccessTokens, app: AppRegistration, clock: Clock) -> None:
    """Another key, another audience, another issuer, no signature, a changed or endless text: all are forgeries."""
    claims = {"iss": "tocsin", "aud": AUDIENCE, "appid": app.client_id, "exp": clock() + 60}
    own_key = tokens._key
    forged = [
        jwt.encode(claims, b"k" * 32, algorithm="HS256"),
        jwt.encode({**claims, "aud": "https://example.org/"}, own_key, algorithm="HS256"),
        jwt.encode({**claims, "iss": "somebody"}, own_key, algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode({"iss": "tocsin", "aud": AUDIENCE, "exp": clock() + 60}, own_key, algorithm="HS256"),
        tokens.issue(app.client_id)[:-2],
        "a" * 100_000,
        "token",
        "",
    ]
    assert [tokens.verify(token) for token in forged] == [TokenFault.FORGED] * len(forged)


async def test_a_token_of_a_removed_app_is_told(
    tokens: AccessTokens, registrations: Apps, app: AppRegistration
) -> None:
    """The registration is looked at each time."""
    token = tokens.issue(app.client_id)
    assert tokens.verify(token) == app.client_id
    await registrations.remove("app")
    assert tokens.verify(token) is TokenFault.UNKNOWN_APP


async def test_tokens_outlive_the_process(
    tokens: AccessTokens, store: ServiceStore, registrations: Apps, app: AppRegistration, clock: Clock
) -> None:
    """The signing key is kept."""
    later = await AccessTokens.load(store, registrations, clock)
    assert later.verify(tokens.issue(app.client_id)) == app.client_id


async def test_the_cache_is_bounded(
    tokens: AccessTokens, app: AppRegistration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More tokens than the cache holds verify all the same."""
    monkeypatch.setattr(module, "_CACHE", 2)
    issued = [tokens.issue(app.client_id) for _ in range(4)]
    assert [tokens.verify(token) for token in issued * 2] == [app.client_id] * 8
    assert len(tokens._verified) == 2
