"""What tasks are woken with, on either event loop."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import trio.testing
from anyio.lowlevel import checkpoint

from tocsin.tasks import Signal


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on asyncio, and on trio with a clock that jumps to the next deadline."""
    clock = {"clock": trio.testing.MockClock(autojump_threshold=0)} if request.param == "trio" else {}
    return request.param, clock


class TestSignal:
    """A signal wakes one task again and again."""

    async def test_it_wakes_who_waits_each_time(self) -> None:
        """Once for each time that it is set while somebody waits."""
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
