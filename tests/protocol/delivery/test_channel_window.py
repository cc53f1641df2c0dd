"""A window: payloads go on in order, within the window, and none is lost or doubled."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import astuple
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.protocol.tables import AnyEvent, Law, erase
from tocsin.protocol.delivery.channel_window import TABLE, WINDOW, ChannelWindow, Effect, Event, Phase
from tocsin.protocol.kernel.machine import IllegalEvent


class TestTable(Law):
    """A window keeps the law."""

    table = TABLE
    start = Phase.CLOSED
    events = Event
    effects = Effect


class Cursor(AnyEvent):
    """Anything happens to a window at any time."""

    law = TestTable

    def __init__(self) -> None:
        super().__init__()
        self.has_to_rewind = False

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """After a new subscription, or a payload given back, the window has to rewind once."""
        if event in {Event.OPENED, Event.GIVEN_BACK} and self.phase is Phase.REWINDING:
            self.has_to_rewind = True
        if Effect.REWIND in effects:
            self.has_to_rewind = False

    @invariant()
    def nothing_is_handed_on_before_the_lane_has_begun_again(self) -> None:
        """A window that owes a rewind neither fetches nor lets a payload go on from memory."""
        if self.has_to_rewind:
            assert self.phase in {Phase.REWINDING, Phase.CLOSED}


TestAnyEvent = Cursor.TestCase


class InboxAndLane(RuleBasedStateMachine):
    """A window beside a model of its store: payloads come, are taken or not, end or come back, at any time.

    The rules drive it as the payload router does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.window = ChannelWindow("c1")
        self.taken_by_somebody = False
        self.last = 0
        """The newest sequence number."""
        self.stored: list[int] = []
        """What is in the store and has not ended, in order."""
        self.on_its_way: list[int] = []
        self.given_back: set[int] = set()
        """What waits for the window to begin again with the first."""
        self.previous = 0
        """What was handed on last, since the window began again with the first."""

    @rule(count=st.integers(1, WINDOW + 10))
    def payloads_come(self, count: int) -> None:
        """They go on from memory, or stay in the store."""
        new = list(range(self.last + 1, self.last + 1 + count))
        self.last += count
        self.stored += new
        for sequence in new:
            if self.window.accept(sequence):
                self.hand_on(sequence)
            else:
                self.window.fall_behind()

    @rule()
    def somebody_takes_them(self) -> None:
        """A subscriber opens, be it the first or another one."""
        self.window.open()
        self.taken_by_somebody = True
        self.look_whether_it_begins_again()

    @rule()
    def nobody_takes_them(self) -> None:
        """The subscriber is gone."""
        self.window.close()
        self.taken_by_somebody = False

    @precondition(lambda self: self.window.room)
    @rule()
    def a_page_is_fetched(self) -> None:
        """The store gives the next ones behind the cursor."""
        wanted = self.window.room
        assert wanted * 2 >= WINDOW, "pages are not small"
        page = [sequence for sequence in self.stored if sequence > self.window.cursor][:wanted]
        self.window.fetched(page, wanted)
        for sequence in page:
            self.hand_on(sequence)

    @precondition(lambda self: self.on_its_way)
    @rule(count=st.integers(1, WINDOW), which=st.integers(0, WINDOW - 1), given_back=st.booleans())
    def some_are_settled(self, count: int, which: int, *, given_back: bool) -> None:
        """In any order; each has ended or comes back."""
        for _ in range(min(count, len(self.on_its_way))):
            self.settle(self.on_its_way[which % len(self.on_its_way)], given_back=given_back)

    @precondition(lambda self: self.on_its_way)
    @rule(count=st.integers(1, WINDOW))
    def some_are_handled_at_once(self, count: int) -> None:
        """As many settlements as one message tells of."""
        handled, self.on_its_way = self.on_its_way[:count], self.on_its_way[count:]
        self.stored = [sequence for sequence in self.stored if sequence not in set(handled)]
        self.window.settle(len(handled), given_back=False)
        self.look_whether_it_begins_again()

    def settle(self, sequence: int, *, given_back: bool) -> None:
        """One is no longer on its way."""
        self.on_its_way.remove(sequence)
        if given_back:
            self.given_back.add(sequence)
        else:
            self.stored.remove(sequence)
        self.window.settle(given_back=given_back)
        self.look_whether_it_begins_again()

    def look_whether_it_begins_again(self) -> None:
        """Notice when the cursor went back."""
        if self.previous and self.window.cursor == 0:
            assert not self.on_its_way, "it begins again only when nothing is on its way"
            self.previous = 0
            self.given_back.clear()

    def hand_on(self, sequence: int) -> None:
        """A payload leaves for its handler."""
        assert self.taken_by_somebody, "a closed window hands nothing on"
        assert sequence in self.stored, "what has ended is not handed on again"
        assert sequence not in self.on_its_way, "nothing is handed on twice"
        assert sequence not in self.given_back, "what came back waits until the window begins again"
        assert sequence > self.previous, "it goes in order"
        self.on_its_way.append(sequence)
        self.previous = sequence

    @invariant()
    def the_window_is_kept(self) -> None:
        """No more are on their way than the window holds, and the window knows how many."""
        assert self.window.in_flight == len(self.on_its_way) <= WINDOW

    @invariant()
    def none_is_overtaken(self) -> None:
        """Whatever lies before the cursor is on its way, or waits for the window to begin again."""
        passed = {sequence for sequence in self.stored if sequence <= self.window.cursor}
        assert passed == set(self.on_its_way) | self.given_back

    @invariant()
    def a_closed_lane_asks_for_nothing(self) -> None:
        """It is closed exactly while no session takes its payloads, and fetches no page then."""
        assert (self.window.phase is Phase.CLOSED) == (not self.taken_by_somebody)
        assert self.taken_by_somebody or self.window.room == 0

    @invariant()
    def a_lane_that_is_caught_up_has_left_nothing_behind(self) -> None:
        """All that is stored is on its way."""
        if self.window.phase is Phase.CAUGHT_UP:
            assert self.on_its_way == self.stored

    @invariant()
    def an_open_lane_with_nothing_on_its_way_moves(self) -> None:
        """It fetches, or has nothing left to hand on: it never waits for an event that cannot come."""
        if self.taken_by_somebody and not self.on_its_way:
            assert self.window.room or (self.window.phase is Phase.CAUGHT_UP and not self.stored)

    def teardown(self) -> None:
        """After any events, every stored payload is handed on once a session takes them and lets them end."""
        self.somebody_takes_them()
        for _ in range(2 * self.last + 4):
            if self.window.room:
                self.a_page_is_fetched()
            elif self.on_its_way:
                self.settle(self.on_its_way[0], given_back=False)
        assert not self.stored


