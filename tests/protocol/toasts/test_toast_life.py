"""The life of a toast with the shell: every way from its arrival to its end."""

from __future__ import annotations

import pytest
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.toasts.toast_life import TABLE, TERMINAL, Effect, Event, Phase

E = Event
STORIES: dict[str, tuple[tuple[Event, ...], Phase]] = {
    "shown, and its time is over": ((E.TURN, E.SENT, E.TIME_OVER), Phase.KEPT),
    "clicked": ((E.TURN, E.SENT, E.PRESSED), Phase.GONE),
    "clicked as its time was over": ((E.TURN, E.SENT, E.TIME_OVER, E.PRESSED), Phase.GONE),
    "clicked while it changes": ((E.TURN, E.SENT, E.SHOW, E.TURN, E.PRESSED, E.SENT), Phase.GONE),
    "clicked before it changes": ((E.TURN, E.SENT, E.SHOW, E.PRESSED), Phase.GONE),
    "closed by the user": ((E.TURN, E.SENT, E.DISMISSED), Phase.GONE),
    "closed while it changes": ((E.TURN, E.SENT, E.SHOW, E.TURN, E.DISMISSED, E.SENT), Phase.GONE),
    "taken down by the desktop": ((E.TURN, E.SENT, E.LEFT_SCREEN), Phase.KEPT),
    "shown anew from the list": ((E.TURN, E.SENT, E.TIME_OVER, E.SHOW, E.TURN, E.SENT), Phase.ON_SCREEN),
    "changed before it is there": ((E.TURN, E.SHOW, E.SENT, E.SENT), Phase.ON_SCREEN),
    "removed before it is there": ((E.TURN, E.REMOVED, E.SENT), Phase.GONE),
    "removed, and shown again": ((E.TURN, E.REMOVED, E.SHOW, E.SENT, E.SENT), Phase.ON_SCREEN),
    "removed from the screen": ((E.TURN, E.SENT, E.REMOVED), Phase.GONE),
    "held, then shown": ((E.HOLD, E.SHOW, E.TURN, E.SENT), Phase.ON_SCREEN),
    "only listed": ((E.FILE, E.PRUNED), Phase.GONE),
    "no room at first": ((E.TURN, E.FULL, E.SENT), Phase.ON_SCREEN),
    "no room": ((E.TURN, E.FULL, E.FAILED), Phase.GONE),
    "no desktop after a restart": ((E.TURN, E.UNSEEN), Phase.KEPT),
    "no desktop": ((E.TURN, E.FAILED), Phase.GONE),
    "the desktop died before it answered": ((E.TURN, E.DAEMON_CHANGED, E.FAILED, E.SENT), Phase.ON_SCREEN),
    "the desktop died while it was shown": ((E.TURN, E.SENT, E.DAEMON_CHANGED, E.TURN, E.SENT), Phase.ON_SCREEN),
}


class TestTable(Law):
    """The table of a toast's life."""

    table, start, events, effects, ends = TABLE, Phase.WAITING, Event, Effect, TERMINAL

    @pytest.mark.parametrize("story", STORIES)
    def test_it_ends_as_told(self, story: str) -> None:
        """Each story leads where it should."""
        events, end = STORIES[story]
        phase = Phase.WAITING
        for event in events:
            phase, _ = step(TABLE, phase, event)
        assert phase is end

    def test_a_popup_that_may_be_there_is_closed_with_its_toast(self) -> None:
        """Whatever ends a toast that the desktop may show; what the desktop itself has taken down needs no word."""
        ends = {pair: effects for pair, (after, effects) in TABLE.items() if after is Phase.GONE}
        kept = {Phase.HELD, Phase.KEPT}
        told = {pair for pair, effects in ends.items() if Effect.CLOSE not in effects and pair[0] not in kept}
        assert told == {(Phase.ON_SCREEN, Event.DISMISSED)}

    def test_a_click_is_stored_in_the_place_of_its_toast(self) -> None:
        """It is an activation wherever it counts, once: nothing leads from there to another."""
        clicked = {pair[0]: (after, effects) for pair, (after, effects) in TABLE.items() if pair[1] is Event.PRESSED}
        assert all(effects[-1] is Effect.ACTIVATE for _, effects in clicked.values())
        assert {after for after, _ in clicked.values()} == {Phase.GONE, Phase.CLICKED}
        behind = {effect for (phase, _), (_, effects) in TABLE.items() if phase is Phase.CLICKED for effect in effects}
        assert behind == {Effect.CLOSE}

    def test_a_call_of_the_desktop_is_answered_before_the_next(self) -> None:
        """At most one is under way for each toast."""
        under_way = {Phase.SENDING, Phase.CHANGED, Phase.RECALLED, Phase.CLICKED}
        ended = {Event.SENT, Event.FULL, Event.FAILED, Event.UNSEEN}
        for (phase, event), (after, effects) in TABLE.items():
            assert (after in under_way) == ((phase in under_way and event not in ended) or Effect.SEND in effects)
            assert Effect.SEND not in effects or phase not in under_way or event in ended


class Life(AnyEvent):
    """Anything happens to a toast at any time."""

    law = TestTable

    @invariant()
    def there_is_one_click_at_most(self) -> None:
        """However often it is pressed, and whatever crosses it."""
        assert self.count(Effect.ACTIVATE) <= 1

    @invariant()
    def a_click_is_the_last_word(self) -> None:
        """The app hears of no dismissal behind it, and nothing of it is stored."""
        if Effect.ACTIVATE in self.journal:
            behind = self.journal[self.journal.index(Effect.ACTIVATE) + 1 :]
            assert set(behind) <= {Effect.CLOSE}


TestLife = Life.TestCase
