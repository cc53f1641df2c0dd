"""Closing the client while it sends: callers are told, and not cancelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio
import pytest
import trio.testing

import tocsin
from tests.client.on_demand import on_demand
from tests.client.playing import RECEIVED, URI, Asked, PlayedService, playing, refusal
from tocsin.client import aio
from tocsin.client.http import Reply

WORDS = "the client was closed while it was sending this; whether it has arrived is not known"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio's virtual clock."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_under_way_ends_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way, and what is in line."""
    ended: list[str] = []

    async def send(name: str) -> None:
        with pytest.raises(tocsin.IllegalCall) as closed:
            await client.send(service.uri(name), b"body")
        ended.append(str(closed.value))

    monkeypatch.setattr(aio, "CONNECTIONS", 2)
    async with (
        on_demand() as service, anyio.create_task_group() as tasks, tocsin.WnsClient("id", "secret") as client
    ):  # fmt: skip
        for name in "abcde":
            tasks.start_soon(send, name)
        await service.has_come(2)
    assert ended == [WORDS] * 5
    assert service.came == ["a", "b"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_open_client_is_not_entered_again() -> None:
    """The inner block would close it for the outer one; once it is closed it may be opened again."""
    client = tocsin.WnsClient("id", "secret")
    for _ in range(2):
        async with on_demand() as service, client, anyio.create_task_group() as tasks:
            with pytest.raises(tocsin.IllegalCall, match="open already"):
                await client.__aenter__()
            tasks.start_soon(client.send, service.uri("a"), b"body")
            await service.has_come(1)
            service.answer("a")


async def test_a_wait_for_another_attempt_ends() -> None:
    """In words, and at once."""
    async with playing() as (client, service), anyio.create_task_group() as tasks:

        async def send() -> None:
            with pytest.raises(tocsin.IllegalCall, match=WORDS):
                await client.send(URI, b"x")

        service.answers.append(refusal(503))
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        began = anyio.current_time()
        await client.__aexit__(None, None, None)
    assert (len(service.posts), anyio.current_time()) == (1, began)


async def test_an_answer_that_comes_meanwhile_leads_to_no_other_attempt() -> None:
    """Nothing is left to ask with; an answer that is the last one is told as ever."""

    class Closing(PlayedService):
        async def request(
            self,
            method: str,
            url: str,
            headers: Mapping[str, str],
            body: bytes,
            on_turn: Callable[[], None] | None = None,
        ) -> Reply:
            del method, on_turn
            self.posts.append(Asked(0.0, url, headers, body))
            if url == URI:
                await client.__aexit__(None, None, None)
                return answer
            return self.token()

    for answer in (refusal(401), RECEIVED):
        async with playing() as (client, _):
            service = client._http = Closing()
            if answer is RECEIVED:
                assert (await client.send(URI, b"x")).received
            else:
                with pytest.raises(tocsin.IllegalCall, match=WORDS):
                    await client.send(URI, b"x")
        assert [asked.url == URI for asked in service.posts] == [False, True]
