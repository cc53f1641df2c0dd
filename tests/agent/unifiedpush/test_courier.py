"""The way of pushes to one app, on virtual time: what is not taken goes back, and comes again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import pytest
import trio.testing
from attrs import Factory, define

from tocsin.agent.unifiedpush.courier import Courier
from tocsin.protocol.unifiedpush.delivery import Delivery, pause_after
from tocsin.protocol.webpush.envelope import EMPTY, Envelope
from tocsin.testing import channel, received
from tocsin.testing.made import MadeChannel

DAY = 86_400


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def now() -> float:
    """Return seconds since the epoch."""
    return 1e9 + anyio.current_time()


def moment(seconds: float) -> datetime:
    """Return them as a date."""
    return datetime.fromtimestamp(seconds, UTC)


def packed(body: bytes, coding: str = "aes128gcm") -> bytes:
    """Write a message as it travels to a device."""
    return Envelope(coding, "", "", body).pack()


@define
class App:
    """Takes pushes as the test says, each after a while."""

    result: Delivery = Delivery.ACKNOWLEDGED
    takes: float = 0.0
    carried: list[tuple[float, bytes, str]] = Factory(list)
    """When, what, and its id."""
    is_there: anyio.Event = Factory(anyio.Event)

    async def deliver(self, message: bytes, message_id: str) -> Delivery:
        """Take one."""
        self.carried.append((anyio.current_time(), message, message_id))
        await anyio.sleep(self.takes)
        return self.result


@define
class Way:
    """A courier on its way, its channel, and the app."""

    app: App
    courier: Courier
    channel: MadeChannel

    async def push(self, body: bytes, *, ttl: int = DAY, **more: Any) -> bool:
        """Play the inbox: offer a payload, while there is a handler, until it is handled or its handler does not want it; tell which."""
        came, attempt = now(), 1
        more |= {"received_at": moment(came), "expires_at": moment(came + ttl) if ttl else None}
        while True:
            while not self.channel._session.handlers:  # noqa: ASYNC110  # as an inbox looks whether there is one
                await anyio.sleep(0.05)
            args = received(body, attempt=attempt, **more)
            if await self.channel.push(args) or not args.undecided:
                return args.handled
            attempt += 1


@asynccontextmanager
async def on_the_way(app: App | None = None, *, is_there: bool = True) -> AsyncIterator[Way]:
    """Have a courier carry until the block is left."""
    app = app or App()
    if is_there:
        app.is_there.set()
    way = Way(app, Courier("org.example.Chat", app.deliver, app.is_there.wait, now), channel())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(way.courier.carry, way.channel)
        yield way
        tasks.cancel_scope.cancel()


async def test_the_message_goes_as_it_came() -> None:
    """With its id, one after the other."""
    async with on_the_way() as way:
        await way.push(packed(b"\x00\n\xff"), id="1")
        await way.push(packed(b"two"), id="2")
        assert [each[1:] for each in way.app.carried] == [(b"\x00\n\xff", "1"), (b"two", "2")]


@pytest.mark.parametrize("result", [Delivery.KEPT, Delivery.ABSENT])
async def test_what_is_not_taken_comes_again_under_its_id_after_pauses(result: Delivery) -> None:
    """Each twice as long as the one before, and none once it was taken."""
    async with on_the_way(App(result)) as way, anyio.create_task_group() as tasks:
        tasks.start_soon(way.push, packed(b"x"))
        await anyio.sleep(60)
        times = [at for at, _, _ in way.app.carried]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert gaps == pytest.approx([pause_after(n) for n in range(1, len(gaps) + 1)], abs=0.1)
        assert way.courier.failures == len(times) == 6
        assert len({message_id for _, _, message_id in way.app.carried}) == 1
        way.app.result = Delivery.ACKNOWLEDGED
        way.courier.app_came()
        await anyio.sleep(0.1)
        assert way.courier.failures == 0


async def test_an_app_that_comes_is_not_waited_for() -> None:
    """The pause ends."""
    async with on_the_way(App(Delivery.KEPT)) as way, anyio.create_task_group() as tasks:
        tasks.start_soon(way.push, packed(b"x"))
        await anyio.sleep(300)
        before = len(way.app.carried)
        way.courier.app_came()
        await anyio.sleep(0.1)
        assert len(way.app.carried) == before + 1
        tasks.cancel_scope.cancel()


async def test_nothing_is_carried_to_an_app_that_is_not_there() -> None:
    """It waits in the inbox, where it may expire."""
    async with on_the_way(is_there=False) as way, anyio.create_task_group() as tasks:
        tasks.start_soon(way.push, packed(b"x"))
        await anyio.sleep(100)
        assert way.app.carried == []
        assert not way.channel._session.handlers
        way.app.is_there.set()
        await anyio.sleep(0.1)
        assert len(way.app.carried) == 1


async def test_what_is_under_way_when_it_ends_goes_back() -> None:
    """The next agent carries it again."""
    handled: list[bool] = []

    async def push(way: Way) -> None:
        handled.append(await way.channel.push(received(packed(b"x"))))

    async with anyio.create_task_group() as tasks:
        async with on_the_way(App(takes=100.0)) as way:
            await anyio.sleep(0.1)
            tasks.start_soon(push, way)
            await anyio.sleep(1)
        await anyio.sleep(1)
    assert handled == [False]


@pytest.mark.parametrize("body", [packed(b"x", "aesgcm"), EMPTY, b"no envelope"])
async def test_what_connectors_cannot_read_is_dropped(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Counted each time, said once, and what comes behind goes on."""
    async with on_the_way() as way:
        await way.push(body)
        await way.push(body)
        await way.push(packed(b"next"))
        assert [message for _, message, _ in way.app.carried] == [b"next"]
        assert way.courier.unreadable == 2
        assert len(caplog.records) == 1


