"""A call that has begun: its table, what an app sees of it, and what holds in whatever order things happen to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.calling.call_state import (
    ENDED,
    HELD_HERE,
    HELD_THERE,
    IN_CALL,
    TABLE,
    UNANSWERED,
    CallState,
    Effect,
    Event,
    ParticipantState,
    Phase,
    participant_state_of,
    state_of,
)

SAID = {Event.RINGS, Event.ANSWERED, Event.CONNECTED, Event.GONE}


class TestTable(Law):
    """A call keeps the law."""

    table = TABLE
    start = Phase.NEW
    events = Event
    effects = Effect
    ends = ENDED

    def test_what_the_service_says_is_legal_as_long_as_it_lasts(self) -> None:
        """No report comes at a wrong time, and neither does a new connection."""
        for phase in set(Phase) - {Phase.NEW} - self.ends:
            assert SAID | {Event.RECONNECTED} <= {event for before, event in TABLE if before is phase}

    def test_a_call_can_be_hung_up_whenever_it_is(self) -> None:
        """Once."""
        hung_up = {phase for phase, event in TABLE if event is Event.HANG_UP}
        assert hung_up == set(Phase) - {Phase.NEW, Phase.DISCONNECTING} - self.ends

    def test_each_side_holds_for_itself(self) -> None:
        """What one does changes nothing of what the other has done."""
        for (before, event), (after, _) in TABLE.items():
            if event in {Event.HOLD, Event.RESUME}:
                assert (after in HELD_HERE, before in HELD_HERE) == (event is Event.HOLD, event is Event.RESUME)
                assert (after in HELD_THERE) == (before in HELD_THERE)
            elif event in {Event.PEER_HELD, Event.PEER_RESUMED}:
                assert (after in HELD_THERE, before in HELD_THERE) == (
                    event is Event.PEER_HELD,
                    event is Event.PEER_RESUMED,
                )
                assert (after in HELD_HERE) == (before in HELD_HERE)
            elif event in SAID - {Event.GONE} and before in IN_CALL:
                assert after is before


class Calls(AnyEvent):
    """One call after the other, whatever happens to them."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Nothing goes back, and what is asked anew is what the phase waits for."""
        assert (Effect.END in effects) == (self.phase in ENDED)
        if event is Event.RECONNECTED:
            waits = {
                Phase.STARTING: (Effect.ASK_START,),
                Phase.PREPARING: (Effect.ASK_READY,),
                Phase.DISCONNECTING: (Effect.ASK_HANG_UP,),
            }
            assert effects == waits.get(self.phase, ())
        if self.phase in UNANSWERED:
            assert self.count(Effect.ASK_START) >= 1

    @invariant()
    def it_begins_once(self) -> None:
        """And by a question to the service."""
        assert self.count(Effect.BEGIN) == (self.phase is not Phase.NEW)
        if self.journal:
            assert self.journal[0] is Effect.BEGIN
            assert self.journal[1] in {Effect.ASK_START, Effect.ASK_READY}


TestAnyCall = Calls.TestCase


@pytest.mark.parametrize(
    ("phase", "state", "participant"),
    [
        (Phase.NEW, CallState.NONE, ParticipantState.IDLE),
        (Phase.STARTING, CallState.CONNECTING, ParticipantState.IDLE),
        (Phase.RINGING, CallState.RINGING, ParticipantState.RINGING),
        (Phase.PICKED_UP, CallState.CONNECTING, ParticipantState.CONNECTING),
        (Phase.PREPARING, CallState.CONNECTING, ParticipantState.CONNECTING),
        (Phase.CONNECTED, CallState.CONNECTED, ParticipantState.CONNECTED),
        (Phase.LOCAL_HOLD, CallState.LOCAL_HOLD, ParticipantState.CONNECTED),
        (Phase.REMOTE_HOLD, CallState.REMOTE_HOLD, ParticipantState.HOLD),
        (Phase.BOTH_HOLD, CallState.LOCAL_HOLD, ParticipantState.HOLD),
        (Phase.DISCONNECTING, CallState.DISCONNECTING, ParticipantState.RINGING),
        (Phase.DISCONNECTED, CallState.DISCONNECTED, ParticipantState.DISCONNECTED),
    ],
)
def test_what_an_app_sees(phase: Phase, state: CallState, participant: ParticipantState) -> None:
    """Our hold is shown where both hold, and the other side stays as it was while we hang up."""
    assert state_of(phase) is state
    assert participant_state_of(phase, ParticipantState.RINGING) is participant


def test_the_numbers_are_those_of_the_calling_sdks() -> None:
    """Of calls there is no 2, which was an older name of ringing."""
    assert [state.value for state in CallState] == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10]
    assert [state.value for state in ParticipantState] == list(range(8))
    assert {state_of(phase) for phase in Phase} == set(CallState) - {CallState.EARLY_MEDIA, CallState.IN_LOBBY}
