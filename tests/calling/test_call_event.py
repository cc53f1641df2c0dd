"""Events: who is called, in which order, and what a handler can do to others."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio.testing

from tocsin.calling.call_event import CallEvent
from tocsin.calling.handler_calls import MOST_WAITING, HandlerCalls
from tocsin.protocol.errors import InvalidArgument, NotFound


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@asynccontextmanager
async def calling() -> AsyncIterator[HandlerCalls]:
    """Let handlers be called while the block runs, and wait for those that are."""
    calls = HandlerCalls()
    async with anyio.create_task_group() as tasks:
        calls.start(tasks)
        yield calls
        await calls.done()
        calls.end()


async def test_a_handler_is_called_for_one_event_after_the_other() -> None:
    """Also where it waits in the first: state changes arrive in their order."""
    told: list[str] = []

    async def slow(state: str) -> None:
        await anyio.sleep(5 if state == "connecting" else 0)
        told.append(state)

    async with calling() as calls:
        event = CallEvent[str]("a test", calls)
        event.add(slow)
        for state in ("connecting", "connected", "disconnected"):
            event.emit(state)
    assert told == ["connecting", "connected", "disconnected"]


async def test_no_handler_keeps_another_waiting() -> None:
    """One that never returns is no other's matter."""
    told: list[str] = []
    async with calling() as calls, anyio.create_task_group() as tasks:
        event = CallEvent[str]("a test", calls)
        stuck = anyio.Event()

        async def hang(_: str) -> None:
            await stuck.wait()

        event.add(hang)
        event.add(told.append)
        event.emit("one")
        event.emit("two")
        tasks.start_soon(anyio.sleep, 1)
        await anyio.sleep(1)
        assert told == ["one", "two"]
        stuck.set()


@pytest.mark.parametrize("failing", [ValueError("no"), anyio.EndOfStream(), GeneratorExit()])
async def test_what_a_handler_raises_is_logged_and_ends_nothing(
    failing: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The next handler is called, and so is this one the next time."""
    told: list[str] = []

    def fail(_: str) -> None:
        raise failing

    async with calling() as calls:
        event = CallEvent[str]("a test", calls)
        event.add(fail)
        event.add(told.append)
        event.emit("one")
        event.emit("two")
    assert told == ["one", "two"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "a handler of a test failed" in caplog.text


async def test_a_handler_hears_of_what_happens_after_it_was_added() -> None:
    """And of what stands then, where the event has such a thing."""
    told: list[str] = []
    async with calling() as calls:
        plain, standing = CallEvent[str]("a", calls), CallEvent[str]("b", calls, lambda: ("stands",))
        for event in (plain, standing):
            event.emit("before")
            event.add(told.append)
            event.emit("after")
    assert sorted(told) == ["after", "after", "stands"]


async def test_a_removed_handler_is_not_called_for_what_has_happened_before() -> None:
    """It was removed by its token, by itself, or by the end of its block."""
    told: list[str] = []
    async with calling() as calls:
        event = CallEvent[str]("a test", calls)
        token = event.add(told.append)
        event.emit("one")
        event.remove(token)
        handler = told.append
        event.add(handler)
        event.remove(handler)
        with event(handler):
            event.emit("two")
        event.emit("three")
        with event(handler) as token:
            event.remove(token)
    assert not told
    with pytest.raises(NotFound):
        event.remove(token)
    with pytest.raises(NotFound):
        event.remove(print)
    with pytest.raises(InvalidArgument):
        event.add(5)  # type: ignore[arg-type]


async def test_a_handler_that_cancels_what_it_runs_in_is_called_again() -> None:
    """Its task is its own."""
    told: list[str] = []

    async def leave_open(what: str) -> None:
        told.append(what)
        anyio.CancelScope().__enter__()
        await anyio.lowlevel.checkpoint()

    async with calling() as calls:
        event = CallEvent[str]("a test", calls)
        event.add(leave_open)
        event.emit("one")
        event.emit("two")
    assert told == ["one", "two"]


async def test_what_waits_for_a_handler_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Where it hangs, the oldest is dropped, and that is said once."""
    told: list[int] = []
    go = anyio.Event()

    async def hang(number: int) -> None:
        await go.wait()
        told.append(number)

    async with calling() as calls:
        event = CallEvent[int]("a test", calls)
        event.add(hang)
        event.emit(0)
        await anyio.sleep(1)
        for number in range(1, MOST_WAITING + 11):
            event.emit(number)
        go.set()
    assert told == [0, *range(11, MOST_WAITING + 11)]
    assert caplog.text.count("has not returned") == 1


async def test_outside_the_block_no_handler_is_called() -> None:
    """Before the client's block and after it."""
    told: list[str] = []
    calls = HandlerCalls()
    event = CallEvent[str]("a test", calls)
    event.add(told.append)
    event.emit("before")
    async with anyio.create_task_group() as tasks:
        calls.start(tasks)
        calls.end()
    event.emit("after")
    assert not told
