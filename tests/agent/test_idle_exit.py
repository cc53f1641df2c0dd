"""An agent that is started on demand stays while an app needs it, on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio.testing

from tests.actors.shelling import PlayedDesktop
from tocsin.actors.actor_runner import Kernel
from tocsin.actors.clock import LoopClock
from tocsin.actors.shell import ShellParts
from tocsin.actors.topology import Platform
from tocsin.agent.idle_exit import LOOK_EVERY, idle
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_shell_store import MemoryShellStore
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.shell_store import ShellChanges, StoredActivation
from tocsin.persistence.store import StoredActivator, StoredChannel
from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.platform.retry_schedule import RetryPolicy

CHANNEL = StoredChannel("c1", "mail", "id", "http://uri", 10.0**10)
TRIGGER = StoredActivator("mail", 4, "0", (), cancel_on_condition_loss=False)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Watched:
    """A platform of which nothing runs, its store, and the moment at which it was found to be of no use."""

    def __init__(self, store: MemoryStore, shell: ShellParts | None = None) -> None:
        self.store = store
        self.platform = Platform(self.store, Kernel(LoopClock(seed=1)), RetryPolicy(), shell=shell)
        self.start = anyio.current_time()
        self.ended: float | None = None

    async def watch(self) -> None:
        """Note when it is over."""
        await idle(self.platform, 5.0)
        self.ended = anyio.current_time() - self.start


@asynccontextmanager
async def watched(store: MemoryStore | None = None, shell: ShellParts | None = None) -> AsyncIterator[Watched]:
    """Watch a platform while the block runs."""
    w = Watched(MemoryStore() if store is None else store, shell)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(w.watch)
        yield w
        tasks.cancel_scope.cancel()


async def test_without_any_app_it_ends_after_its_time() -> None:
    """As the SDK's process, of which nothing was asked."""
    async with watched() as w:
        await anyio.sleep(4.9)
        assert w.ended is None
        await anyio.sleep(0.2)
        assert w.ended == 5.0


async def test_a_session_begins_the_time_anew_when_it_leaves() -> None:
    """However long it was there."""
    async with watched() as w:
        await anyio.sleep(3)
        w.platform.sessions.add("mail", Mailbox("mail/1"))
        await anyio.sleep(1000)
        w.platform.sessions.remove("mail/1")
        await anyio.sleep(4.9)
        assert w.ended is None
        await anyio.sleep(0.2)
        assert w.ended == 1008.0


async def test_a_session_that_leaves_at_once_begins_the_time_anew_too() -> None:
    """Though no look at the sessions has found it."""
    async with watched() as w:
        await anyio.sleep(4.9)
        w.platform.sessions.add("mail", Mailbox("mail/1"))
        w.platform.sessions.remove("mail/1")
        await anyio.sleep(4.9)
        assert w.ended is None
        await anyio.sleep(0.2)
        assert w.ended == pytest.approx(9.9)


class LateStore(MemoryStore):
    """A store whose activators change right after they were read."""

    after_reading: Callable[[], Awaitable[None]] | None = None

    async def activators(self) -> list[StoredActivator]:
        """Return what there was before."""
        found = await super().activators()
        act, self.after_reading = self.after_reading, None
        if act is not None:
            await act()
        return found


async def test_what_is_registered_while_it_decides_keeps_it() -> None:
    """By a session that has come and gone since the store was read, in the last moment."""
    store = LateStore()
    async with watched(store) as w:

        async def register() -> None:
            w.platform.sessions.add("mail", Mailbox("mail/1"))
            await store.keep_activator(TRIGGER)
            w.platform.sessions.remove("mail/1")

        await anyio.sleep(1)
        store.after_reading = register  # the next look is the one that decides
        await anyio.sleep(100)
        assert store.after_reading is None
        assert w.ended is None


async def test_what_is_registered_by_one_that_leaves_meanwhile_keeps_it_too() -> None:
    """Also where it has no time to wait, and was there before it looked."""
    store = LateStore()
    w = Watched(store)
    w.platform.sessions.add("mail", Mailbox("mail/1"))

    async def register() -> None:
        await store.keep_activator(TRIGGER)
        w.platform.sessions.remove("mail/1")

    store.after_reading = register
    with anyio.move_on_after(1000) as scope:
        await idle(w.platform, 0.0)
    assert scope.cancelled_caught
    assert store.after_reading is None


@pytest.mark.parametrize("kept", [CHANNEL, TRIGGER])
async def test_a_channel_or_a_trigger_keeps_it(kept: StoredChannel | StoredActivator) -> None:
    """Until it is gone, which is noticed within ten minutes though no session comes."""
    async with watched() as w:
        w.platform.sessions.add("mail", Mailbox("mail/1"))
        await (w.store.keep_channel(kept) if isinstance(kept, StoredChannel) else w.store.keep_activator(kept))
        w.platform.sessions.remove("mail/1")
        await anyio.sleep(10_000)
        assert w.ended is None
        await w.store.drop_channels(["c1"])
        await w.store.drop_activator("mail", 4)
        await anyio.sleep(LOOK_EVERY + 5.1)
        assert w.ended is not None


async def test_a_toast_that_may_be_clicked_keeps_it() -> None:
    """Or a click that waits; a while after both have gone it ends."""
    kept = MemoryShellStore()
    click = StoredActivation(1, "mail", 1, "", "", ToastActivationType.FOREGROUND, "", (), 0.0)
    await kept.commit(ShellChanges(activations=(click,)))
    async with watched(shell=ShellParts(kept, PlayedDesktop())) as w:
        await anyio.sleep(100)
        assert w.ended is None
        await kept.drop_activations((1,))
        await anyio.sleep(LOOK_EVERY + 5)
        assert w.ended is not None
