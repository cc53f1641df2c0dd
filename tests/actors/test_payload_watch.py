"""Those who follow payloads, and what the edges of the actors tell them."""

from __future__ import annotations

import anyio
import pytest

from tests.actors.supervising import delivery
from tests.persistence.payloads import payload
from tocsin import followers
from tocsin.actors import payload_watch
from tocsin.actors.clock import LoopClock
from tocsin.actors.payload_watch import PayloadWatch
from tocsin.followers import MAX_FOLLOWERS
from tocsin.persistence.store import Changes, DeadPayload
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage, Wanted
from tocsin.protocol.errors import Busy
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.values import DropReason

ALL = Wanted()


@pytest.fixture
def watch() -> PayloadWatch:
    """Return one that knows whose the channel ``c1`` is."""
    watch = PayloadWatch(LoopClock())
    watch.channels = {"c1": "mail"}
    return watch


async def test_a_payload_is_known_by_its_number_from_then_on(watch: PayloadWatch) -> None:
    """Each later stage names its app, channel, id, type and size, and what is new."""
    with watch.followers.follow(ALL) as follower:
        watch.committed(Changes(accepted=[payload(1, "c1", body=b"four")], gated=[1]))
        watch.committed(Changes(parked=[1]))
        watch.launching("mail", 1)
        watch.handed_over("mail/1", encode(m.Activation(encode(delivery(1, attempt=2)), 7)))
        watch.handed_over("mail/1", encode(m.CancelDelivery(1, CancellationReason.UNINSTALL)))
        watch.handed_over("mail/1", encode(m.Fence()))
        watch.committed(Changes(dead=[DeadPayload(1, DropReason.UNINSTALL, "why", 5.0)]))
        events, lost = await follower.batch()
    assert [event.stage for event in events] == [
        *(Stage.STORED, Stage.GATED, Stage.PARKED, Stage.LAUNCHED, Stage.OFFERED, Stage.CANCELED, Stage.DEAD)
    ]
    assert {(event.app, event.channel, event.sequence) for event in events} == {("mail", "c1", 1)}
    assert [event.session for event in events[4:]] == ["mail/1", "mail/1", ""]
    assert [event.reason for event in events[5:]] == ["uninstall", "uninstall"]
    assert (events[4].attempt, events[-1].detail, lost) == (2, "why", 0)


async def test_a_payload_of_before_has_its_number_only(watch: PayloadWatch) -> None:
    """What happened while no one followed is not known afterwards."""
    watch.committed(Changes(accepted=[payload(1, "c1")]))
    with watch.followers.follow(ALL) as follower:
        watch.committed(Changes(handled=[1]))
        ((event,), _) = await follower.batch()
    assert event.fields().keys() == {"at", "stage", "sequence", "size"}
    assert not watch.active


async def test_what_finds_no_room_is_counted(watch: PayloadWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower that does not listen costs no more than its queue; others lose nothing."""
    monkeypatch.setattr(followers, "MAX_UNHEARD", 2)
    with watch.followers.follow(ALL) as slow, watch.followers.follow(Wanted(stages=frozenset({"dead"}))) as quick:
        watch.committed(Changes(handled=[1, 2, 3, 4]))
        watch.committed(Changes(dead=[DeadPayload(5, DropReason.EXPIRED, "", 5.0)]))
        events, lost = await slow.batch()
        assert ([event.sequence for event in events], lost) == ([1, 2], 3)
        ((event,), none) = await quick.batch()
        assert (event.sequence, none) == (5, 0)


async def test_few_payloads_are_known_at_a_time(watch: PayloadWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first."""
    monkeypatch.setattr(payload_watch, "MAX_KNOWN", 2)
    with watch.followers.follow(ALL) as follower:
        watch.committed(Changes(accepted=[payload(number, "c1") for number in (1, 2, 3)], handled=[1, 2, 3]))
        events, _ = await follower.batch()
    assert [event.app for event in events[3:]] == ["", "mail", "mail"]


def test_few_may_follow_at_a_time(watch: PayloadWatch) -> None:
    """One more is refused in words, and has a place when another has left."""
    with watch.followers.follow(ALL):
        others = [watch.followers.follow(ALL) for _ in range(MAX_FOLLOWERS - 1)]
        for each in others:
            each.__enter__()
        with pytest.raises(Busy, match="follow payloads already"), watch.followers.follow(ALL):
            pass
        for each in others:
            each.__exit__(None, None, None)
        with watch.followers.follow(ALL):
            assert len(watch.followers) == 2


async def test_one_who_follows_hears_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which they tell; when it leaves, neither tells it any more, and each has its bound."""
    first, second = followers.Followers(), followers.Followers()
    events = first.events({"apps": ["a"]}, second)

    async def tell() -> None:
        for each, app in ((first, "a"), (second, "a"), (second, "b"), (first, "a")):
            each.tell(PayloadEvent(0.0, Stage.STORED, app=app, id=str(len(told))))
            told.append(app)

    told: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tell)
        assert [event["id"] for event in await anext(events)] == ["0", "1", "3"]
    await events.aclose()
    assert (len(first), len(second)) == (0, 0)
    monkeypatch.setattr(followers, "MAX_FOLLOWERS", 1)
    with second.follow(ALL), pytest.raises(Busy, match="follow payloads already"):
        first.events({}, second)
