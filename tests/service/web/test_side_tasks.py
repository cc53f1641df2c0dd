"""The tasks of a connection, and what else weighs little while it is idle."""

from __future__ import annotations

import asyncio
from contextvars import Context

import anyio
import pytest

from tocsin.service.web.flags import Flag
from tocsin.service.web.heart import Heart
from tocsin.service.web.side_tasks import SideTasks


class Owner(SideTasks):
    """What tasks belong to."""

    def __init__(self) -> None:
        self.among: set[asyncio.Task[None]] = set()
        super().__init__(self.among)
        self.failures: list[BaseException] = []
        self.ended = asyncio.Event()

    def tasks_ended(self) -> None:
        """Note it."""
        self.ended.set()

    def task_failed(self, failure: BaseException) -> None:
        """Keep it."""
        self.failures.append(failure)


async def test_all_end_when_they_are_cancelled() -> None:
    """Those that still run, and those that they begin then; their owner is told when none is left, and none is kept."""
    owner = Owner()
    ended: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(name)
            if name == "first":
                owner.start_soon(lambda: wait("second"))

    owner.start_soon(lambda: wait("first"))
    await asyncio.sleep(0)
    assert owner.has_tasks
    assert len(owner.among) == 1
    owner.cancel_tasks()
    await owner.ended.wait()
    assert ended == ["first", "second"]
    assert not owner.has_tasks
    assert not owner.among


async def test_one_is_started_from_a_callback() -> None:
    """In whose context anyio does not know where it runs, as in a program that runs on asyncio by itself."""
    owner = Owner()
    log: list[str] = []

    async def work() -> None:
        log.append("done")

    asyncio.get_running_loop().call_soon(owner.start_soon, work, context=Context())
    await owner.ended.wait()
    assert log == ["done"]


async def test_one_that_has_not_begun_is_cancelled_too() -> None:
    """It goes as far as its first wait."""
    owner = Owner()
    owner.start_soon(lambda: asyncio.sleep(3_600))
    owner.cancel_tasks()
    await owner.ended.wait()
    assert not owner.failures


async def test_what_a_task_shields_is_done_first() -> None:
    """As long as no one cancels the task itself, as a server does in the end."""
    owner = Owner()
    log: list[str] = []

    async def work() -> None:
        with anyio.CancelScope(shield=True):
            await asyncio.sleep(0)
            log.append("done")
        await asyncio.sleep(0)
        log.append("never")

    owner.start_soon(work)
    await asyncio.sleep(0)
    owner.cancel_tasks()
    await owner.ended.wait()
    assert log == ["done"]
    owner.ended.clear()
    owner.start_soon(lambda: asyncio.sleep(3_600))
    for task in owner.among:
        task.cancel()
    await owner.ended.wait()
    assert not owner.failures


async def test_a_failure_is_told() -> None:
    """The owner is not left to serve without its task; it is told before it hears that none is left."""
    owner = Owner()

    async def fail() -> None:
        raise ValueError("it is broken")

    owner.start_soon(fail)
    await owner.ended.wait()
    assert [str(failure) for failure in owner.failures] == ["it is broken"]


async def test_a_flag_wakes_all_who_wait() -> None:
    """A cancelled waiter does not keep others asleep, and a later one does not wait."""
    flag = Flag()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    flag.set()
    assert flag.is_set()
    await asyncio.gather(*waiting[1:])
    await flag.wait()
    flag.clear()
    assert not flag.is_set()
    assert waiting[0].cancelled() or waiting[0].cancelling()


async def test_a_heart_stops_when_nobody_is_left() -> None:
    """Each is pinged once an interval until it says that it has ended."""
    ended = asyncio.Event()

    class Peer:
        def __init__(self, pings: int) -> None:
            self.left = pings

        def ping(self) -> bool:
            """Count down; the one that is pinged most often ends last."""
            self.left -= 1
            if not any(peer.left for peer in peers):
                ended.set()
            return self.left > 0

        def drop(self) -> None:
            """Be dropped never."""
            raise AssertionError

    heart, peers = Heart(0.01), [Peer(1), Peer(3)]
    for peer in peers:
        heart.watch(peer)
    await ended.wait()
    assert not heart._line
    assert not heart._goes_on
    heart.watch(Peer(1))
    assert heart._goes_on


async def test_a_heart_outlives_a_peer_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours in pinging one drops that one; the others are pinged on."""
    log: list[str] = []
    done = asyncio.Event()

    class Peer:
        def __init__(self, name: str) -> None:
            self.name = name

        def ping(self) -> bool:
            """Fail, or be pinged twice."""
            log.append(self.name)
            if self.name == "bad":
                raise RuntimeError("planted")
            if log.count("good") == 2:
                done.set()
            return not done.is_set()

        def drop(self) -> None:
            """Be dropped."""
            log.append(f"{self.name} dropped")

    heart, peers = Heart(0.01), [Peer("bad"), Peer("good")]
    for peer in peers:
        heart.watch(peer)
    await asyncio.wait_for(done.wait(), 10)
    assert log == ["bad", "bad dropped", "good", "good"]
    assert caplog.text.count("RuntimeError: planted") == 1
