"""A sender's DELETE within the device: the router says whose toasts they are, behind the payloads that came before."""

from __future__ import annotations

from tests.helpers import next_messages, payload
from tests.protocol.frames import arrivals
from tocsin.actors.actor import perform
from tocsin.actors.alarm import Alarm
from tocsin.actors.clock import LoopClock, ServiceClock
from tocsin.actors.inbox_effects import InboxEffects
from tocsin.actors.operator_desk import OperatorDesk
from tocsin.actors.payload_router import PayloadRouter, RouterNeighbours
from tocsin.actors.push_messages import PushMessages
from tocsin.actors.senses import Senses
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.store import StoredChannel
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy


async def test_it_follows_the_payloads_that_came_before_it() -> None:
    """Once these are on disk; a channel that the device does not hold has no app to tell."""
    store, mailbox, supervisor = MemoryStore(), Mailbox("payload_router"), Mailbox("supervisor")
    await store.keep_channel(StoredChannel("c1", "mail", "remote", "uri", 4e9))
    clock = LoopClock(seed=1)
    at_service = ServiceClock(clock)
    effects = InboxEffects(store, Senses(clock, at_service, Alarm(mailbox)), DeadLetterPolicy())
    desk = OperatorDesk(mailbox, store)
    beside = RouterNeighbours(Mailbox("connection"), supervisor, desk, PushMessages(), lambda: False)
    router = PayloadRouter(store, at_service, effects, beside)
    await router.start()
    router.channel_subscribed(m.ChannelSubscribed("mail", "c1"), b"")
    await perform(router.flush())
    router.accept(arrivals(payload("A")), b"")
    router.withdraw_toasts(m.WithdrawToasts("c1", "t", None), b"")
    router.withdraw_toasts(m.WithdrawToasts("unknown", "t", None), b"")
    router.accept(arrivals(payload("B")), b"")
    await perform(router.flush())
    fence, first, withdrawn, second = await next_messages(supervisor)
    assert isinstance(fence, m.Fence)
    assert [row[1] for each in (first, second) if isinstance(each, m.Deliveries) for row in each.rows] == ["A", "B"]
    assert withdrawn == m.ToastsWithdrawn("mail", "t", None)
