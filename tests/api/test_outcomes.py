"""Outcomes are told in batches: once a moment, and none is lost."""

from __future__ import annotations

import anyio
import pytest

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
    return OutcomeReports(told.append)


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
