"""The client obeys its table: on virtual time, with a service that the test plays."""

from __future__ import annotations

from typing import Any

import pytest
import trio.testing

from tests.client.playing import URI, playing, refusal
from tests.protocol.tables import erase
from tocsin.client.http import Reply
from tocsin.protocol.errors import SendFailed
from tocsin.protocol.kernel.machine import IllegalEvent
from tocsin.protocol.sending.attempts import TABLE, Effect


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio's virtual clock."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def story(*answers: Reply) -> tuple[list[tuple[float, str]], str]:
    """Send a notification that gets these answers; return when and with which token it was posted, and its end.

    The last answer, and all after it, is that it was received: a client that never waits comes to its end.
    """
    async with playing() as (client, service):
        service.answers += answers
        try:
            end = f"{(await client.send(URI, b'x')).received}"
        except (SendFailed, IllegalEvent) as failure:
            end = type(failure).__name__
    began = service.posts[0].time if service.posts else 0.0
    return [
        (round(post.time - began, 3), bearer) for post, bearer in zip(service.posts, service.bearers, strict=True)
    ], end


async def stories() -> list[tuple[list[tuple[float, str]], str]]:
    """Send three: one after a stale token and a busy service, one that is refused, one that is received at once."""
    return [await story(refusal(401), refusal(503), refusal(503)), await story(refusal(404)), await story()]


async def test_each_end_is_as_it_should_be() -> None:
    """A stale token is renewed once and at once, a busy service is waited for, a channel that is gone ends it."""
    assert await stories() == [
        ([(0.0, "t1"), (0.0, "t2"), (1.0, "t2"), (3.0, "t2")], "True"),
        ([(0.0, "t1")], "ChannelGone"),
        ([(0.0, "t1")], "True"),
    ]


@pytest.mark.parametrize("effect", Effect)
async def test_the_client_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another client, and that is seen at the service or by the caller."""
    right = await stories()
    erase(monkeypatch, TABLE, effect)
    assert await stories() != right
