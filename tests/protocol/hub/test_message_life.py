"""The life of a message in a hub, from its acceptance to its end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.hub.hub_outcomes import MAX_REASONS, OTHER_REASONS, HubOutcome, Tally, TargetOutcome
from tocsin.protocol.hub.message_life import ENDED, MAX_ATTEMPTS, TABLE, Effect, Event, Phase, ending, wait_before


class TestTable(Law):
    """A message keeps the law."""

    table = TABLE
    start = Phase.SCHEDULED
    events = Event
    effects = Effect
    ends = ENDED


class Sending(AnyEvent):
    """Anything happens to a message at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """It is written down when it begins and when it ends, and its targets are fixed before the first is tried."""
        assert (Effect.SAVE in effects) == (event not in {Event.DUE, Event.RESUMED})
        assert (Effect.FIX_TARGETS in effects) == (event is Event.BEGUN)


TestSending = Sending.TestCase


def test_the_ends_are_those_of_the_telemetry() -> None:
    """Their names are the states that clients know."""
    assert {phase.name for phase in ENDED} == {*("COMPLETED", "ABANDONED", "NO_TARGET_FOUND", "CANCELLED")}


GONE, SENT = TargetOutcome(HubOutcome.ABANDONED, "the device did not answer"), TargetOutcome(HubOutcome.SUCCESS)


@pytest.mark.parametrize(
    ("counts", "event"),
    [
        ({}, Event.FOUND_NONE),
        ({SENT: 2}, Event.CONCLUDED),
        ({TargetOutcome(HubOutcome.DROPPED, "off"): 2}, Event.CONCLUDED),
        ({SENT: 2, GONE: 1}, Event.CONCLUDED),
        ({GONE: 3}, Event.ALL_GIVEN_UP),
    ],
)
def test_how_it_ends(counts: dict[TargetOutcome, int], event: Event) -> None:
    """By whether there was a target, and whether some were given up."""
    assert ending(Tally(counts)) is event


def test_waits_double_until_it_is_given_up() -> None:
    """The waits make 511 seconds together."""
    waits = [wait_before(attempt) for attempt in range(1, MAX_ATTEMPTS + 1)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, None]


def test_a_tally_adds_and_is_read_again() -> None:
    """Counts of the same outcome and reason add up; others stay apart."""
    tally = Tally({SENT: 2, GONE: 1}).plus({SENT: 3, TargetOutcome(HubOutcome.DROPPED, "off"): 4})
    assert (tally.total, tally.of(HubOutcome.SUCCESS), tally.of(HubOutcome.DROPPED)) == (10, 5, 4)
    assert Tally.read([list(row) for row in tally.rows()]) == tally


def test_a_tally_tells_so_many_reasons_apart() -> None:
    """Of more only the name is known, and no target is missing in the sum."""
    many = {TargetOutcome(HubOutcome.WRONG_PAYLOAD, str(number)): 2 for number in range(MAX_REASONS + 9)}
    tally = Tally().plus(many).plus(many)
    assert len(tally.counts) == MAX_REASONS + 1
    assert tally.counts[TargetOutcome(HubOutcome.WRONG_PAYLOAD, OTHER_REASONS)] == 36
    assert tally.total == 4 * (MAX_REASONS + 9)
