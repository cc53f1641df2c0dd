"""The way in: what arrives together is judged as if it had come one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.frames import arrivals
from tests.strategies import channel_names
from tocsin.actors.admission import Admission
from tocsin.actors.alarm import Alarm
from tocsin.actors.clock import LoopClock, ServiceClock
from tocsin.actors.inbox_effects import InboxEffects
from tocsin.actors.senses import Senses
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.store import InboxSummary
from tocsin.protocol.delivery import channel_window as window
from tocsin.protocol.delivery import channel_windows as windows
from tocsin.protocol.delivery.channel_windows import ChannelWindows
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
from tocsin.protocol.delivery.plain_rows import PlainRow, attempt_of, channel_of, id_of, sequence_of
from tocsin.protocol.messages import ConnectionUp, Payload
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.values import DropReason, NotificationType

NOW = 1_000.0
HOSTS = (HostState(), HostState(energy_saver=True), HostState(cloud_notifications=False))


class StoppedClock(LoopClock):
    """The same moment always."""

    def wall(self) -> float:
        """Return it."""
        return NOW

    def steady(self) -> float:
        """Return it."""
        return NOW


class World:
    """An admission for two channels of an app that is there and one of an app that is not; any other channel is unknown."""

    def __init__(self, host: HostState | None = None, *, exempt: bool = False) -> None:
        clock, mailbox = StoppedClock(), Mailbox("payload_router")
        at_service = ServiceClock(clock)
        at_service.hear(ConnectionUp(1024, NOW))
        self.windows = ChannelWindows()
        self.effects = InboxEffects(MemoryStore(), Senses(clock, at_service, Alarm(mailbox)), DeadLetterPolicy())
        self.admission = Admission(at_service, self.windows, self.effects, InboxSummary(10, ("old",), ()))
        for channel, app in (("c1", "mail"), ("c2", "mail"), ("c3", "chat")):
            self.windows.open_channel(channel, app)
        self.windows.set_ready("mail", ready=True)
        self.windows.gates.set_host(host or HostState())
        self.windows.gates.set_settings("mail", AppSettings(exempt_from_energy_saver=exempt))
        self.windows.reconsider_all()
        while (turn := self.windows.next_fetch()) is not None:
            self.windows.fetched(turn[0], [], turn[1])
        self.going: dict[str, list[PlainRow]] = {}

    def take(self, payloads: list[Payload]) -> None:
        """Take payloads in together, and note which go on, by channel."""
        if payloads:
            for row in self.admission.admit(arrivals(*payloads), {}):
                self.going.setdefault(channel_of(row), []).append(row)

    def found(self) -> tuple[object, ...]:
        """Return all that came of it."""
        effects = self.effects
        dead = [(each.sequence, each.reason, each.at) for each in effects._dead]
        behind = {name: each.phase for name, each in self.windows._windows.items()}
        return effects.accepted, sorted(effects._gated), sorted(dead), self.going, behind, self.windows._stored


@pytest.fixture(autouse=True, scope="module")
def _narrow() -> Iterator[None]:
    """Let windows be as small as the batches, so that some payloads find no room."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "WINDOW", 4)
        patch.setattr(windows, "MAX_IN_FLIGHT", 8)
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
    assert [(sequence_of(row), id_of(row)) for row in world.effects.accepted] == [(11, "id1"), (12, "id2")]


def test_what_finds_no_room_stays_and_counts_no_attempt() -> None:
    """It is fetched when its window has room again."""
    world = World()
    world.take([payload(number) for number in range(5)])
    assert list(map(attempt_of, world.effects.accepted)) == [1, 1, 1, 1, 0]
    assert list(map(sequence_of, world.going["c1"])) == [11, 12, 13, 14]


def test_a_payload_for_nobody_dies_at_once() -> None:
    """Its reason is that there is no such channel, whatever else might be said against it."""
    world = World(HostState(cloud_notifications=False))
    world.take([payload(1, "nobody's", NOW - 1)])
    assert [(dead.sequence, dead.reason) for dead in world.effects._dead] == [(11, DropReason.UNKNOWN_CHANNEL)]
