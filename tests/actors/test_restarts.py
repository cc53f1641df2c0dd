"""What becomes of payloads and requests when an actor fails and begins anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.helpers import next_messages, payload
from tests.world import REMOTE_ID, Gathered, dead_rows, handling, open_rows, world
from tocsin.actors.activator_registry import ActivatorRegistry
from tocsin.actors.actor import Actor
from tocsin.actors.channel_requester import ChannelRequester
from tocsin.actors.payload_router import PayloadRouter
from tocsin.actors.retry_scheduler import RetryScheduler
from tocsin.actors.sessions import Stamp
from tocsin.actors.supervisor import Supervisor
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.mailbox import Mailbox
from tocsin.persistence.sqlite_store import SqliteStore
from tocsin.persistence.store import StoredActivator
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import Acknowledge, ActorRestarted, ChannelRefused, LeaveSession, RequestChannel
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import Activators, PushNotificationActivationInfo
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.protocol.values import PushNotificationChannelStatus as Status

Args = PushNotificationReceivedEventArgs


class Fault:
    """Makes a method of an actor raise, once it is armed; planted before the actor is built."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, actor: type[Actor], method: str) -> None:
        self.left = 0
        original: Callable[..., Any] = getattr(actor, method)

        def failing(instance: Actor, *arguments: Any) -> Any:
            if self.left:
                self.left -= 1
                raise RuntimeError("planted")
            return original(instance, *arguments)

        monkeypatch.setattr(actor, method, failing)

    def arm(self, times: int = 1) -> None:
        """Raise on the next calls."""
        self.left = times


@pytest.mark.parametrize(
    ("actor", "method"),
    [
        (PayloadRouter, "accept"),
        (PayloadRouter, "handled"),
        (PayloadRouter, "flush"),
        (PayloadRouter, "channel_subscribed"),
        (Supervisor, "deliver"),
        (Supervisor, "handled"),
        (Supervisor, "flush"),
        (Supervisor, "subscribe"),
    ],
)
async def test_payloads_get_through_whichever_actor_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, actor: type[Actor], method: str
) -> None:
    """A failure of any actor on the way costs at most an attempt, or the one message that caused it."""
    seen = Gathered()
    fault = Fault(monkeypatch, actor, method)
    async with world(tmp_path) as w:
        channel = await w.channel()
        fault.arm()
        with channel.push_received(handling(seen)):
            await w.service.send(payload("A"), payload("B"))
            if (actor, method) == (PayloadRouter, "accept"):  # it may have died of the first one, unacknowledged
                await w.service.cut()
                await w.service.accept()
                await w.service.send(payload("A"), payload("B"))
            await seen.wait_until(lambda: {"A", "B"} <= {item[0] for item in seen.items if isinstance(item, tuple)})
            await w.service.send(payload("C"))  # comes behind whatever has to be done again
            await seen.wait_until(lambda: ("C", 1) in seen.items or ("C", 2) in seen.items)
        assert w.platform.actors[actor.name].restarts >= 1
    assert await dead_rows(tmp_path) == []
    assert await open_rows(tmp_path) == []


async def test_a_requester_that_fails_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's operation goes on although the actor that had it is gone."""
    fault = Fault(monkeypatch, ChannelRequester, "granted")
    async with world(tmp_path) as w:
        fault.arm()
        operation = w.manager.create_channel(REMOTE_ID)
        await w.service.grant("lost")
        await w.service.grant("c1")
        result = await operation
        assert result.channel is not None
        assert result.channel.uri.endswith("c1")


async def test_a_scheduler_that_fails_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that the scheduler has forgotten is planned once more, and reported once."""
    fault = Fault(monkeypatch, RetryScheduler, "ring")
    async with world(tmp_path, retries=RetryPolicy(first=0.05, increment=0.01, longest=1)) as w:
        fault.arm()
        operation = w.manager.create_channel(REMOTE_ID)
        request = await w.service.expect(RequestChannel)
        await w.service.send(ChannelRefused(request.request, HResult.ERROR_TIMEOUT, "slow", None))
        await w.service.grant()
        assert (await operation).status is Status.COMPLETED_SUCCESS
        assert [progress.retry_count async for progress in operation] == [0, 1]


async def test_an_actor_that_keeps_failing_ends_the_platform_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When restarting does not help, the app learns why, as one error and not a group."""
    fault = Fault(monkeypatch, PayloadRouter, "accept")

    async def suffer() -> None:
        async with world(tmp_path) as w:
            await w.channel()
            fault.arm(times=100)
            for number in range(10):
                await w.service.send(payload(str(number)))
            await w.service.expect(Acknowledge)

    with pytest.raises(PlatformUnavailable, match="payload_router keeps failing: planted"):
        await suffer()


async def test_a_registry_that_fails_learns_its_activators_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app's session registers anew what the registry has forgotten, and background work goes on."""
    fault = Fault(monkeypatch, ActivatorRegistry, "leave")
    seen = Gathered()
    with Mailbox("watching") as watching:
        async with world(tmp_path) as w:
            await w.channel()
            info = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)
            await w.manager.register_activator(info, lambda args: seen.add(args.id))
            w.platform.sessions.add("chat", watching)
            fault.arm()
            await w.platform.send(Stamp("watching", "chat"), LeaveSession(), encode(LeaveSession()))
            assert await next_messages(watching) == [ActorRestarted("activator_registry")]
            await w.service.send(payload("A"))
            await seen.wait_for(1)
            await w.manager.unregister_activator(Activators.PROTOCOL_ACTIVATOR)  # only who has registered it may


async def test_payloads_do_not_wait_for_the_store_to_keep_an_activator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a registration is being written, payloads go to their handlers; it is agreed to when it is kept."""
    writing, go_on = anyio.Event(), anyio.Event()
    original = SqliteStore.keep_activator

    async def slow(self: SqliteStore, activator: StoredActivator) -> None:
        writing.set()
        await go_on.wait()
        await original(self, activator)

    monkeypatch.setattr(SqliteStore, "keep_activator", slow)
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        info = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(w.manager.register_activator, info, lambda _: None)
            await writing.wait()
            with channel.push_received(handling(seen)):
                await w.service.send(payload("A"))
                await seen.wait_for(1)
            go_on.set()
    assert seen.items == [("A", 1)]
