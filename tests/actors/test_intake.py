"""The way in: what arrives together is judged as if it had come one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.frames import arrivals
from tests.strategies import channel_names
from tocsin.actors.alarm import Alarm
from tocsin.actors.clock import Clock, ServiceClock
from tocsin.actors.intake import Intake
from tocsin.actors.ledger import Ledger
from tocsin.actors.mailbox import Mailbox
from tocsin.actors.senses import Senses
from tocsin.persistence.memory import MemoryStore
from tocsin.persistence.store import Inbox
from tocsin.protocol import lane, lanes
from tocsin.protocol.batches import PayloadRow
from tocsin.protocol.conditions import AppSettings, HostState
from tocsin.protocol.dead_letters import DeadLetterPolicy
from tocsin.protocol.lanes import Lanes
from tocsin.protocol.messages import ConnectionUp, Payload
from tocsin.protocol.values import DropReason, NotificationType

NOW = 1_000.0
HOSTS = (HostState(), HostState(energy_saver=True), HostState(cloud_notifications=False))


class StoppedClock(Clock):
    """The same moment always."""

    def wall(self) -> float:
        """Return it."""
        return NOW

    def steady(self) -> float:
        """Return it."""
        return NOW


class World:
    """An intake for two channels of an app that is there and one of an app that is not; any other channel is unknown."""

    def __init__(self, host: HostState | None = None, *, exempt: bool = False) -> None:
        clock, mailbox = StoppedClock(), Mailbox("payload_router")
        at_service = ServiceClock(clock)
        at_service.hear(ConnectionUp(1024, NOW))
        self.lanes = Lanes()
        self.ledger = Ledger(MemoryStore(), Senses(clock, at_service, Alarm(mailbox)), DeadLetterPolicy())
        self.intake = Intake(at_service, self.lanes, self.ledger, Inbox(10, ("old",), ()))
        for channel, app in (("c1", "mail"), ("c2", "mail"), ("c3", "chat")):
            self.lanes.open_channel(channel, app)
        self.lanes.set_ready("mail", ready=True)
        self.lanes.gates.set_host(host or HostState())
        self.lanes.gates.set_settings("mail", AppSettings(exempt_from_energy_saver=exempt))
        self.lanes.reconsider_all()
        while (turn := self.lanes.next_fetch()) is not None:
            self.lanes.fetched(turn[0], [], turn[1])
        self.going: dict[str, list[PayloadRow]] = {}

    def take(self, payloads: list[Payload]) -> None:
        """Take payloads in together, and note which go on, by channel."""
        if payloads:
            for row in self.intake.take(arrivals(*payloads)):
                self.going.setdefault(row[6], []).append(row)

    def found(self) -> tuple[object, ...]:
        """Return all that came of it."""
        ledger = self.ledger
        dead = [(each.sequence, each.reason, each.at) for each in ledger._dead]
        behind = {name: each.phase for name, each in self.lanes._lanes.items()}
        return ledger.accepted, sorted(ledger._held), sorted(dead), self.going, behind, self.lanes._stored


@pytest.fixture(autouse=True, scope="module")
def _narrow() -> Iterator[None]:
    """Let windows be as small as the batches, so that some payloads find no room."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lane, "WINDOW", 4)
        patch.setattr(lanes, "MAX_IN_FLIGHT", 6)
        yield


def payload(number: int, channel: str = "c1", expires: float | None = None, priority: int = 3) -> Payload:
    """Build a payload."""
    return Payload(f"id{number}", channel, NotificationType.RAW, b"ding", expires, priority)


PAYLOADS = st.builds(
    payload,
    st.integers(0, 12),
    channel_names() | st.just("nobody's"),
    st.sampled_from([None, None, NOW - 1, NOW + 1]),
    st.integers(1, 4),
)


@given(st.lists(st.lists(PAYLOADS, max_size=9), max_size=3), st.sampled_from(HOSTS), st.booleans())
def test_together_is_as_good_as_one_by_one(batches: list[list[Payload]], host: HostState, exempt: bool) -> None:
    """The same are accepted with the same numbers, go on in the same order, wait, are held back, or die of the same reason."""
    together, apart = World(host, exempt=exempt), World(host, exempt=exempt)
    for batch in batches:
        together.take(batch)
        for each in batch:
            apart.take([each])
    assert together.found() == apart.found()


def test_each_is_taken_in_once() -> None:
    """One that came before, in this batch or in an earlier life, is left out; numbers go on behind the last."""
    world = World()
    old = Payload("old", "c1", NotificationType.RAW, b"ding", None, 3)
    world.take([payload(1), old, payload(1), payload(2)])
    assert [(row[0], row[1]) for row in world.ledger.accepted] == [(11, "id1"), (12, "id2")]


def test_what_finds_no_room_stays_and_counts_no_attempt() -> None:
    """It is fetched when its lane has room again."""
    world = World()
    world.take([payload(number) for number in range(5)])
    assert [row[4] for row in world.ledger.accepted] == [1, 1, 1, 1, 0]
    assert [row[0] for row in world.going["c1"]] == [11, 12, 13, 14]


def test_a_payload_for_nobody_dies_at_once() -> None:
    """Its reason is that there is no such channel, whatever else might be said against it."""
    world = World(HostState(cloud_notifications=False))
    world.take([payload(1, "nobody's", NOW - 1)])
    assert [(dead.sequence, dead.reason) for dead in world.ledger._dead] == [(11, DropReason.UNKNOWN_CHANNEL)]
