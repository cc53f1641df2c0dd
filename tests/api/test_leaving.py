"""Leaving the platform, where that cannot go as it should: by another task, with a handler that goes on, or never."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

import tocsin
from tests.helpers import PATIENCE, payload
from tests.world import Gathered, dead_rows, open_rows, world
from tocsin.actors import lifecycle
from tocsin.api import session
from tocsin.api.args import PushNotificationReceivedEventArgs as Args
from tocsin.protocol import messages as m
from tocsin.protocol.platform.activation import CancellationReason

NOBODY = "http://127.0.0.1:9"
"""A push service that is not there, so that no web server is made."""


class Listener(logging.Handler):
    """Calls a function for each record that has these words."""

    def __init__(self, words: str, function: Callable[[str], None]) -> None:
        super().__init__()
        self._words = words
        self._function = function

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a record."""
        if self._words in record.getMessage():
            self._function(record.getMessage())


async def test_another_task_cannot_leave(tmp_path: Path) -> None:
    """It is told so, and all goes on; the task that has entered leaves as always."""
    context = tocsin.embedded("contoso.mail", tmp_path, NOBODY)
    manager = await context.__aenter__()
    with pytest.raises(tocsin.IllegalCall, match="only the task that entered embedded"):
        await asyncio.create_task(context.__aexit__(None, None, None))
    await manager.conditions.set_host(user_present=True)
    await context.__aexit__(None, None, None)
    async with tocsin.embedded("contoso.mail", tmp_path, NOBODY):
        pass


async def test_a_handler_that_leaves_has_failed(tmp_path: Path) -> None:
    """It would wait for its own end: what it gets instead says what to do, and the next payload comes."""
    seen = Gathered()
    async with AsyncExitStack() as stack:
        context = tocsin.embedded("contoso.mail", tmp_path / "other", NOBODY)
        await stack.enter_async_context(context)

        async def handler(args: Args) -> None:
            if args.id == "A":
                await context.__aexit__(None, None, None)
            seen.add(args.id)
            args.handled = True

        async with world(tmp_path) as w:
            channel = await w.channel()
            with channel.push_received(handler):
                await w.service.send(payload("A"), payload("B"))
                await seen.wait_for(1)
    assert seen.items == ["B"]
    ((id_, reason, detail),) = await dead_rows(tmp_path)
    assert (id_, reason) == ("A", "handler_failed")
    assert "let its block wait for an event, and set that here" in detail


def test_what_is_never_left_ends_with_the_event_loop(tmp_path: Path) -> None:
    """The program ends, and the state can be opened again."""
    entered = []

    async def enter() -> None:
        context = tocsin.embedded("contoso.mail", tmp_path, NOBODY)
        entered.append(context)
        await context.__aenter__()

    async def run() -> None:
        async with tocsin.embedded("contoso.mail", tmp_path, NOBODY):
            pass

    asyncio.run(enter())
    entered.clear()
    asyncio.run(run())


