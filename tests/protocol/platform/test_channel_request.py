"""A channel request: from an app's question to its one result."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tests.strategies import remote_ids
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.channel_request import (
    OPEN,
    TABLE,
    ChannelRequest,
    Effect,
    Event,
    Phase,
    parse_remote_id,
    renewal,
)

RESULTS = (Effect.REPORT_SUCCESS, Effect.REPORT_FAILURE)
ASKING = {Phase.DECIDING, Phase.BACKING_OFF}


class TestTable(Law):
    """A request keeps the law."""

    table = TABLE
    start = Phase.NEW
    events = Event
    effects = Effect
    ends = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELED})

    def test_what_is_open_has_not_ended(self) -> None:
        """A request is open until an end."""
        assert set(Phase) - OPEN == self.ends

    def test_a_request_may_be_cancelled_at_any_time_once_it_has_begun(self) -> None:
        """Every open phase but the first knows how to be cancelled."""
        assert {phase for phase, event in TABLE if event is Event.CANCEL} == OPEN - {Phase.NEW}

    def test_losing_the_connection_is_legal_exactly_while_the_service_is_needed(self) -> None:
        """Who waits for the service or for its answer fails with the connection; who waits for time does not."""
        assert {p for p, event in TABLE if event is Event.DISCONNECTED} == {Phase.QUEUED, Phase.REQUESTED}

    def test_a_lost_scheduler_is_asked_again_by_whoever_waits_for_it(self) -> None:
        """Every phase that waits for the scheduler plans its retry again when that has restarted."""
        lost = {phase: TABLE[phase, event] for phase, event in TABLE if event is Event.SCHEDULER_LOST}
        assert lost == {phase: (phase, (Effect.PLAN_RETRY,)) for phase in ASKING}

    def test_a_scheduler_that_is_asked_twice_may_answer_twice(self) -> None:
        """The second plan is heard, and changes nothing."""
        assert TABLE[Phase.BACKING_OFF, Event.RETRY_PLANNED] == (Phase.BACKING_OFF, ())

    def test_a_request_is_out_exactly_when_it_was_sent(self) -> None:
        """A request is sent on every step into REQUESTED, and on no other."""
        for (before, _), (after, effects) in TABLE.items():
            assert (Effect.SEND_REQUEST in effects) == (after is Phase.REQUESTED is not before)

    def test_nothing_is_sent_while_there_is_no_connection(self) -> None:
        """Who begins, or begins again, without one waits for it."""
        offline = {TABLE[phase, event][0] for phase, event in TABLE if event.name.endswith("_OFFLINE")}
        assert offline == {Phase.QUEUED}

    def test_the_scheduler_hears_of_a_cancelled_wait(self) -> None:
        """It forgets exactly those that it was asked about."""
        assert {before for (before, _), (_, effects) in TABLE.items() if Effect.FORGET_RETRY in effects} == ASKING
        assert {event for (_, event), (_, effects) in TABLE.items() if Effect.FORGET_RETRY in effects} == {
            Event.CANCEL,
            Event.FORBIDDEN,
        }

    def test_what_is_forbidden_fails_at_any_time(self) -> None:
        """At once, with its result, whatever it waits for."""
        forbidden = {phase: TABLE[phase, event] for phase, event in TABLE if event is Event.FORBIDDEN}
        assert forbidden.keys() == OPEN
        for phase, effects in forbidden.values():
            assert (phase, effects[-1]) == (Phase.FAILED, Effect.REPORT_FAILURE)


class Request(AnyEvent):
    """Anything happens to a request at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """A failure of any kind goes to the scheduler, and a cancelled wait is taken back from it."""
        if event in {Event.REFUSED, Event.DISCONNECTED, Event.SCHEDULER_LOST}:
            assert effects == (Effect.PLAN_RETRY,)
        if Effect.FORGET_RETRY in effects:
            assert self.phase in {Phase.CANCELED, Phase.FAILED}
        if Effect.REPORT_SUCCESS in effects:
            assert effects.index(Effect.KEEP_CHANNEL) < effects.index(Effect.REPORT_SUCCESS)

    @invariant()
    def progress_is_reported_once_and_first(self) -> None:
        """The app hears that its request has begun, before anything else and never again; one resumed had begun."""
        resumed = Effect.RESUME_WAIT in self.journal
        assert self.count(Effect.REPORT_PROGRESS) == (self.phase is not Phase.NEW and not resumed)
        assert self.journal[:1] in ([], [Effect.REPORT_PROGRESS], [Effect.RESUME_WAIT])

    @invariant()
    def there_is_one_result(self) -> None:
        """A request that succeeded or failed has told one result; any other has told none."""
        assert self.count(*RESULTS) == (self.phase in {Phase.SUCCEEDED, Phase.FAILED})

    @invariant()
    def a_channel_is_kept_by_success_only(self) -> None:
        """No failed or cancelled request leaves a channel behind."""
        assert self.count(Effect.KEEP_CHANNEL) == (self.phase is Phase.SUCCEEDED)

    @invariant()
    def a_request_is_sent_again_only_after_the_scheduler_was_asked(self) -> None:
        """There is no attempt but the first without a plan."""
        assert self.count(Effect.SEND_REQUEST) <= self.count(Effect.PLAN_RETRY) + 1
        assert self.count(Effect.REPORT_RETRY) <= self.count(Effect.PLAN_RETRY)

    @invariant()
    def who_waits_for_the_scheduler_has_asked_it(self) -> None:
        """A request that waits for the scheduler has planned a retry or resumed a wait."""
        if self.phase in ASKING:
            assert {Effect.PLAN_RETRY, Effect.RESUME_WAIT} & set(self.journal)

    @invariant()
    def a_request_is_kept_while_it_waits_and_dropped_when_it_has_ended(self) -> None:
        """What is on disk of a request is the attempt that is waited for."""
        if self.phase is Phase.BACKING_OFF:
            assert {Effect.KEEP_REQUEST, Effect.RESUME_WAIT} & set(self.journal)
        ended = self.phase in {Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELED}
        assert self.count(Effect.DROP_REQUEST) == ended


