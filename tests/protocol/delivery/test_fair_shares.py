"""What one app may take of all that is on its way: whatever the others do, there is room for it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.persistence.payloads import payload
from tocsin.protocol.delivery import channel_windows as module
from tocsin.protocol.delivery.channel_windows import MAX_IN_FLIGHT, ChannelWindows
from tocsin.protocol.delivery.plain_rows import sequence_of

ROOM = 24
"""What stands for ``MAX_IN_FLIGHT`` where many lives are tried."""


class Greedy:
    """Apps with more stored for each channel than is ever fetched."""

    def __init__(self) -> None:
        self.windows = ChannelWindows()
        self.last = 0
        self.app_of: dict[int, str] = {}
        """The app of each payload that is on its way."""

    def open(self, app: str, channels: int) -> None:
        """Let an app take the payloads of some channels."""
        for number in range(channels):
            channel = f"{app}{number}"
            self.windows.note_stored([channel])
            self.windows.open_channel(channel, app)
            self.windows.subscribe(app, channel)

    def fetch_one(self) -> str | None:
        """Fetch a page for the window whose turn it is, and return its channel."""
        if (turn := self.windows.next_fetch()) is None:
            return None
        window, wanted = turn
        page = [self.last + n for n in range(1, wanted + 1)]
        self.last += wanted
        self.windows.fetched(window, page, wanted)
        self.app_of |= dict.fromkeys(page, self.windows.channels[window.channel])
        return window.channel

    def fetch_all(self) -> None:
        """Fetch for as long as it is the turn of a window."""
        while self.fetch_one() is not None:
            pass

    def end_all(self) -> None:
        """Let all that is on its way be handled."""
        for sequence in self.app_of:
            self.windows.settle(sequence, given_back=False)
        self.app_of.clear()

    def admit(self, channel: str, count: int) -> None:
        """Let new payloads of a channel come."""
        rows = [payload(self.last + n, channel, attempt=1) for n in range(1, count + 1)]
        self.last += count
        going = self.windows.admit(rows)
        self.app_of |= dict.fromkeys(map(sequence_of, going), self.windows.channels[channel])

    def shares(self) -> Counter[str]:
        """Count what each app has on its way."""
        return Counter(self.app_of.values())


@pytest.mark.parametrize("channels", [2, 3, 64])
def test_an_app_whose_payloads_never_end_leaves_half(channels: int) -> None:
    """However many channels it has."""
    greedy = Greedy()
    greedy.open("a", channels)
    greedy.fetch_all()
    assert greedy.shares() == {"a": MAX_IN_FLIGHT // 2}


def test_two_that_come_together_leave_a_third() -> None:
    """While their windows take turns."""
    greedy = Greedy()
    for channels in range(1, 65):
        greedy.open("a", channels)
        greedy.open("b", channels)
    greedy.fetch_all()
    shares = greedy.shares()
    assert set(shares) == {"a", "b"}
    assert MAX_IN_FLIGHT - shares.total() >= MAX_IN_FLIGHT // 3


def test_each_that_comes_later_finds_room() -> None:
    """It has half of what the others have left, and leaves as much."""
    greedy = Greedy()
    for number in range(10):
        before = MAX_IN_FLIGHT - greedy.shares().total()
        greedy.open(f"app{number} ", 64)
        greedy.fetch_all()
        assert greedy.shares()[f"app{number} "] == before // 2


def test_what_comes_at_once_is_shared_in_the_same_way() -> None:
    """Payloads that go on from memory count as those that are fetched."""
    greedy = Greedy()
    for channel in [f"a{number}" for number in range(8)]:
        greedy.windows.open_channel(channel, "a")
        greedy.windows.subscribe("a", channel)
        greedy.admit(channel, 2000)
    assert greedy.shares() == {"a": MAX_IN_FLIGHT // 2}


class AnyApps(RuleBasedStateMachine):
    """Apps come, their payloads come and end or do not, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(module, "MAX_IN_FLIGHT", ROOM)
        self.greedy = Greedy()

    @rule(app=st.sampled_from("abcd"), channels=st.integers(1, 3))
    def an_app_comes(self, app: str, channels: int) -> None:
        """Or says again what it takes."""
        self.greedy.open(app, channels)

    @rule()
    def a_page_is_fetched(self) -> None:
        """The app of it has no more then than what is left, but for the one that is odd."""
        channel = self.greedy.fetch_one()
        if channel is not None:
            self.check_share_of(self.greedy.windows.channels[channel])

    @precondition(lambda self: self.greedy.windows.channels)
    @rule(place=st.integers(0, 11), count=st.integers(1, ROOM))
    def payloads_come(self, place: int, count: int) -> None:
        """They go on at once where they may."""
        channels = list(self.greedy.windows.channels)
        channel = channels[place % len(channels)]
        before = self.greedy.shares()
        self.greedy.admit(channel, count)
        if self.greedy.shares() != before:
            self.check_share_of(self.greedy.windows.channels[channel])

    @precondition(lambda self: self.greedy.app_of)
    @rule(place=st.integers(0, ROOM), given_back=st.booleans())
    def one_is_settled(self, place: int, *, given_back: bool) -> None:
        """It has ended, or comes back."""
        sequence = list(self.greedy.app_of)[place % len(self.greedy.app_of)]
        del self.greedy.app_of[sequence]
        assert self.greedy.windows.settle(sequence, given_back=given_back)

    def check_share_of(self, app: str) -> None:
        """An app that has just got some has at most one more than are free."""
        shares = self.greedy.shares()
        assert shares[app] <= ROOM - shares.total() + 1

    @invariant()
    def no_more_are_on_their_way_than_may_be(self) -> None:
        """And each is known by its number."""
        assert self.greedy.shares().total() <= ROOM
        assert all(map(self.greedy.windows.on_its_way, self.greedy.app_of))

    def teardown(self) -> None:
        """Where there is room, a channel with nothing on its way gets a share; in the end each has had its turn."""
        try:
            waiting = set(self.greedy.windows.channels.values()) - set(self.greedy.shares())
            free = ROOM - self.greedy.shares().total()
            self.greedy.fetch_all()
            assert not free or not waiting or waiting & set(self.greedy.shares())
            self.all_windows_get_their_turn()
        finally:
            self.patch.undo()

    def all_windows_get_their_turn(self) -> None:
        """No window starves while payloads end."""
        unserved = set(self.greedy.windows.channels)
        for _ in range(10 * (1 + len(unserved))):
            self.greedy.end_all()
            while (channel := self.greedy.fetch_one()) is not None:
                unserved.discard(channel)
        assert not {channel for channel in unserved if self.is_behind(channel)}

    def is_behind(self, channel: str) -> bool:
        """Whether there is more in the store for a channel: one that is caught up needs no turn."""
        return channel in self.greedy.windows._hungry  # it shows nowhere else that a window waits


TestAnyApps = AnyApps.TestCase


def test_a_window_that_is_passed_over_stays_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """All channels of an app get their turn, though one of them can take its whole share and others are served meanwhile."""
    monkeypatch.setattr(module, "MAX_IN_FLIGHT", ROOM)
    greedy = Greedy()
    greedy.open("a", 1)
    greedy.open("b", 3)
    served: set[str] = set()
    for _ in range(8):
        while (channel := greedy.fetch_one()) is not None:
            served.add(channel)
        greedy.end_all()
    assert served == {"a0", "b0", "b1", "b2"}