TestInboxAndLane = InboxAndLane.TestCase
TestInboxAndLane.settings = settings(max_examples=settings().max_examples // 3)  # its windows are long


def open_window(stored: int = 0) -> ChannelWindow:
    """Make a window that is caught up, with that many on their way."""
    window = ChannelWindow("c1")
    window.open()
    window.fetched(range(1, stored + 1), WINDOW)
    return window


class TestWindow:
    """How many may be on their way."""

    def test_an_empty_open_window_asks_for_a_whole_window(self) -> None:
        """Room for one page, as large as the window."""
        window = ChannelWindow("c1")
        window.open()
        assert (window.phase, window.room) == (Phase.BEHIND, WINDOW)

    def test_no_page_is_fetched_before_half_of_the_window_is_free(self) -> None:
        """One settled payload is not worth a query; half a window is."""
        window = ChannelWindow("c1")
        window.open()
        window.fetched(range(1, WINDOW + 1), WINDOW)
        rooms = []
        for _ in range(WINDOW // 2):
            window.settle(given_back=False)
            rooms.append(window.room)
        assert rooms == [0] * (WINDOW // 2 - 1) + [WINDOW // 2]

    def test_a_payload_that_finds_the_window_full_does_not_go_on(self) -> None:
        """The window is caught up, yet has no room: the payload stays on disk and is fetched later."""
        window = open_window(WINDOW - 1)
        assert window.accept(WINDOW)
        assert not window.accept(WINDOW + 1)
        window.fall_behind()
        assert (window.phase, window.cursor, window.in_flight) == (Phase.BEHIND, WINDOW, WINDOW)


class TestComingBack:
    """What becomes of payloads that were given back unhandled."""

    def test_the_window_begins_again_only_when_nothing_is_on_its_way(self) -> None:
        """Else what is still on its way would be handed on twice."""
        window = open_window(2)
        window.settle(given_back=True)
        assert (window.phase, window.room, window.cursor) == (Phase.REWINDING, 0, 2)
        window.settle(given_back=False)
        assert (window.phase, window.room, window.cursor) == (Phase.BEHIND, WINDOW, 0)

    def test_a_window_that_opens_again_waits_for_what_the_last_one_has(self) -> None:
        """Closing does not forget what is on its way."""
        window = open_window(1)
        window.close()
        window.open()
        assert (window.phase, window.room) == (Phase.REWINDING, 0)
        window.settle(given_back=True)
        assert (window.phase, window.room, window.cursor) == (Phase.BEHIND, WINDOW, 0)


class TestIllegalPages:
    """Pages that the window did not ask for."""

    @pytest.mark.parametrize("count", [0, 2, WINDOW])
    @pytest.mark.parametrize(
        "phase", [phase for phase in Phase if phase is not Phase.BEHIND], ids=lambda phase: phase.name
    )
    def test_a_page_for_a_window_that_is_not_behind_changes_nothing(self, phase: Phase, count: int) -> None:
        """It is an illegal event, be the page whole or the last, and nothing of it counts."""
        window = ChannelWindow("c1", phase, 7, 1)
        with pytest.raises(IllegalEvent):
            window.fetched(range(8, 8 + count), WINDOW)
        assert astuple(window)[:4] == ("c1", phase, 7, 1)


class TestBeginningAnew:
    """The whole inbox is looked at again."""

    @pytest.mark.parametrize("phase", [Phase.CAUGHT_UP, Phase.BEHIND, Phase.REWINDING])
    @pytest.mark.parametrize("in_flight", [0, 1])
    def test_it_begins_when_nothing_is_on_its_way(self, phase: Phase, in_flight: int) -> None:
        """A window that has something on its way waits for it; then it begins with the first."""
        window = ChannelWindow("c1", phase, 7, in_flight)
        window.begin_anew()
        assert window.phase is (Phase.REWINDING if in_flight else Phase.BEHIND)
        if in_flight:
            window.settle(given_back=False)
        assert astuple(window)[:4] == ("c1", Phase.BEHIND, 0, 0)

    @pytest.mark.parametrize("phase", [Phase.BEHIND, Phase.REWINDING])
    def test_what_comes_back_begins_it_anew_too(self, phase: Phase) -> None:
        """The last of them that comes back does."""
        window = ChannelWindow("c1", phase, 7, 2)
        window.settle(given_back=True)
        window.open()
        assert window.phase is Phase.REWINDING
        window.settle(given_back=True)
        assert astuple(window)[:4] == ("c1", Phase.BEHIND, 0, 0)

    def test_a_closed_window_stays_closed(self) -> None:
        """No session would take what it fetched."""
        window = ChannelWindow("c1", Phase.CLOSED, 7, 0)
        window.begin_anew()
        assert window.phase is Phase.CLOSED


def test_a_window_rewinds_because_its_table_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that effect it goes on behind what was given back, and would never hand it on."""
    erase(monkeypatch, TABLE, Effect.REWIND)
    window = ChannelWindow("c1", Phase.CAUGHT_UP, 7, 1)
    window.settle(given_back=True)
    assert (window.phase, window.cursor) == (Phase.BEHIND, 7)
