"""The thread of a database: jobs in their order, whose ends the event loop hears."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator
from functools import partial

import anyio
import pytest

from tests.helpers import PATIENCE
from tocsin.persistence.disk_thread import DiskThread


@pytest.fixture
async def thread() -> AsyncIterator[DiskThread]:
    """Start a thread, and stop it."""
    thread = DiskThread("tested")
    yield thread
    thread.stop()


class Rows(list[int]):
    """Something that a job returns."""


class TestJobs:
    """What is run."""

    async def test_jobs_run_one_after_the_other_in_a_thread_of_their_own(self, thread: DiskThread) -> None:
        """In the order in which they were submitted, in either way."""
        ran: list[object] = []
        for number in range(3):
            thread.submit(partial(ran.append, number), lambda *_: None)
        assert await thread.run(threading.current_thread) is not threading.current_thread()
        assert ran == [0, 1, 2]

    async def test_what_a_job_raises_is_raised_where_it_is_waited_for(self, thread: DiskThread) -> None:
        """And the next one is run."""
        with pytest.raises(ZeroDivisionError):
            await thread.run(lambda: 1 // 0)
        assert await thread.run(lambda: 1) == 1

    async def test_a_callback_gets_what_came_of_its_job(self, thread: DiskThread) -> None:
        """In the loop's thread: a result, or a failure."""
        came: list[tuple[object, BaseException | None, bool]] = []

        def ended(result: object, failure: BaseException | None) -> None:
            came.append((result, failure, threading.current_thread() is threading.main_thread()))

        thread.submit(lambda: 1, ended)
        thread.submit(lambda: 1 // 0, ended)
        await thread.run(lambda: None)
        ((one, nothing, here), (none, failure, _)) = came
        assert (one, nothing, here, none) == (1, None, True, None)
        assert isinstance(failure, ZeroDivisionError)

    async def test_a_job_goes_on_where_its_caller_has_gone(self, thread: DiskThread) -> None:
        """It is not cut in two."""
        begun, held, ran = threading.Event(), threading.Event(), []

        def job() -> None:
            begun.set()
            held.wait(PATIENCE)
            ran.append(1)

        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(thread.run, job)
                await anyio.to_thread.run_sync(begun.wait, PATIENCE)
                scope.cancel()
        held.set()
        await thread.run(lambda: None)
        assert ran == [1]

    async def test_nothing_of_a_job_is_kept_until_the_next(self, thread: DiskThread) -> None:
        """Rows may be large, and the next job may be long in coming."""
        rows = weakref.ref(await thread.run(Rows))
        gone = threading.Event()
        weakref.finalize(rows() or Rows(), gone.set)
        assert await anyio.to_thread.run_sync(gone.wait, PATIENCE)


class TestEnd:
    """When it is stopped, or its loop is closed."""

    async def test_what_was_submitted_before_the_stop_is_run_and_nothing_after(self, thread: DiskThread) -> None:
        """The refusal is an error of the system's kind, as that of a file that is closed."""
        ran: list[int] = []
        last = asyncio.get_running_loop().create_future()
        thread.submit(lambda: ran.append(1), lambda *_: last.set_result(None))
        thread.stop()
        with pytest.raises(BlockingIOError, match="it is closed"):
            await thread.run(lambda: ran.append(2))
        await last
        assert ran == [1]

    def test_a_job_may_outlive_its_loop(self) -> None:
        """It comes to its end, and the thread to its own, without a complaint."""
        held, ran, threads = threading.Event(), threading.Event(), set(threading.enumerate())

        async def leave() -> None:
            thread = DiskThread("left")
            thread.submit(lambda: held.wait(PATIENCE), lambda *_: None)
            thread.submit(ran.set, lambda *_: None)
            thread.stop()

        asyncio.run(leave())
        held.set()
        assert ran.wait(PATIENCE)
        for left in set(threading.enumerate()) - threads:
            left.join(PATIENCE)
            assert not left.is_alive()
