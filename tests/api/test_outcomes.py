"""Outcomes are told in batches: once a moment, and none is lost."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.world import world
from tocsin.api.outcomes import OutcomeReports
from tocsin.protocol import messages as m
from tocsin.protocol.values import MAX_OUTCOMES, Outcome


@pytest.fixture
def told() -> list[m.Message]:
    """Return what the platform is told."""
    return []


@pytest.fixture
def reports(told: list[m.Message]) -> OutcomeReports:
    """Return reports that nobody has made yet."""
    return OutcomeReports("app/1", told.append)


def test_what_was_handled_is_told_in_columns_and_the_rest_in_rows(
    reports: OutcomeReports, told: list[m.Message]
) -> None:
    """Each once."""
    reports.handled(1, 1)
    reports.add((2, Outcome.NOT_HANDLED, "why", 1))
    reports.handled(3, 2)
    reports.tell()
    reports.tell()
    assert told == [m.Handled((1, 3), (1, 2)), m.Outcomes((m.Returned(2, Outcome.NOT_HANDLED, "why", 1),))]


def test_no_message_carries_more_than_it_may(reports: OutcomeReports, told: list[m.Message]) -> None:
    """What is more goes in the next one."""
    count = MAX_OUTCOMES + 1
    for number in range(count):
        reports.handled(number, 1)
        reports.add((number, Outcome.RETURNED, "", 1))
    reports.tell()
    handled = [each for each in told if isinstance(each, m.Handled)]
    others = [each for each in told if isinstance(each, m.Outcomes)]
    assert [len(each.sequences) for each in handled] == [len(each.rows) for each in others] == [MAX_OUTCOMES, 1]
    assert [number for each in handled for number in each.sequences] == list(range(count))
    assert [row[0] for each in others for row in each.rows] == list(range(count))


async def test_those_of_one_moment_are_told_together(reports: OutcomeReports, told: list[m.Message]) -> None:
    """And the next moment is told of again, whatever the kind of its first outcome."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reports.tell_each_moment)
        await anyio.wait_all_tasks_blocked()
        reports.handled(1, 1)
        reports.handled(2, 1)
        await anyio.wait_all_tasks_blocked()
        reports.add((3, Outcome.RETURNED, "", 1))
        await anyio.wait_all_tasks_blocked()
        assert told == [m.Handled((1, 2), (1, 1)), m.Outcomes((m.Returned(3, Outcome.RETURNED, "", 1),))]
        tasks.cancel_scope.cancel()


@given(
    st.lists(
        st.tuples(st.sampled_from(["attach", "detach", "handle", "return", "tell"]), st.sampled_from(["c1", "c2"])),
        max_size=200,
    )
)
def test_the_platform_is_told_no_more_than_there_are_payloads_and_channels(acts: list[tuple[str, str]]) -> None:
    """However often handlers come and go; at the end of the moment it knows which channels have some, and each outcome once."""
    told: list[m.Message] = []
    reports = OutcomeReports("app/1", told.append)
    attached: set[str] = set()
    payloads = moments = 0
    for act, channel in acts:
        match act:
            case "attach":
                attached.add(channel)
                reports.attached(channel, attached=True)
            case "detach":
                attached.discard(channel)
                reports.attached(channel, attached=False)
            case "handle":
                payloads += 1
                reports.handled(payloads, 1)
            case "return":
                payloads += 1
                reports.add((payloads, Outcome.RETURNED, "", 1))
            case _:
                moments += 1
                reports.tell()
    reports.tell()
    known, outcomes = heard(told)
    assert known == attached
    assert sorted(outcomes) == list(range(1, payloads + 1))
    assert len(told) <= (payloads + 1 + moments) * (1 + 2)  # two channels, and one report, for each that ends a moment


def heard(told: list[m.Message]) -> tuple[set[str], list[int]]:
    """Return which channels the platform knows to have handlers, and the payloads whose outcome it knows."""
    known: set[str] = set()
    outcomes: list[int] = []
    for message in told:
        match message:
            case m.AttachSink(channel=channel):
                assert channel not in known
                known.add(channel)
            case m.DetachSink(channel=channel):
                known.remove(channel)
            case m.Handled(sequences=sequences):
                outcomes += sequences
            case m.Outcomes(rows=rows):
                outcomes += (row[0] for row in rows)
            case _:
                raise AssertionError(message)
    return known, outcomes


async def test_handlers_that_come_and_go_do_not_fill_a_mailbox(tmp_path: Path) -> None:
    """20,000 times within one moment make no more replies than there are channels."""
    async with world(tmp_path) as w:
        channel = await w.channel()
        for _ in range(20_000):
            channel.remove_push_received(channel.add_push_received(lambda _: None))
        depth = w.platform.actors["supervisor"].mailbox.statistics().depth
        await anyio.wait_all_tasks_blocked()
        supervisor = w.platform.actors["supervisor"].mailbox.statistics()
    assert max(depth, supervisor.high_water) <= 2