async def test_it_ends_with_its_channel() -> None:
    """There is nothing more to carry."""
    app = App()
    app.is_there.set()
    made = channel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Courier("org.example.Chat", app.deliver, app.is_there.wait, now).carry, made)
        await anyio.sleep(0.1)
        await made.close()


@pytest.mark.parametrize("result", [Delivery.KEPT, Delivery.ABSENT])
async def test_what_is_for_now_or_never_is_tried_once(result: Delivery, caplog: pytest.LogCaptureFixture) -> None:
    """Its sender has said TTL 0: it is a dead letter then, counted each time, said once, and what comes behind goes on."""
    async with on_the_way(App(result)) as way:
        assert not await way.push(packed(b"now"), ttl=0)
        assert not await way.push(packed(b"again"), ttl=0)
        way.app.result = Delivery.ACKNOWLEDGED
        assert await way.push(packed(b"third"), ttl=0)
        assert [message for _, message, _ in way.app.carried] == [b"now", b"again", b"third"]
        assert (way.courier.missed, len(caplog.records)) == (2, 1)


async def test_what_is_for_now_or_never_does_not_wait_for_its_app() -> None:
    """What came before the app is not carried to it, but for what may wait."""
    async with on_the_way(is_there=False) as way, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(way.push, packed(b"never"), ttl=0))
        await anyio.sleep(10)
        tasks.start_soon(way.push, packed(b"later"))
        await anyio.sleep(10)
        way.app.is_there.set()
        await anyio.sleep(1)
        assert await way.push(packed(b"now"), ttl=0)
        assert [message for _, message, _ in way.app.carried] == [b"later", b"now"]
        assert way.courier.missed == 1


async def test_what_is_for_now_or_never_does_not_wait_behind_a_pause() -> None:
    """It is dropped when the pause of what has to go before it is over."""
    async with on_the_way(App(Delivery.KEPT)) as way, anyio.create_task_group() as tasks:
        tasks.start_soon(way.push, packed(b"first"))
        await anyio.sleep(60)
        tasks.start_soon(partial(way.push, packed(b"never"), ttl=0))
        await anyio.sleep(10)
        way.app.result = Delivery.ACKNOWLEDGED
        way.courier.app_came()
        await anyio.sleep(1)
        assert {message for _, message, _ in way.app.carried} == {b"first"}
        assert way.courier.missed == 1


async def test_what_is_for_now_or_never_does_not_wait_for_long_behind_others() -> None:
    """A slow app gets what it comes to in time."""
    async with on_the_way(App(takes=20.0)) as way, anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(partial(way.push, packed(b"%d" % number), ttl=0))
            await anyio.sleep(0.1)
        await anyio.sleep(100)
        assert way.courier.missed + len(way.app.carried) == 4
        assert way.courier.missed > 0
