"""What tasks are woken with, on either event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio.testing
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint

from tocsin.tasks import Signal, apart, task_group


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on asyncio, and on trio with a clock that jumps to the next deadline."""
    clock = {"clock": trio.testing.MockClock(autojump_threshold=0)} if request.param == "trio" else {}
    return request.param, clock


class TestSignal:
    """A signal wakes one task again and again."""

    async def test_it_wakes_who_waits_each_time(self) -> None:
        """Once for each time that it is set while a task waits."""
        signal, woken = Signal(), 0

        async def wait() -> None:
            nonlocal woken
            while True:
                await signal.wait()
                woken += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            for count in range(1, 4):
                await anyio.wait_all_tasks_blocked()
                assert woken == count - 1
                signal.set()
            await anyio.wait_all_tasks_blocked()
            assert woken == 3
            tasks.cancel_scope.cancel()

    async def test_what_was_set_before_is_not_missed(self) -> None:
        """However often it was set, it wakes once."""
        signal = Signal()
        signal.set()
        signal.set()
        await signal.wait()
        with anyio.move_on_after(0.01) as scope:
            await signal.wait()
        assert scope.cancelled_caught

    async def test_who_gave_up_waiting_can_wait_again(self) -> None:
        """A wait that was cancelled leaves nothing behind."""
        signal = Signal()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await signal.wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(signal.wait)
            await checkpoint()
            signal.set()


class TestApart:
    """A context in a task of its own is opened and left as a whole, whatever happens to the block."""

    async def test_what_it_gives_is_there_until_the_block_has_ended(self) -> None:
        """It is opened before the block, and left after it; arguments and result go through."""
        log: list[object] = []

        @apart
        @asynccontextmanager
        async def opened(one: int, *, two: int) -> AsyncIterator[int]:
            log.append("open")
            yield one + two
            await checkpoint()
            log.append("left")

        async with opened(1, two=2) as three:
            log.append(three)
        assert log == ["open", 3, "left"]

    async def test_a_block_that_is_cancelled_ends_first(self) -> None:
        """The context is left in order behind it, and waits for what it has to wait for."""
        log = []

        @apart
        @asynccontextmanager
        async def opened() -> AsyncIterator[None]:
            yield
            await checkpoint()
            log.append("left")

        with anyio.CancelScope() as scope:
            async with opened():
                scope.cancel()
                try:
                    await checkpoint()
                finally:
                    await cancel_shielded_checkpoint()
                    log.append("ended")
        assert scope.cancelled_caught
        assert log == ["ended", "left"]

    async def test_opening_is_cut_off(self) -> None:
        """A cancellation that comes before it is open reaches what waits in it."""
        log = []

        @apart
        @asynccontextmanager
        async def opened() -> AsyncIterator[None]:
            try:
                await anyio.sleep_forever()
                yield
            finally:
                log.append("cut off")

        with anyio.move_on_after(0.01) as scope:
            async with opened():
                pass
        assert scope.cancelled_caught
        assert log == ["cut off"]

    async def test_what_cannot_be_opened_says_why(self) -> None:
        """The error comes as it is, and not in a group."""

        @apart
        @asynccontextmanager
        async def opened() -> AsyncIterator[None]:
            await checkpoint()
            raise ValueError("closed today")
            yield

        with pytest.raises(ValueError, match="closed today"):
            async with opened():
                pass

    async def test_what_fails_in_it_ends_the_block_first(self) -> None:
        """The block is cancelled, ends, and then the context goes; its error comes out."""
        log = []

        async def fail() -> None:
            raise ValueError("broken")

        @apart
        @asynccontextmanager
        async def opened() -> AsyncIterator[None]:
            try:
                async with task_group() as tasks:
                    tasks.start_soon(fail)
                    yield
            finally:
                log.append("left")

        async def use() -> None:
            async with opened():
                try:
                    await anyio.sleep_forever()
                finally:
                    log.append("ended")

        with pytest.raises(ValueError, match="broken"):
            await use()
        assert log == ["ended", "left"]

    @pytest.mark.parametrize("block_fails", [True, False])
    async def test_the_first_failure_counts(self, block_fails: bool, caplog: pytest.LogCaptureFixture) -> None:
        """What comes of the block's own error is logged; a context that fails behind a good block tells so."""

        @apart
        @asynccontextmanager
        async def opened() -> AsyncIterator[None]:
            yield
            raise ValueError("at the end")

        async def use() -> None:
            async with opened():
                if block_fails:
                    raise KeyError("first")

        with pytest.raises(KeyError if block_fails else ValueError):
            await use()
        told = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(told) == block_fails

    async def test_one_that_ends_by_itself_is_an_error(self) -> None:
        """What it gave is of no use any more: the block ends, and not as if all were well."""

        @apart
        @asynccontextmanager
        async def opened() -> AsyncIterator[None]:
            with anyio.move_on_after(0.01):
                yield

        async def use() -> None:
            async with opened():
                await anyio.sleep_forever()

        with pytest.raises(RuntimeError, match="opened was ended from outside"):
            await use()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("times", [1, 3])
async def test_shields_in_it_hold_off_a_cancelled_task(times: int) -> None:
    """What anyio's shields alone do not: opening and leaving go on, however often the task is cancelled."""
    log = []

    async def in_full(what: str) -> None:
        with anyio.CancelScope(shield=True):
            for _ in range(5):
                await checkpoint()
            log.append(what)

    @apart
    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        await in_full("opened")
        try:
            yield
        finally:
            await in_full("left")

    async def use() -> None:
        async with opened():
            await anyio.sleep_forever()

    for turns in range(20):
        log.clear()
        task = asyncio.create_task(use())
        for _ in range(1 + turns):
            await checkpoint()
        for _ in range(times):
            task.cancel()
            await checkpoint()
        await asyncio.wait({task})
        assert task.cancelled()
        assert log in (["opened"], ["opened", "left"])
