"""Whatever a handler does, it ends one payload, with its reason: the app, and all other payloads, go on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.hostile import ERRORS, Args, Hostile, handler_of, hostile, left_open, throw
from tests.helpers import payload
from tests.world import Gathered, World, dead_rows, handling, open_rows, world
from tocsin.api.callbacks import program_end
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.held_channels import ChannelRevoked
from tocsin.protocol import messages as m
from tocsin.protocol.platform.activation import Activators, CancellationReason, PushNotificationActivationInfo

HOSTILE = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None, max_examples=20
)


@asynccontextmanager
async def taking(w: World, handler: Callable[[Args], Any], *, background: bool) -> AsyncIterator[None]:
    """Have a handler take the payloads of the channel ``c1``."""
    channel = await w.channel()
    if background:
        await w.manager.register_activator(
            PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR, None, []), handler
        )
        yield
    else:
        with channel.push_received(handler):
            yield


async def end_all(handlers: list[Hostile], *, background: bool) -> None:
    """Give each handler a payload of its own, and see how it ends; ordinary ones between them are all handled."""
    good = Gathered()

    def handler(args: Args) -> Any:
        if args.id.startswith("bad"):
            return handler_of(handlers[int(args.id[3:])], background=background)(args)
        good.add(args.id)
        if not background:
            args.handled = True
        return None

    with TemporaryDirectory() as folder:
        async with world(Path(folder)) as w, taking(w, handler, background=background):
            for number, it in enumerate(handlers):
                await w.service.send(payload(f"bad{number}"), payload(f"good{number}"))
                if it.misuse:  # a task that was left in disorder may meet the next handler that waits in the same turn
                    await good.wait_for(number + 1)
                    for _ in range(5):
                        await checkpoint()
            await good.wait_for(len(handlers))
        left_open.clear()
        dead = await dead_rows(Path(folder))
        assert await open_rows(Path(folder)) == []
    assert good.items == [f"good{number}" for number in range(len(handlers))]
    reasons = {id_: (reason, detail) for id_, reason, detail in dead}
    assert len(reasons) == len(dead)
    for number, it in enumerate(handlers):
        reason, detail = reasons.get(f"bad{number}", ("handled", ""))
        silent = "handled" if background else "not_handled"
        if it.handled and not background:
            assert reason == "handled", it
        else:
            assert reason in {"handler_failed" if fails else silent for fails in it.fails}, it
            assert bool(detail) == (reason == "handler_failed"), it


@given(st.lists(hostile(), min_size=50, max_size=50))
@HOSTILE
def test_a_thousand_hostile_handlers_end_their_own_payloads_and_no_more(handlers: list[Hostile]) -> None:
    """Each payload ends once, with its reason; the payloads between them are handled."""
    anyio.run(partial(end_all, handlers, background=False))


@given(st.lists(hostile(), min_size=20, max_size=20))
@settings(HOSTILE, max_examples=10)
def test_hostile_background_work_ends_its_own_payload_and_no_more(handlers: list[Hostile]) -> None:
    """It handles a payload by ending as it may; each payload ends once, and those between them are handled."""
    anyio.run(partial(end_all, handlers, background=True))


WAYS_OUT = ["break", "cancel", "throw in", "close", *ERRORS]
"""How the body of a loop ends the loop, with a payload in hand."""


async def iterate(channel: PushNotificationChannel, ways: list[list[str]], seen: list[tuple[int, int]]) -> bool:
    """Leave the loop in each of the ways that are left for a payload, then decline it; tell whether all have ended."""
    task = asyncio.current_task()
    assert task is not None
    async with aclosing(channel.payloads()) as payloads:
        async for args in payloads:
            if args.id == "last":
                args.handled = True
                return True
            seen.append((int(args.id), args.attempt))
            if not ways[int(args.id)]:
                args.handled = False
                continue
            match ways[int(args.id)].pop():
                case "break":
                    break
                case "cancel":
                    task.cancel()
                    await checkpoint()
                case "throw in":
                    await payloads.athrow(asyncio.CancelledError())
                case "close":
                    await payloads.aclose()
                    break
                case error:
                    throw(error)
    return False


async def iterate_until_all_have_ended(ways: list[list[str]]) -> None:
    """Begin a new loop for each that has ended; a payload comes again until it is declined, and then no more."""
    seen: list[tuple[int, int]] = []
    expected = len(ways) + sum(map(len, ways))
    with TemporaryDirectory() as folder:
        async with world(Path(folder)) as w:
            channel = await w.channel()
            await w.service.send(*(payload(f"{number}") for number in range(len(ways))), payload("last"))
            while True:
                one = asyncio.create_task(iterate(channel, ways, seen))
                await asyncio.wait([one])
                if not one.cancelled() and one.exception() is None and one.result():
                    break
        assert await dead_rows(Path(folder)) == [(f"{number}", "not_handled", "") for number in range(len(ways))]
        assert await open_rows(Path(folder)) == []
    assert len(seen) == expected
    assert seen == sorted(set(seen))


@given(st.lists(st.lists(st.sampled_from(WAYS_OUT), max_size=3), min_size=1, max_size=8))
@HOSTILE
def test_a_loop_may_be_left_in_any_way(ways: list[list[str]]) -> None:
    """The payload in hand comes again, in its order and with its attempt raised, until a loop decides what becomes of it."""
    anyio.run(iterate_until_all_have_ended, ways)


async def test_a_handler_that_keeps_its_task_and_cancels_it_later_ends_nothing(tmp_path: Path) -> None:
    """Whatever the task does then, or while it does nothing, payloads are handled as before."""
    seen = Gathered()
    tasks: set[asyncio.Task[Any]] = set()

    async def handler(args: Args) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await checkpoint()
        seen.add(args.id)
        args.handled = True

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            for number in range(6):
                await w.service.send(payload(f"{number}"))
                await seen.wait_for(number + 1)
                await anyio.wait_all_tasks_blocked()
                for task in tasks:
                    task.cancel()
                await anyio.wait_all_tasks_blocked()
    assert seen.items == [f"{number}" for number in range(6)]
    assert await dead_rows(tmp_path) == []


async def test_the_obvious_use_of_canceled_ends_one_payload(tmp_path: Path) -> None:
    """A handler that waits for work which ``canceled`` cancels fails with CancelledError, and is not called again."""
    begun, seen = Gathered(), Gathered()

    async def handler(args: Args) -> None:
        if args.id == "B":
            seen.add(args.id)
            args.handled = True
            return
        work = asyncio.create_task(asyncio.Event().wait())
        args.canceled(lambda _: work.cancel())
        begun.add(args._sequence)
        await work

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"), payload("B"))
            await begun.wait_for(1)
            (sequence,) = begun.items
            assert isinstance(sequence, int)
            w.platform.sessions.send_to_all(m.CancelDelivery(sequence, CancellationReason.EXECUTION_TIME_EXCEEDED))
            await seen.wait_for(1)
    assert await dead_rows(tmp_path) == [("A", "handler_failed", "CancelledError")]


@pytest.mark.parametrize("error", [*ERRORS])
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_canceled_handler_may_fail_in_any_way(tmp_path: Path, error: str, is_async: bool) -> None:
    """The work that it was for ends as it would have; other canceled handlers are called."""
    begun, told = Gathered(), Gathered()

    def fail(_: CancellationReason) -> None:
        throw(error)

    async def fail_later(_: CancellationReason) -> None:
        await checkpoint()
        throw(error)

    async def handler(args: Args) -> None:
        stop = anyio.Event()
        args.canceled(fail_later if is_async else fail)
        args.canceled(lambda _: stop.set())
        args.canceled(told.add)
        begun.add(args._sequence)
        await stop.wait()
        args.handled = True

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"))
            await begun.wait_for(1)
            (sequence,) = begun.items
            assert isinstance(sequence, int)
            w.platform.sessions.send_to_all(m.CancelDelivery(sequence, CancellationReason.EXECUTION_TIME_EXCEEDED))
            await told.wait_for(1)
            await w.service.send(payload("B"))
            await begun.wait_for(2)
    assert told.items[0] is CancellationReason.EXECUTION_TIME_EXCEEDED


def end_by_raising(error: BaseException) -> Callable[[Args], Any]:
    """End the program where the handler is called."""

    def handler(_: Args) -> None:
        raise error

    return handler


def end_by_a_callback(error: BaseException) -> Callable[[Args], Any]:
    """End the program as a signal's handler does, while two handlers wait: asyncio cancels each task by itself."""

    def stop() -> None:
        raise error

    async def handler(args: Args) -> None:
        args.canceled(lambda _: None)
        asyncio.get_running_loop().call_soon(stop)
        await anyio.sleep_forever()

    return handler


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (end_by_raising, KeyboardInterrupt()),
        (end_by_raising, SystemExit()),
        (end_by_raising, SystemExit(7)),
        (end_by_raising, BaseExceptionGroup("all", [ValueError(), BaseExceptionGroup("some", [SystemExit(7)])])),
        (end_by_raising, BaseExceptionGroup("all", [KeyboardInterrupt(), SystemExit(7)])),
        (end_by_a_callback, KeyboardInterrupt()),
        (end_by_a_callback, SystemExit()),
    ],
)
def test_a_handler_that_ends_the_program_loses_nothing(
    tmp_path: Path, end: Callable[[BaseException], Callable[[Args], Any]], error: BaseException
) -> None:
    """What it was handed comes again at the next start, with its attempt raised, and nothing keeps the process from its end."""

    async def first() -> None:
        async with world(tmp_path) as w:
            channel = await w.channel()
            with channel.push_received(end(error)):
                await w.service.send(payload("A"))
                await anyio.sleep_forever()

    async def second(seen: Gathered) -> None:
        async with world(tmp_path) as w:
            channel = await w.channel()
            with channel.push_received(lambda args: seen.add((args.id, args.attempt))):
                await seen.wait_for(1)

    threads = set(threading.enumerate())
    with pytest.raises((SystemExit, KeyboardInterrupt)) as ended:
        anyio.run(first)
    assert ended.value is program_end(error)  # with its exit code, and not in a group
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)
        assert not thread.is_alive()
    seen = Gathered()
    anyio.run(second, seen)
    assert seen.items == [("A", 2)]


