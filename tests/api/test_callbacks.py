"""What an app gives to be called is called, and what it raises is logged, and ends nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.api.hostile import ERRORS, MISUSES, Args, left_open, misuse, throw
from tests.helpers import payload
from tests.world import Gathered, dead_rows, open_rows, world
from tocsin.api import callbacks
from tocsin.api.callbacks import call, contain, log_failure
from tocsin.protocol import messages as m
from tocsin.protocol.errors import InvalidArgument

on_both_loops = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


@pytest.fixture(autouse=True)
def leave() -> Iterator[None]:
    """Forget what was left open, when the loop is closed."""
    yield
    left_open.clear()


@on_both_loops
@pytest.mark.parametrize("error", ERRORS)
async def test_an_error_is_logged_once(error: str, caplog: pytest.LogCaptureFixture) -> None:
    """An error of any class is logged once, raised before or after the function has waited."""

    async def later() -> None:
        await checkpoint()
        throw(error)

    async with anyio.create_task_group() as tasks:
        for number, function in enumerate([lambda: throw(error), later]):
            tasks.start_soon(contain, "a task", call, f"handler {number}", function)
    assert sorted(record.getMessage()[:17] for record in caplog.records) == ["handler 0 failed:", "handler 1 failed:"]


@pytest.mark.parametrize("how", MISUSES)
async def test_what_is_done_to_the_task_ends_with_it(how: str) -> None:
    """The group that it stands in goes on, and ends in order."""
    done: list[str] = []

    async def misuser() -> None:
        await misuse(how, Args())
        await checkpoint()

    async def other() -> None:
        await checkpoint()
        await anyio.wait_all_tasks_blocked()
        done.append("other")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(contain, "a task", call, "a handler", misuser)
        tasks.start_soon(other)
    assert done == ["other"]


async def test_a_request_to_cancel_that_is_taken_back_ends_nothing() -> None:
    """Up to Python 3.12 it is raised at the next wait all the same."""

    def fickle() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        task.uncancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(contain, "a task", call, "a handler", fickle)
        await anyio.wait_all_tasks_blocked()
        assert not tasks.cancel_scope.cancel_called


@on_both_loops
async def test_a_cancellation_of_ours_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """A function that runs when its caller is cancelled ends, and nothing is said of it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(contain, "a task", call, "a handler", anyio.sleep_forever)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert not caplog.records


def test_a_log_in_a_file_has_whatever_was_raised(tmp_path: Path) -> None:
    """The traceback too, though its text could not be written as it is."""
    handler = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    callbacks.logger.addHandler(handler)
    try:
        for name, error in ERRORS.items():
            log_failure(f"handler {name}", error())
    finally:
        callbacks.logger.removeHandler(handler)
        handler.close()
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert [name for name in ERRORS if f"handler {name} failed: " not in text] == []
    assert "\\udc80" in text


def test_a_log_that_fails_ends_nothing() -> None:
    """Its handler is code of the app's too; what can be said in words is said."""
    said: list[str] = []

    class Fragile(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info:
                raise RecursionError("cannot show it")
            said.append(record.getMessage())

    handler = Fragile()
    callbacks.logger.addHandler(handler)
    try:
        log_failure("a handler", ValueError("why"))
    finally:
        callbacks.logger.removeHandler(handler)
    assert said == ["a handler failed: ValueError: why"]


def yields() -> Iterator[int]:
    """Be a generator."""
    yield 1


async def waits_and_yields() -> object:  # what it is declared to return does not matter
    """Be an async generator."""
    yield 1


@pytest.mark.parametrize("handler", [None, 5, "handler", yields, waits_and_yields])
async def test_what_could_not_run_is_no_handler(tmp_path: Path, handler: object) -> None:
    """It is refused where it is given, and not when a payload comes."""
    async with world(tmp_path) as w:
        channel = await w.channel()
        for give in (
            channel.add_push_received, w.manager.add_channel_renewed, w.manager.add_channel_revoked, Args().canceled
        ):  # fmt: skip
            with pytest.raises(InvalidArgument, match="a handler is called"):
                give(handler)  # type: ignore[arg-type]  # it is wrong on purpose


async def test_a_handler_may_close_its_own_channel(tmp_path: Path) -> None:
    """Its payload ends as it says, and so does what stood behind it when the channel was closed."""
    seen = Gathered()

    async def handler(args: Args) -> None:
        if args.id == "A":
            await channel.close()
        args.handled = True
        seen.add(args.id)

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"), payload("B"))
            await w.service.expect_acknowledged("A", "B")
            request = await w.service.expect(m.RevokeChannels)
            await w.service.send(m.ChannelsRevoked(request.request, ("c1",)))
            await seen.wait_for(2)
    assert seen.items == ["A", "B"]
    assert await dead_rows(tmp_path) == []
    assert await open_rows(tmp_path) == []


@pytest.mark.parametrize("ending", ["returns", *ERRORS])
async def test_a_handler_that_resists_its_end_ends_one_payload(tmp_path: Path, ending: str) -> None:
    """One that is cut off, goes on all the same, and then ends in any way; its payload has ended by then, once."""
    begun, resisted, seen = Gathered(), Gathered(), Gathered()

    async def handler(args: Args) -> None:
        args.handled = True
        if args.id == "B":
            seen.add(args.id)
            return
        args.handled = False
        for _ in range(3):
            try:
                begun.add(args._sequence)
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                resisted.add(args.id)
        if ending != "returns":
            throw(ending)

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"), payload("B"))
            await begun.wait_for(1)
            (sequence,) = begun.items
            assert isinstance(sequence, int)
            w.platform.sessions.send_to_all(m.AbortDelivery(sequence))
            await seen.wait_for(1)
    assert len(resisted.items) == 3
    assert await dead_rows(tmp_path) == [("A", "not_handled", "the handler had not returned")]
    assert await open_rows(tmp_path) == []


async def test_a_message_that_cannot_be_taken_does_not_end_the_app(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and what comes behind it is taken."""
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        (mailbox,) = w.platform.sessions._mailboxes.values()
        mailbox.send_frame_urgent(b"\xc1")
        with channel.push_received(lambda args: seen.add(args.id)):
            await w.service.send(payload("A"))
            await seen.wait_for(1)
    assert "could not be taken" in caplog.text
