"""Calls from end to end, each part a process: a caller, both services, an agent, a phone that is not running, a real desktop."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from tests.e2e.calling.spoken import Spoken, spoken, tocsin_words
from tests.e2e.calling.world import World, world
from tests.e2e.desktops.desktop import missing
from tests.processes import PATIENCE
from tocsin.calling import CallClient, CallTokenCredential, IncomingCall, IncomingCallReceivedEventArgs

DAEMON = "xfce4-notifyd"
"""The one whose buttons are clicked: it draws them, and nothing else that looks like one."""

RING_TIME = 4.0
"""Seconds that a call rings: enough for a phone to be started, and clicked."""

RINGS = ("Tom is calling you.", "New Incoming Audio Call")
MISSED = ("You missed a call from Tom.", "Missed Audio Call")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
async def all_of_it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Run all of it once."""
    if lacking := missing(DAEMON):
        pytest.skip(f"needs {' '.join(lacking)}")
    async with world(DAEMON, tmp_path_factory.mktemp("calls"), ring_time=RING_TIME) as found:
        yield found


@pytest.fixture
async def on(all_of_it: World) -> AsyncIterator[World]:
    """Begin and end with a phone that does not run, and a screen that is empty."""
    assert not all_of_it.phones()
    assert not await all_of_it.device.shown.popups()
    all_of_it.begin()
    yield all_of_it
    await all_of_it.end_phone()
    await all_of_it.clear()


@asynccontextmanager
async def ringing(on: World, *options: str) -> AsyncIterator[Spoken]:
    """Let Tom call Ann, and wait until her desktop shows it."""
    words = tocsin_words("calling", "ring", "ann", "--from", "tom", "--json", "--state", str(on.calls.state), *options)
    async with spoken(*words, log=on.calls.state / "ring.log") as caller:
        await on.phone_says("Tom rings")
        await on.device.shown.until_shown()
        assert on.shown() == RINGS
        yield caller


async def state(caller: Spoken, name: str) -> None:
    """Wait until the caller's call is in a state."""
    await caller.wait_for(lambda line: line.get("state") == name)


async def end(caller: Spoken) -> tuple[int, int]:
    """Wait until the caller's call has ended, and return why."""
    line = await caller.wait_for(lambda line: line["event"] == "ended")
    return line["code"], line["subcode"]


async def test_a_call_starts_the_phone_and_is_accepted_by_a_click(on: World) -> None:
    """Both sides are connected; when the caller hangs up, both have ended with 0/0."""
    async with ringing(on) as caller:
        await on.device.shown.click_button("Accept")
        await on.phone_says("the call is CONNECTED")
        await state(caller, "connected")
        await on.device.shown.until_shown(0)
        caller.process.send_signal(signal.SIGINT)
        assert await end(caller) == (0, 0)
        await on.phone_says("the call is DISCONNECTED 0/0")


async def test_a_call_is_declined_by_a_click(on: World) -> None:
    """The caller is told, and the toast goes without another."""
    async with ringing(on) as caller:
        await on.device.shown.click_button("Decline")
        assert await end(caller) == (603, 0)
        await on.phone_says("declined the call of Tom")
        await on.device.shown.until_shown(0)
    await on.end_phone()
    assert on.shown() == RINGS


async def test_a_caller_who_gives_up_is_missed(on: World) -> None:
    """The bell stops, and a toast tells of it."""
    async with ringing(on) as caller:
        caller.process.send_signal(signal.SIGINT)
        assert await end(caller) == (487, 0)
        await on.phone_says("Tom does not ring any more: 487/0")
        await on.until_shown(*MISSED)


async def test_a_call_that_is_not_answered_is_missed(on: World) -> None:
    """It ends by itself when its time is over."""
    async with ringing(on) as caller:
        assert await end(caller) == (487, 10004)
        await on.phone_says("Tom does not ring any more: 487/10004")
        await on.until_shown(*MISSED)


async def test_a_call_that_another_device_answers_is_not_missed(on: World, tmp_path: Path) -> None:
    """The bell stops at the first one, and no toast tells of it."""
    received, rung = anyio.create_memory_object_stream[IncomingCall](1)

    async def ring(args: IncomingCallReceivedEventArgs) -> None:
        await received.send(args.incoming_call)

    async with CallClient(on.calls.url, app="contoso.tablet", state=tmp_path) as tablet:
        agent = await tablet.create_call_agent(CallTokenCredential(on.calls.ann["token"]))
        with received, rung, agent.incoming_call_received(ring):
            async with ringing(on) as caller:
                with anyio.fail_after(PATIENCE):
                    call = await (await rung.receive()).accept()
                await state(caller, "connected")
                await on.phone_says("Tom does not ring any more: 487/10003")
                await on.device.shown.until_shown(0)
                await call.hang_up()
                assert await end(caller) == (0, 0)
    await on.end_phone()
    assert on.shown() == RINGS
