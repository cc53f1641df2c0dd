"""The launch of an app: which claim is good, who has a place, and how its process ends."""

from __future__ import annotations

from typing import Any

from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.platform.launches import TABLE, Effect, Event, Phase

RUNNING = {Phase.STARTED, Phase.CLAIMED, Phase.STOPPING, Phase.LINGERING, Phase.KILLED}
"""Where there is a process that has to be taken leave of."""


class TestTable(Law):
    """A launch keeps the law."""

    table = TABLE
    start = Phase.WAITING
    events = Event
    effects = Effect
    ends = frozenset({Phase.ENDED})

    def test_a_claim_is_good_while_its_process_lives_and_is_wanted(self) -> None:
        """From its start, of which it may be faster than the news, until it has ended or is being stopped; once."""
        assert {phase for phase, event in TABLE if event is Event.CLAIM} == {Phase.STARTING, Phase.STARTED}
        for (_, event), (_, effects) in TABLE.items():
            assert (Effect.HAND_OVER in effects) == (event is Event.CLAIM)

    def test_a_launch_can_be_stopped_whenever_it_is(self) -> None:
        """Also twice."""
        assert {phase for phase, event in TABLE if event is Event.STOP} == set(Phase) - {Phase.ENDED}

    def test_a_launch_is_called_off_before_it_has_begun_only(self) -> None:
        """The handler that has taken the payload may be that of its own process."""
        assert {phase for phase, event in TABLE if event is Event.CALL_OFF} == {Phase.WAITING}


class Launches(AnyEvent):
    """One launch after the other, whatever happens to them."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Nothing is told of a launch that was claimed or stopped, and a report is the last that is heard of it."""
        if Effect.REPORT in effects:
            assert self.phase is Phase.ENDED
            assert self.count(Effect.HAND_OVER, Effect.TERMINATE) == 0
            assert event in {Event.FAILED, Event.PROCESS_ENDED}

    @invariant()
    def it_is_claimed_once(self) -> None:
        """At most."""
        assert self.count(Effect.HAND_OVER) <= 1

    @invariant()
    def its_place_is_freed_with_its_claim_or_its_end(self) -> None:
        """No place is kept by what is over, and none by what has claimed."""
        if Effect.START in self.journal and (self.phase is Phase.ENDED or Effect.HAND_OVER in self.journal):
            assert self.count(Effect.FREE_PLACE) >= 1

    @invariant()
    def a_process_is_watched_and_taken_leave_of(self) -> None:
        """Each that was started, once, and not before it has ended."""
        assert self.count(Effect.WATCH) == (self.phase in RUNNING) + self.count(Effect.REAP)

    @invariant()
    def a_process_is_asked_before_it_is_killed(self) -> None:
        """Once each, and never when it has been taken leave of: its number may be another's by then."""
        assert self.count(Effect.KILL) <= self.count(Effect.TERMINATE) <= 1
        if Effect.REAP in self.journal:
            assert self.journal.index(Effect.REAP) > max(
                (self.journal.index(each) for each in (Effect.TERMINATE, Effect.KILL) if each in self.journal),
                default=-1,
            )


TestAnyLaunch = Launches.TestCase