async def test_leaving_says_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers that swallow each cancellation cannot be ended; which they are is said, each once."""
    monkeypatch.setattr(session, "STAY", 0.01)
    monkeypatch.setattr(session, "CLOSE_GRACE", 0.01)
    begun, said = Gathered(), Gathered()
    released = False

    def release(message: str) -> None:
        nonlocal released
        said.add(message)
        released = len(said.items) == 2

    async def resist(about: object) -> None:
        begun.add(about)
        while not released:
            with suppress(asyncio.CancelledError):
                await anyio.sleep_forever()

    def handler(args: Args) -> object:
        args.canceled(resist)
        return resist(args)

    listener = Listener("leaving waits for", release)
    logging.getLogger(session.__name__).addHandler(listener)
    try:
        with anyio.fail_after(PATIENCE):
            async with world(tmp_path) as w:
                channel = await w.channel()
                with channel.push_received(handler):
                    await w.service.send(payload("A"))
                    await begun.wait_for(1)
                    w.platform.sessions.send_to_all(m.CancelDelivery(1, CancellationReason.IDLE_TASK))
                    await begun.wait_for(2)
    finally:
        logging.getLogger(session.__name__).removeHandler(listener)
    words = "leaving waits for {}, which goes on although it was cancelled"
    handler_of = "a handler of c1 on payload A"
    assert said.items == [words.format(handler_of), words.format(f"the canceled handler of {handler_of}")]


async def test_what_stands_behind_a_handler_that_cannot_be_ended_has_a_reason(tmp_path: Path) -> None:
    """Its time was exceeded before it began, which its dead letter says; then the channel goes on."""
    begun, seen, ended = Gathered(), Gathered(), anyio.Event()

    async def handler(args: Args) -> None:
        seen.add(args.id)
        args.handled = True
        if args.id == "A":
            args.handled = False
            begun.add(args.id)
            while not ended.is_set():
                with suppress(asyncio.CancelledError):
                    await ended.wait()

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"), payload("B"), payload("C"))
            await begun.wait_for(1)
            w.platform.sessions.send_to_all(m.AbortDelivery(1))
            w.platform.sessions.send_to_all(m.AbortDelivery(2))
            (subscription,) = w.manager._session._all_subscriptions()
            with anyio.fail_after(PATIENCE):
                while len(subscription._waiting) > 1:
                    await checkpoint()
            ended.set()
            await seen.wait_for(2)
    assert seen.items == ["A", "C"]
    dead = await dead_rows(tmp_path)
    assert dead == [
        ("A", "not_handled", "the handler had not returned"),
        ("B", "not_handled", "the handler of payload A goes on, though cut off"),
    ]
    assert await open_rows(tmp_path) == []


async def test_what_stands_behind_a_handler_and_is_cut_off_is_not_begun(tmp_path: Path) -> None:
    """An earlier attempt may have handled it: the channel goes on with the one behind it."""
    seen, goes_on = Gathered(), anyio.Event()

    async def handler(args: Args) -> None:
        seen.add(args.id)
        await goes_on.wait()
        args.handled = True

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"), payload("B"), payload("C"))
            await seen.wait_for(1)
            (subscription,) = w.manager._session._all_subscriptions()
            with anyio.fail_after(PATIENCE):
                while len(subscription._waiting) < 2:
                    await checkpoint()
                w.platform.sessions.send_to_all(m.AbortDelivery(2))
                while len(subscription._waiting) > 1:
                    await checkpoint()
            goes_on.set()
            await seen.wait_for(2)
    assert seen.items == ["A", "C"]
    assert await dead_rows(tmp_path) == [("B", "not_handled", "the handler of payload A goes on")]


async def test_a_store_that_cannot_be_written_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Leaving ends at once, says so, and what was not acknowledged is left to the service."""
    monkeypatch.setattr(lifecycle, "STOP_TIMEOUT", 10 * PATIENCE)
    database, away = tmp_path / "platform.db", tmp_path / "away.db"
    with anyio.fail_after(PATIENCE):
        async with world(tmp_path) as w:
            channel = await w.channel()
            with channel.push_received(lambda _: None):
                database.rename(away)
                await w.service.send(payload("A"))
                while w.platform.status().store_fault is None:
                    await anyio.wait_all_tasks_blocked()
    assert caplog.text.count("stopped without what could not be stored") == 1


async def test_a_store_that_fails_while_it_is_left_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where that comes to light only then."""
    monkeypatch.setattr(lifecycle, "STOP_TIMEOUT", 10 * PATIENCE)
    database, away = tmp_path / "platform.db", tmp_path / "away.db"
    seen = Gathered()
    with anyio.fail_after(PATIENCE):
        async with world(tmp_path) as w:
            channel = await w.channel()
            with channel.push_received(seen.add):
                await w.service.send(payload("A"))
                await seen.wait_for(1)
                database.rename(away)
    assert caplog.text.count("stopped without what could not be stored") == 1
