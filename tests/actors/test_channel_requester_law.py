"""The channel requester obeys its table: messages in, and what is sent, answered and stored because of them."""

from __future__ import annotations

import pytest

from tests.helpers import waiting_messages
from tests.protocol.tables import erase
from tocsin.actors.actor import perform
from tocsin.actors.alarm import Alarm
from tocsin.actors.channel_requester import _KEYS, ChannelRequester, Neighbours
from tocsin.actors.clock import LoopClock, ServiceClock
from tocsin.actors.push_messages import PushMessages
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_store import MemoryStore
from tocsin.protocol import messages as m
from tocsin.protocol.hresult import HResult
from tocsin.protocol.kernel.machine import IllegalEvent
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.channel_request import TABLE, Effect
from tocsin.protocol.platform.conditions import AppSettings

NOW, MONTH = 1_000_000.0, 30 * 86_400.0


class StandingClock(LoopClock):
    """A clock that stands."""

    def monotonic(self) -> float:
        """Return always the same."""
        return 0.0

    def steady(self) -> float:
        """Return always the same."""
        return 0.0

    def wall(self) -> float:
        """Return always the same."""
        return NOW


class Ground:
    """A store, and the mailboxes around a requester, whatever instance of it reads them."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        names = ("connection", "retry_scheduler", "payload_router", "s")
        self.mailboxes = {name: Mailbox(name) for name in names}
        self.sessions = Sessions()
        self.sessions.add("mail", self.mailboxes["s"])
        self.seen: list[object] = []

    async def begin(self) -> ChannelRequester:
        """Build an instance, as an actor that begins anew does."""
        clock = StandingClock(seed=1)
        names = "connection", "retry_scheduler", "payload_router"
        connection, scheduler, router = (self.mailboxes[name] for name in names)
        around = Neighbours(connection, scheduler, router, PushMessages())
        senses = Senses(clock, ServiceClock(clock), Alarm(Mailbox("channel_requester")))
        requester = ChannelRequester(self.store, senses, self.sessions, around)
        await requester.start()
        await self.look()
        return requester

    async def look(self) -> None:
        """Note what was sent and answered, and what is stored by now."""
        sent = {name: waiting_messages(mailbox) for name, mailbox in self.mailboxes.items()}
        self.seen.append((sent, await self.store.channels(), await self.store.requests()))


async def story() -> list[object]:
    """Bring requests to each of their ends, and one over the end of its requester."""
    ground = Ground()
    requester = await ground.begin()
    first = int(StandingClock(seed=1).fraction() * _KEYS)

    async def happens(*messages: m.Message, app: str = "") -> None:
        for message in messages:
            frame = encode(message)
            stamped = m.Stamped("s", app, frame) if app else message
            try:
                requester.receive(stamped, frame)
            except (IllegalEvent, KeyError):  # it would begin anew, and know nothing
                ground.seen.append("failed")
        await perform(requester.flush())
        await ground.look()

    def refused(key: int) -> m.ChannelRefused:
        return m.ChannelRefused(key, HResult.ERROR_TIMEOUT, "later", None)

    def granted(key: int) -> m.ChannelGranted:
        return m.ChannelGranted(key, f"c{key - first}", "http://uri", NOW + MONTH, NOW)

    await happens(m.ConnectionUp(1024, NOW))
    for number in range(5):
        await happens(m.CreateChannel(number, f"r{number}"), app="mail")
    await happens(granted(first))
    for number in range(1, 5):
        await happens(refused(first + number))
    await happens(m.RetryDenied(first + 1))
    for number in range(2, 5):
        await happens(m.RetryPlanned(first + number, 1, 60.0))
    await happens(m.RetryDue(first + 2))
    await happens(granted(first + 2))
    await happens(m.CancelCreateChannel(3), app="mail")
    await happens(m.CreateChannel(5, "r5"), app="mail")
    for notifications in (False, True):
        await happens(m.AppSettingsChanged("mail", AppSettings(notifications=notifications)))
    await happens(m.CreateChannel(6, "r6"), app="mail")
    await happens(refused(first + 6))
    await happens(m.RetryPlanned(first + 6, 1, 60.0))
    await ground.begin()  # with the one that is left
    return ground.seen


async def test_the_story_is_the_same_each_time() -> None:
    """It has grants, a failure, a cancellation, and a wait that is gone on with."""
    seen = await story()
    assert seen == await story()
    words = repr(seen)
    for word in ("CreateChannelDone", "PlanRetry", "ForgetRetry", "ResumeRetry", "RequestChannel", "StoredRequest"):
        assert word in words
    assert "failed" not in seen


@pytest.mark.parametrize("effect", Effect)
async def test_the_requester_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another requester, and its neighbours, apps or store see that."""
    right = await story()
    erase(monkeypatch, TABLE, effect)
    assert await story() != right
