"""A registration's life, by its table."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.unifiedpush.connector_registration import (
    ABSENCE,
    LAST_CHANCE,
    TABLE,
    AppPresence,
    Effect,
    Event,
    Phase,
    dropped_at,
    event_of_presence,
)
from tocsin.protocol.unifiedpush.distributor_call import Reason
from tocsin.protocol.unifiedpush.no_endpoint import event_without_endpoint

WITH_ENDPOINT = {Phase.REGISTERED, Phase.WAITING}


class TestTable(Law):
    """A registration keeps the law."""

    table = TABLE
    start = Phase.NEW
    events = Event
    effects = Effect
    ends = frozenset({Phase.DROPPED})

    def test_only_an_app_that_has_gone_is_dropped_unasked(self) -> None:
        """Days count where its app was neither running nor to be started, and nowhere else."""
        assert {phase for phase, event in TABLE if event is Event.ABSENT_FOR_DAYS} == {Phase.WAITING}

    def test_an_app_that_comes_again_is_told_its_endpoint(self) -> None:
        """At each registration by the same token, once there is one."""
        for phase in WITH_ENDPOINT:
            assert Effect.TELL_ENDPOINT in TABLE[phase, Event.REGISTER][1]

    def test_what_changes_is_written_down_first(self) -> None:
        """Each step into another phase that is kept begins with it."""
        for (before, _), (after, effects) in TABLE.items():
            if after not in {before, Phase.DROPPED}:
                assert effects[0] is Effect.KEEP

    def test_without_a_network_the_wish_of_an_app_is_kept_while_its_process_runs(self) -> None:
        """What has it started, or has ended its name, may know no token of the one before."""
        assert event_without_endpoint(Phase.REGISTERING, Reason.NETWORK) is Event.NO_NETWORK
        assert {event_without_endpoint(Phase.REGISTERING, each) for each in set(Reason) - {Reason.NETWORK}} == {
            Event.NO_ENDPOINT
        }
        assert {event_without_endpoint(phase, Reason.NETWORK) for phase in set(Phase) - {Phase.REGISTERING}} == {None}
        found = {each: event_of_presence(Phase.WISHED, each) for each in AppPresence}
        assert found == {
            AppPresence.RUNNING: None,
            AppPresence.STARTABLE: Event.APP_GONE,
            AppPresence.ABSENT: Event.APP_GONE,
        }

    def test_an_app_that_can_be_started_is_there(self) -> None:
        """Once it has an endpoint: pushes start it."""
        for presence in (AppPresence.RUNNING, AppPresence.STARTABLE):
            assert event_of_presence(Phase.WAITING, presence) is Event.APP_CAME
            assert event_of_presence(Phase.REGISTERED, presence) is None
        assert event_of_presence(Phase.REGISTERED, AppPresence.ABSENT) is Event.APP_GONE


class ConnectorRegistration(AnyEvent):
    """Anything happens to a registration at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """An app that has asked for its end hears that it has come; one that has not hears why."""
        if event is Event.UNREGISTER:
            assert Effect.CONFIRM in effects
        if event in {Event.ABSENT_FOR_DAYS, Event.REMOVED}:
            assert Effect.TELL_UNREGISTERED in effects

    @invariant()
    def an_endpoint_that_was_told_is_revoked_before_it_is_forgotten(self) -> None:
        """No sender goes on with one that leads nowhere."""
        if self.phase is Phase.DROPPED and Effect.TELL_ENDPOINT in self.journal:
            assert self.journal.index(Effect.REVOKE) < self.journal.index(Effect.FORGET)

    @invariant()
    def it_is_forgotten_once_and_last(self) -> None:
        """Nothing is done for what is kept no more."""
        assert self.count(Effect.FORGET) == (self.phase is Phase.DROPPED)
        if self.phase is Phase.DROPPED:
            assert self.journal[-1] is Effect.FORGET

    @invariant()
    def an_endpoint_is_asked_for_once(self) -> None:
        """Whatever asks for it again meanwhile."""
        assert self.count(Effect.ASK_ENDPOINT) == (self.phase is not Phase.NEW)


TestAnyEvent = ConnectorRegistration.TestCase


@given(absent=st.floats(0, 1e10), started=st.floats(0, 1e10))
def test_an_app_that_has_gone_has_days_and_a_last_chance_at_each_start(absent: float, started: float) -> None:
    """Neither alone ends its registration."""
    assert dropped_at(absent, started) >= absent + ABSENCE
    assert dropped_at(absent, started) >= started + LAST_CHANCE
    assert dropped_at(absent, started) in {absent + ABSENCE, started + LAST_CHANCE}
