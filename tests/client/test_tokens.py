"""Signing in, on virtual time, with a token endpoint that the test plays."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio.testing

import tocsin
from tests.client.playing import TOKEN_URL, URI, playing, refusal
from tocsin.client.http import Reply, Unreachable
from tocsin.client.tokens import TokenCache
from tocsin.protocol.sending.sign_in import Denied, Token


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio's virtual clock."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class TestToken:
    """The tokens of one client."""

    @pytest.mark.parametrize(
        ("options", "url", "scope"),
        [
            ({}, TOKEN_URL, "notify.windows.com"),
            ({"tenant": "t.example"}, "http://127.0.0.1:8080/t.example/oauth2/v2.0/token", "https://wns.windows.com/"),
            ({"token_url": "http://127.0.0.1:8080/a/oauth2/v2.0/token"}, None, "https://wns.windows.com/"),
        ],
    )
    async def test_the_form_follows_the_url(self, options: dict[str, Any], url: str | None, scope: str) -> None:
        """Derived from the channel, or as chosen."""
        async with playing(**options) as (client, service):
            await client.send(URI, b"x")
        assert service.asked_tokens[0].url == (url or options["token_url"])
        assert service.form()["scope"].startswith(scope)
        assert (service.form()["client_id"], service.form()["client_secret"]) == ("id", "s3cret")

    async def test_one_token_serves_all(self) -> None:
        """A hundred sends at once fetch one token, and a later send uses it too."""
        async with playing() as (client, service):
            service.delay = 1.0
            async with anyio.create_task_group() as tasks:
                for _ in range(100):
                    tasks.start_soon(client.send, URI, b"x")
            await client.send(URI, b"x")
        assert len(service.asked_tokens) == 1
        assert service.bearers == ["t1"] * 101

    @pytest.mark.parametrize(("expires_in", "life"), [(1000, 900), ("1000", 900), (None, 3300)])
    async def test_it_is_renewed_before_its_end(self, expires_in: object, life: float) -> None:
        """Whatever way its life is spelled."""
        async with playing() as (client, service):
            service.expires_in = expires_in
            await client.send(URI, b"x")
            await anyio.sleep(life - 1)
            await client.send(URI, b"x")
            await anyio.sleep(2)
            await client.send(URI, b"x")
        assert service.bearers == ["t1", "t1", "t2"]

    async def test_a_401_renews_it_once(self) -> None:
        """And the notification goes out with the new one."""
        async with playing() as (client, service):
            await client.send(URI, b"x")
            service.answers.append(refusal(401))
            result = await client.send(URI, b"x")
        assert result.attempts == 2
        assert service.bearers == ["t1", "t1", "t2"]

    async def test_a_second_401_is_an_error(self) -> None:
        """No circle of tokens; the next notification may try again."""
        async with playing() as (client, service):
            service.answers += [refusal(401), refusal(401, x_wns_error_description="not yours")]
            with pytest.raises(tocsin.SenderNotAllowed, match="refused with 401: not yours"):
                await client.send(URI, b"x")
            assert len(service.asked_tokens) == 2
            assert (await client.send(URI, b"x")).received

    async def test_many_401s_ask_for_one_new_token(self) -> None:
        """A send that is refused with an old token uses the new one that another send has fetched."""
        async with playing() as (client, service):
            service.delay = 1.0
            await client.send(URI, b"x")
            service.answers += [refusal(401)] * 20
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(client.send, URI, b"x")
        assert len(service.asked_tokens) == 2
        assert service.bearers[21:] == ["t2"] * 20

    async def test_wrong_credentials_are_told_at_once(self) -> None:
        """Sends that wait for the same denial share it, and none asks again."""
        raised: list[tocsin.SendFailed] = []
        async with playing() as (client, service):
            service.delay = 1.0
            denial = b'{"error": "invalid_client", "error_description": "no"}'
            service.sign_ins.append(Reply(400, {}, denial))

            async def send() -> None:
                with pytest.raises(tocsin.SenderNotAllowed) as refused:
                    await client.send(URI, b"x")
                raised.append(refused.value)

            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(send)
        assert [str(error) for error in raised] == ["no access token: invalid_client: no"] * 5
        assert len(service.asked_tokens) == 1
        assert service.posts == []

    async def test_a_token_endpoint_that_is_away_is_waited_for(self) -> None:
        """It may pass."""
        async with playing() as (client, service):
            service.sign_ins += [refusal(503), Unreachable("host cannot be reached: gone")]
            result = await client.send(URI, b"x")
        assert (result.received, result.attempts) == (True, 3)
        assert [asked.time - service.asked_tokens[0].time for asked in service.asked_tokens] == [0, 1, 3]


class TestWaiting:
    """Callers that come while a token is being fetched."""

    async def test_all_go_on_at_once(self) -> None:
        """Not one at each turn of the loop, which with hundreds would take the last ones seconds."""
        may_answer = anyio.Event()
        got: list[Token | Denied] = []

        async def fetch() -> Token:
            await may_answer.wait()
            return Token("t1", 60.0)

        async def get() -> None:
            got.append(await cache.get())

        cache = TokenCache(fetch)
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(get)
            await anyio.wait_all_tasks_blocked()
            may_answer.set()
            for _ in range(3):  # the caller that fetches, those that wait for it, and this test behind them
                await anyio.lowlevel.checkpoint()
            assert len(got) == 100

    @pytest.mark.parametrize("cancelled", [True, False])
    async def test_another_fetches_where_the_first_was_cut_off(self, cancelled: bool) -> None:
        """A caller that was cancelled, or whose fetch raised, leaves none waiting for ever."""
        asked = 0
        may_answer = anyio.Event()

        async def fetch() -> Token:
            nonlocal asked
            asked += 1
            if asked == 1:
                await may_answer.wait()
                raise tocsin.InvalidArgument("the proxy is none")
            return Token(f"t{asked}", 60.0)

        async def first() -> None:
            with anyio.CancelScope() as scope, suppress(tocsin.InvalidArgument):
                scopes.append(scope)
                await cache.get()

        async def another() -> None:
            assert await cache.get() == Token("t2", 60.0)

        scopes: list[anyio.CancelScope] = []
        cache = TokenCache(fetch)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(another)
            tasks.start_soon(another)
            await anyio.wait_all_tasks_blocked()
            scopes[0].cancel() if cancelled else may_answer.set()
        assert asked == 2
