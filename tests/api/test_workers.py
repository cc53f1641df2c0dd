"""The tasks of handlers, on either event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio.testing
from anyio.lowlevel import checkpoint

from tocsin.api.workers import Workers


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on asyncio, and on trio with a clock that jumps to the next deadline."""
    clock = {"clock": trio.testing.MockClock(autojump_threshold=0)} if request.param == "trio" else {}
    return request.param, clock


class Job:
    """Work that notes by which task it was done."""

    def __init__(self, log: list[str], name: str, body: Callable[[anyio.CancelScope], Awaitable[object]]) -> None:
        self._log = log
        self._name = name
        self._body = body
        self.task = 0

    async def do(self, scope: anyio.CancelScope, requests: Callable[[], int]) -> None:
        """Do it."""
        self.task = anyio.get_current_task().id
        assert requests() == 0
        await self._body(scope)
        self._log.append(self._name)


async def nothing(_: anyio.CancelScope) -> None:
    """End without a wait."""


async def test_work_that_does_not_wait_is_done_by_one_task_in_order() -> None:
    """However much of it stands in line."""
    log: list[str] = []
    jobs = [Job(log, str(number), nothing) for number in range(50)]
    async with anyio.create_task_group() as tasks:
        workers = Workers(tasks, lambda _: None)
        for job in jobs:
            workers.enqueue(job)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert log == [str(number) for number in range(50)]
    assert len({job.task for job in jobs}) == 1


async def test_work_that_waits_keeps_nobody_waiting() -> None:
    """What stands behind it is done meanwhile, and so is what comes later."""
    log: list[str] = []
    event = anyio.Event()
    async with anyio.create_task_group() as tasks:
        workers = Workers(tasks, lambda _: None)
        for name in ("first", "second"):
            workers.enqueue(Job(log, f"{name}, which waits", lambda _: event.wait()))
            workers.enqueue(Job(log, f"behind the {name}", nothing))
        await anyio.wait_all_tasks_blocked()
        workers.enqueue(Job(log, "later", nothing))
        await anyio.wait_all_tasks_blocked()
        assert log == ["behind the first", "behind the second", "later"]
        event.set()
        await workers.done()
        assert sorted(log[3:]) == ["first, which waits", "second, which waits"]
        tasks.cancel_scope.cancel()


async def test_work_that_is_cut_off_takes_nothing_with_it() -> None:
    """Its worker goes on with what comes, also where the work ended without a wait after it was cut off."""
    log: list[str] = []

    async def cut_off(scope: anyio.CancelScope) -> None:
        scope.cancel()
        await checkpoint()

    async def cut_off_too_late(scope: anyio.CancelScope) -> None:
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        workers = Workers(tasks, lambda _: None)
        workers.enqueue(Job(log, "cut off", cut_off))
        workers.enqueue(Job(log, "too late", cut_off_too_late))
        workers.enqueue(Job(log, "next", lambda _: checkpoint()))
        await anyio.wait_all_tasks_blocked()
        workers.enqueue(Job(log, "later", lambda _: checkpoint()))
        await anyio.wait_all_tasks_blocked()
        await workers.done()
        tasks.cancel_scope.cancel()
    assert log == ["too late", "next", "later"]


async def test_workers_do_not_pile_up() -> None:
    """After a time in which many handlers waited at once, few tasks stay."""
    event = anyio.Event()
    async with anyio.create_task_group() as tasks:
        workers = Workers(tasks, lambda _: None)
        for _ in range(200):
            workers.enqueue(Job([], "waits", lambda _: event.wait()))
        await anyio.wait_all_tasks_blocked()
        event.set()
        await workers.done()
        await anyio.wait_all_tasks_blocked()
        assert len(workers._spare) == 32
        tasks.cancel_scope.cancel()
