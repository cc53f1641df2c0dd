"""Whatever a handler does, it ends one payload, with its reason: the app, and all other payloads, go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, NoReturn

import anyio
import pytest
from anyio.lowlevel import checkpoint
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import payload
from tests.world import Gathered, dead_rows, handling, open_rows, world
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.deferral import Deferral
from tocsin.api.manager import ChannelRevoked
from tocsin.protocol import messages as m
from tocsin.protocol.activation import CancellationReason
from tocsin.protocol.errors import InvalidArgument

Args = PushNotificationReceivedEventArgs


class Mute(Exception):
    """An error whose words cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Rude(BaseException):
    """An error that is no Exception."""


class NoText(Exception):
    """An error whose words are no text."""

    def __str__(self) -> Any:
        return 5  # noqa: PLE0307  # it is wrong on purpose


class Odd:
    """An awaitable that gives the event loop something that it cannot wait for."""

    def __await__(self) -> Generator[Any, None, None]:
        yield self


class Failing:
    """An awaitable that fails before it has begun."""

    def __await__(self) -> Generator[Any, None, None]:
        raise StopIteration


class Trap:
    """An object that cannot be looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"do not look at {name}")


ERRORS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("no such mail"),
    "surrogate": lambda: ValueError("a lone \udc80 surrogate \ud83d"),
    "long": lambda: ValueError("€" * 100_000),
    "mute": Mute,
    "no text": NoText,
    "CancelledError": asyncio.CancelledError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "GeneratorExit": GeneratorExit,
    "rude": Rude,
    "group": lambda: ExceptionGroup("two", [ValueError("1"), Mute()]),
    "rude group": lambda: BaseExceptionGroup("two", [asyncio.CancelledError(), Rude()]),
    "MemoryError": MemoryError,
    "RecursionError": RecursionError,
    "TimeoutError": TimeoutError,
}
"""What a handler may raise, by name; what ends the program, KeyboardInterrupt and SystemExit, has tests of its own."""

VALUES: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "number": lambda: 5,
    "trap": Trap,
    "odd": Odd,
    "failing": Failing,
    "generator": lambda: (each for each in ""),
    "class": lambda: Odd,
}
"""What it may return."""


def throw(name: str) -> NoReturn:
    """Raise that error."""
    raise ERRORS[name]()  # noqa: RSE102  # some are functions that make it


@frozen
class Hostile:
    """One handler: what it does before and after its first wait, and how it ends."""

    handled: bool
    deferral: bool
    waits: bool
    cancels: str
    error: str
    value: str

    @property
    def fails(self) -> bool:
        """Whether it does anything but return what it may."""
        return bool(self.error) or self.cancels in {"awaited task", "own task"} or self._is_bad

    @property
    def _is_bad(self) -> bool:
        # An async handler's own value is not looked at.
        return self.value in {"trap", "odd", "failing"} and not (self.waits or self.cancels or self.deferral)


def hostile() -> st.SearchStrategy[Hostile]:
    """Handlers of all kinds."""
    return st.builds(
        Hostile,
        handled=st.booleans(),
        deferral=st.booleans(),
        waits=st.booleans(),
        cancels=st.sampled_from(["", "", "awaited task", "own task"]),
        error=st.sampled_from(["", *ERRORS]),
        value=st.sampled_from(list(VALUES)),
    )


def handler_of(it: Hostile) -> Callable[[Args], Any]:
    """Return that handler: a plain function where it need not wait, else an async one."""

    def plain(args: Args) -> Any:
        args.handled = it.handled
        if it.error:
            throw(it.error)
        return VALUES[it.value]()

    async def waiting(args: Args) -> Any:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        args.handled = it.handled
        if it.deferral:
            loop.call_soon(args.get_deferral().complete)
        if it.cancels == "awaited task":
            work = asyncio.create_task(asyncio.Event().wait())
            args.canceled(lambda _: work.cancel())
            loop.call_soon(work.cancel)
            await work
        elif it.cancels == "own task":
            task.cancel()
        if it.waits:
            await checkpoint()
        if it.error:
            throw(it.error)
        return VALUES[it.value]()

    return waiting if it.waits or it.cancels or it.deferral else plain


async def end_all(handlers: list[Hostile]) -> None:
    """Give each handler a payload of its own, and see how it ends; ordinary ones between them are all handled."""
    good: set[str] = set()
    seen = Gathered()

    def handler(args: Args) -> Any:
        if not args.id.startswith("bad"):
            seen.add(args.id)
            good.add(args.id)
            args.handled = True
            return None
        return handler_of(handlers[int(args.id[3:])])(args)

    with TemporaryDirectory() as folder:
        async with world(Path(folder)) as w:
            channel = await w.channel()
            with channel.push_received(handler):
                for number in range(len(handlers)):
                    await w.service.send(payload(f"bad{number}"), payload(f"good{number}"))
                await seen.wait_for(len(handlers))
        dead = await dead_rows(Path(folder))
        assert await open_rows(Path(folder)) == []
    reasons = {id_: (reason, detail) for id_, reason, detail in dead}
    assert len(reasons) == len(dead)
    assert good == {f"good{number}" for number in range(len(handlers))}
    for number, it in enumerate(handlers):
        reason, detail = reasons.get(f"bad{number}", ("handled", ""))
        if it.handled:
            assert reason == "handled", it
        elif it.fails:
            assert reason == "handler_failed", it
            assert detail, it
        else:
            assert reason == "not_handled", it


@given(st.lists(hostile(), min_size=50, max_size=50))
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
def test_a_thousand_hostile_handlers_end_their_own_payloads_and_no_more(handlers: list[Hostile]) -> None:
    """Each payload ends once, with its reason; the payloads between them are handled."""
    anyio.run(end_all, handlers)


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
            for number in range(20):
                await w.service.send(payload(f"{number}"))
                await seen.wait_for(number + 1)
                await anyio.wait_all_tasks_blocked()
                for task in tasks:
                    task.cancel()
                await anyio.wait_all_tasks_blocked()
    assert seen.items == [f"{number}" for number in range(20)]
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
            w.platform.sessions.tell_all(m.CancelDelivery(sequence, CancellationReason.EXECUTION_TIME_EXCEEDED))
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
            w.platform.sessions.tell_all(m.CancelDelivery(sequence, CancellationReason.EXECUTION_TIME_EXCEEDED))
            await told.wait_for(1)
            await w.service.send(payload("B"))
            await begun.wait_for(2)
    assert told.items[0] is CancellationReason.EXECUTION_TIME_EXCEEDED


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_handler_that_ends_the_program_loses_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    """What it was handed comes again at the next start, with its attempt raised."""

    def stop(_: Args) -> None:
        raise error

    async def first() -> None:
        async with world(tmp_path) as w:
            channel = await w.channel()
            with channel.push_received(stop):
                await w.service.send(payload("A"))
                await anyio.sleep_forever()

    async def second(seen: Gathered) -> None:
        async with world(tmp_path) as w:
            channel = await w.channel()
            with channel.push_received(lambda args: seen.add((args.id, args.attempt))):
                await seen.wait_for(1)

    with pytest.raises(error):
        anyio.run(first)
    seen = Gathered()
    anyio.run(second, seen)
    assert seen.items == [("A", 2)]


async def test_what_cannot_be_called_is_no_handler(tmp_path: Path) -> None:
    """It is refused where it is given, not when a payload comes."""
    async with world(tmp_path) as w:
        channel = await w.channel()
        for give in (channel.add_push_received, w.manager.add_channel_renewed, w.manager.add_channel_revoked):
            with pytest.raises(InvalidArgument, match="handler"):
                give(None)  # type: ignore[arg-type]  # it is wrong on purpose


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


async def test_a_deferral_may_be_completed_in_another_thread(tmp_path: Path) -> None:
    """The event loop hears of it at once; after the loop's end it is no error."""
    seen = Gathered()
    late: list[Deferral] = []

    def handler(args: Args) -> None:
        deferral = args.get_deferral()
        late.append(deferral)
        Thread(target=deferral.complete).start()
        handling(seen)(args)

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            for number in range(5):
                await w.service.send(payload(f"{number}"))
                await seen.wait_for(number + 1)
    for each in late:
        each.complete()
    assert seen.items == [(f"{number}", 1) for number in range(5)]
    assert await open_rows(tmp_path) == []


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_function_that_yields_is_no_handler(tmp_path: Path, is_async: bool) -> None:
    """Nothing of it would run, and the payload would count as seen."""

    async def async_generator(_: Args) -> AsyncIterator[None]:
        yield

    def generator(_: Args) -> Iterator[None]:
        yield

    async with world(tmp_path) as w:
        channel = await w.channel()
        with pytest.raises(InvalidArgument, match="yield"):
            channel.add_push_received(async_generator if is_async else generator)
