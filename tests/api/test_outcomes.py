"""Outcomes are told in batches: once a moment, and none is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.world import REMOTE_ID, world
from tocsin.api.operation import CreateChannelOperation
from tocsin.api.outcomes import OutcomeReports
from tocsin.protocol import messages as m
from tocsin.protocol.errors import Busy
from tocsin.protocol.values import MAX_OUTCOMES, Outcome


@pytest.fixture
def told() -> list[m.Message]:
    """Return what the platform is told."""
    return []


@pytest.fixture
def reports(told: list[m.Message]) -> OutcomeReports:
    """Return reports that hold no outcome yet."""
    return OutcomeReports(told.append)


def test_what_was_handled_is_told_in_columns_and_the_rest_in_rows(
    reports: OutcomeReports, told: list[m.Message]
) -> None:
    """Each once."""
    reports.handled(1, 1)
    reports.note(m.OutcomeRow(2, Outcome.NOT_HANDLED, "why", 1))
    reports.handled(3, 2)
    reports.report()
    reports.report()
    assert told == [m.Handled((1, 3), (1, 2)), m.Outcomes((m.OutcomeRow(2, Outcome.NOT_HANDLED, "why", 1),))]


def test_no_message_carries_more_than_it_may(reports: OutcomeReports, told: list[m.Message]) -> None:
    """What is more goes in the next one."""
    count = MAX_OUTCOMES + 1
    for number in range(count):
        reports.handled(number, 1)
        reports.note(m.OutcomeRow(number, Outcome.GIVEN_BACK, "", 1))
    reports.report()
    handled = [each for each in told if isinstance(each, m.Handled)]
    others = [each for each in told if isinstance(each, m.Outcomes)]
    assert [len(each.sequences) for each in handled] == [len(each.rows) for each in others] == [MAX_OUTCOMES, 1]
    assert [number for each in handled for number in each.sequences] == list(range(count))
    assert [row[0] for each in others for row in each.rows] == list(range(count))


async def test_those_of_one_moment_are_told_together(reports: OutcomeReports, told: list[m.Message]) -> None:
    """And the next moment is told of again, whatever the kind of its first outcome."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reports.report_each_moment)
        await anyio.wait_all_tasks_blocked()
        reports.handled(1, 1)
        reports.handled(2, 1)
        reports.tell_soon()
        await anyio.wait_all_tasks_blocked()
        reports.note(m.OutcomeRow(3, Outcome.GIVEN_BACK, "", 1))
        await anyio.wait_all_tasks_blocked()
        assert told == [m.Handled((1, 2), (1, 1)), m.Outcomes((m.OutcomeRow(3, Outcome.GIVEN_BACK, "", 1),))]
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
    reports = OutcomeReports(told.append)
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
                reports.note(m.OutcomeRow(payloads, Outcome.GIVEN_BACK, "", 1))
            case _:
                moments += 1
                reports.report()
    reports.report()
    known, outcomes = heard(told)
    assert known == attached
    assert sorted(outcomes) == list(range(1, payloads + 1))
    assert len(told) <= (payloads + 1 + moments) * (1 + 2)  # two channels, and one report, for each that ends a moment


async def test_what_is_in_doubt_is_a_failure_while_nothing_else_is_cancelled(
    reports: OutcomeReports, told: list[m.Message], caplog: pytest.LogCaptureFixture
) -> None:
    """Unless it was handled; it is told in the same moment, and logged."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reports.report_each_moment)
        await anyio.wait_all_tasks_blocked()
        reports.in_doubt("the handler of A", m.OutcomeRow(1, Outcome.HANDLER_FAILED, "why", 1))
        reports.in_doubt("the handler of B", m.OutcomeRow(2, Outcome.HANDLED, "why", 3))
        await anyio.wait_all_tasks_blocked()
        assert told == [m.Handled((2,), (3,)), m.Outcomes((m.OutcomeRow(1, Outcome.HANDLER_FAILED, "why", 1),))]
        assert "the handler of A failed: why" in caplog.text
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["scope", "task", "later"])
async def test_what_is_in_doubt_comes_again_where_all_is_cancelled(
    reports: OutcomeReports, told: list[m.Message], how: str
) -> None:
    """Whether by a scope around the session or task by task, as asyncio does at its end."""
    tasks: list[asyncio.Task[None]] = []

    async def watch() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        await reports.report_each_moment()

    doubtful = "the handler of A", m.OutcomeRow(1, Outcome.HANDLED, "why", 1)
    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.wait_all_tasks_blocked()
        if how != "later":
            reports.in_doubt(*doubtful)
        if how == "task":
            tasks[0].cancel()
        else:
            group.cancel_scope.cancel()
    if how == "later":
        reports.in_doubt(*doubtful)
    reports.report()
    assert told == [m.Outcomes((m.OutcomeRow(1, Outcome.GIVEN_BACK, "", 1),))]


def heard(told: list[m.Message]) -> tuple[set[str], list[int]]:
    """Return which channels the platform knows to have handlers, and the payloads whose outcome it knows."""
    known: set[str] = set()
    outcomes: list[int] = []
    for message in told:
        match message:
            case m.Subscribe(channel=channel):
                known.add(channel)
            case m.Unsubscribe(channel=channel):
                known.discard(channel)
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


ACTS = st.lists(st.sampled_from(["attach", "detach", "request", "cancel"]), min_size=1, max_size=12)


async def act(acts: list[str], state: Path) -> None:
    """Do all that again and again within one moment, then look into each mailbox."""
    async with world(state) as w:
        channel = await w.channel()
        await w.channel("c2")
        tokens: list[int] = []
        operations: list[CreateChannelOperation] = []
        for step in acts * (2_000 // len(acts)):
            match step:
                case "attach":
                    tokens.append(channel.add_push_received(lambda _: None))
                case "detach" if tokens:
                    channel.remove_push_received(tokens.pop())
                case "request":
                    with suppress(Busy):
                        operations.append(w.manager.create_channel(REMOTE_ID))
                case "cancel" if operations:
                    operations.pop().cancel()
                case _:
                    pass
        for runner in w.platform.actors.values():
            mailbox = runner.mailbox
            assert len(mailbox._replies) <= 2, mailbox.name  # there are two channels
            assert mailbox.statistics().depth <= mailbox.statistics().capacity + 2
        await anyio.wait_all_tasks_blocked()
        assert all(each.high_water <= each.capacity + 2 for each in w.platform.statistics())


@given(ACTS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_an_app_does_in_a_moment_the_replies_are_as_many_as_its_channels(acts: list[str]) -> None:
    """No act of an app that it need not wait for adds to the replies that wait in a mailbox."""
    with TemporaryDirectory() as folder:
        anyio.run(act, acts, Path(folder))


async def test_the_power_state_of_a_machine_that_changes_on_and_on_waits_once(tmp_path: Path) -> None:
    """Where the service reads nothing, that it has changed is kept for it once, and not each time."""
    async with world(tmp_path) as w:
        for number in range(500):
            await w.manager.conditions.set_host(energy_saver=number % 2 == 0)
            await checkpoint()
        assert w.platform.connection.statistics().depth <= 1
        await w.service.cut()