TestAnyEvent = Request.TestCase


class TestChannelRequest:
    """The record that goes with a phase."""

    def test_a_request_begins_new_and_empty(self) -> None:
        """Nothing has failed and nothing was granted."""
        request = ChannelRequest(7, "app", "id", [("session", 1)])
        assert (request.phase, request.failures, request.retry_count, request.hresult) == (Phase.NEW, 0, 0, 0)
        assert (request.delay, request.kept) == (0.0, False)
        assert (request.text, request.retry_after, request.channel) == ("", None, "")


class TestRemoteId:
    """The GUID of an app registration."""

    @given(remote_ids())
    def test_a_guid_is_taken_as_it_is(self, remote_id: UUID) -> None:
        """A UUID stays the one that it was."""
        assert parse_remote_id(remote_id) is remote_id

    @given(remote_ids(), st.sampled_from(["{}", "{{{}}}", "urn:uuid:{}"]), st.booleans())
    def test_a_guid_is_read_as_people_write_it(self, remote_id: UUID, form: str, upper: bool) -> None:  # drawn
        """Hyphens, braces, a URN and capitals make no difference."""
        text = str(remote_id).upper() if upper else str(remote_id)
        assert parse_remote_id(form.format(text)) == remote_id
        assert parse_remote_id(remote_id.hex) == remote_id

    @given(st.text(max_size=50) | st.text("0123456789abcdef-{}", min_size=30, max_size=40))
    def test_any_text_is_a_guid_or_an_invalid_argument(self, text: str) -> None:
        """No text gets past, and none raises anything else."""
        try:
            remote_id = parse_remote_id(text)
        except InvalidArgument as refused:
            assert refused.hresult == HResult.E_INVALIDARG  # noqa: PT017  # most texts are refused, but not all
        else:
            assert remote_id.int

    @pytest.mark.parametrize("garbage", ["", "app", "0" * 31, "g" * 32, 7, None, b"\0" * 16, ["a"]], ids=repr)
    def test_what_is_no_guid_is_shown_in_the_refusal(self, garbage: Any) -> None:
        """The sentence says what was expected, and repeats what came."""
        with pytest.raises(InvalidArgument, match="must be a GUID") as refused:
            parse_remote_id(garbage)
        assert repr(garbage) in str(refused.value)
        assert refused.value.hresult == HResult.E_INVALIDARG

    @pytest.mark.parametrize("null", [UUID(int=0), str(UUID(int=0)), "0" * 32], ids=repr)
    def test_the_null_guid_is_refused(self, null: str | UUID) -> None:
        """The null GUID names no registration, however it is written."""
        with pytest.raises(InvalidArgument, match="must not be the null GUID") as refused:
            parse_remote_id(null)
        assert refused.value.hresult == HResult.E_INVALIDARG


def test_a_channel_is_renewed_a_day_before_its_end() -> None:
    """That is when a service begins to give another URI."""
    assert renewal("remote", 30 * 86_400.0) == 29 * 86_400.0