@pytest.mark.parametrize("error", [*ERRORS])
async def test_an_error_of_a_revoked_handler_ends_nothing(tmp_path: Path, error: str) -> None:
    """The next handler is told, and payloads come as before."""
    told, seen = Gathered(), Gathered()

    def fail(_: object) -> None:
        throw(error)

    async with world(tmp_path) as w:
        w.manager.add_channel_revoked(fail)
        w.manager.add_channel_revoked(told.add)
        w.manager.add_channel_renewed(fail)
        channel = await w.channel()
        await w.service.send(m.ChannelsRevoked(0, ("c1",)))
        await told.wait_for(1)
        await w.service.grant("c2")
        (revoked,) = told.items
        assert isinstance(revoked, ChannelRevoked)
        result = await revoked.operation
        assert result.channel is not None
        with result.channel.push_received(handling(seen)):
            await w.service.send(payload("A", channel="c2"))
            await seen.wait_for(1)
    assert channel.uri == revoked.uri


async def test_work_that_gives_up_when_the_app_leaves_comes_again(tmp_path: Path) -> None:
    """The obvious use of ``canceled`` is no failure where the reason is TERMINATING, but any error is."""
    begun = Gathered()

    async def handler(args: Args) -> None:
        begun.add(args.id)
        work = asyncio.create_task(asyncio.Event().wait())
        args.canceled(lambda _: work.cancel())
        try:
            await work
        except asyncio.CancelledError:
            if args.id == "B":
                raise ValueError("half done") from None
            raise

    for id_ in "AB":
        async with world(tmp_path) as w:
            channel = await w.channel(f"c{id_}")
            with channel.push_received(handler):
                await w.service.send(payload(id_, channel=f"c{id_}"))
                await begun.wait_until(lambda: begun.items[-1:] == [id_])  # noqa: B023  # it is over before the next
    assert len(await open_rows(tmp_path)) == 1
    assert await dead_rows(tmp_path) == [("B", "handler_failed", "ValueError: half done")]
