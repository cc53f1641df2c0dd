"""What is counted of the network: sums by app, day and kind, within bounds; budgets and when they are used up."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.platform import usage
from tocsin.protocol.platform.policy import AppRules, Policy
from tocsin.protocol.platform.usage import (
    KEPT_DAYS,
    MAX_APPS,
    MAX_BYTES,
    PLATFORM,
    AttributedNetworkUsage,
    DataBudget,
    NetworkKind,
    UsageOfDay,
    UsageRow,
    attributed,
    has_budgets,
    oldest_kept,
)

TODAY = 739_949
FREE, METERED, UNKNOWN = NetworkKind.FREE, NetworkKind.METERED, NetworkKind.UNKNOWN
ROWS = st.lists(
    st.builds(
        UsageRow,
        st.just(TODAY),
        st.sampled_from(["a", "b", "c", PLATFORM]),
        st.sampled_from(NetworkKind),
        st.integers(0, 1000),
        st.integers(0, 1000),
    ),
    max_size=8,
)


def counted(*rows: UsageRow) -> UsageOfDay:
    """Count all of these."""
    day = UsageOfDay(TODAY)
    for row in rows:
        day.add(row.app, row.network, row.sent, row.received)
    return day


def row(app: str, network: NetworkKind, sent: int, received: int) -> UsageRow:
    """Make a row of today."""
    return UsageRow(TODAY, app, network, sent, received)


@given(ROWS, ROWS)
def test_what_is_counted_adds_up(stored: list[UsageRow], rows: list[UsageRow]) -> None:
    """By app and kind of network, with what an earlier run has stored of the day, which counts once."""
    day = counted(*rows)
    by_key = {(each.app, each.network): each for each in stored}
    for _ in range(2):
        day.complete(by_key.values())
    sent, received = Counter[tuple[str, NetworkKind]](), Counter[tuple[str, NetworkKind]]()
    for each in (*rows, *by_key.values()):
        sent[each.app, each.network] += each.sent
        received[each.app, each.network] += each.received
    assert {(each.app, each.network): (each.sent, each.received) for each in day.rows()} == {
        key: (sent[key], received[key]) for key in sent
    }
    assert {each.day for each in day.rows()} <= {TODAY}


@given(st.lists(ROWS, max_size=3), st.booleans())
def test_what_is_stored_is_taken_once(rounds: list[list[UsageRow]], fails: bool) -> None:  # Hypothesis gives it
    """The rows that have changed, whole; those that were given back come again."""
    day, kept = UsageOfDay(TODAY), dict[tuple[str, NetworkKind], UsageRow]()
    for rows in rounds:
        for each in rows:
            day.add(each.app, each.network, each.sent, each.received)
        new = day.take_new()
        assert {(each.app, each.network) for each in new} == {(each.app, each.network) for each in rows}
        assert day.take_new() == []
        if fails:
            day.give_back(new)
            assert day.take_new() == new
        kept |= {(each.app, each.network): each for each in new}
    assert list(kept.values()) == day.rows()


def test_apps_beyond_the_bound_count_as_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a day has so many rows at most, and no byte is lost."""
    assert (MAX_APPS, KEPT_DAYS) == (1024, 62)
    monkeypatch.setattr(usage, "MAX_APPS", 2)
    day = counted(*(row(app, FREE, 1, 10) for app in ("a", "b", "c", "d", "a")), row("c", METERED, 1, 1))
    assert day.rows() == [
        row("a", FREE, 2, 20),
        row("b", FREE, 1, 10),
        row(PLATFORM, FREE, 2, 20),
        row(PLATFORM, METERED, 1, 1),
    ]


def test_a_counter_ends_at_its_greatest_number() -> None:
    """What a database and JSON can hold exactly."""
    day = counted(row("a", FREE, MAX_BYTES, MAX_BYTES), row("a", FREE, 1, 1))
    assert day.rows() == [row("a", FREE, MAX_BYTES, MAX_BYTES)]


def test_an_app_that_is_forgotten_leaves_nothing() -> None:
    """The others stay; what it sends afterwards counts anew, and what could not be stored of it is not missed."""
    day = counted(row("a", FREE, 1, 1), row("b", FREE, 2, 2))
    new = day.take_new()
    day.forget("a")
    day.give_back(new)
    assert day.rows() == day.take_new() == [row("b", FREE, 2, 2)]
    day.add("a", FREE, 5, 5)
    assert day.is_over("a", DataBudget(10))
    assert not day.is_over("a", DataBudget(11))


@pytest.mark.parametrize(
    ("budget", "is_over"),
    [
        (DataBudget(), False),
        (DataBudget(daily=30), True),
        (DataBudget(daily=31), False),
        (DataBudget(daily=0), True),
        (DataBudget(daily_metered=20), True),
        (DataBudget(daily_metered=21), False),
        (DataBudget(daily=31, daily_metered=20), True),
        (DataBudget(daily=30, daily_metered=21), True),
    ],
)
def test_a_budget_is_used_up_by_what_is_sent_and_received(budget: DataBudget, is_over: bool) -> None:  # a table
    """All networks count for the one, metered ones for the other; a network of which nothing is known is not metered."""
    day = counted(row("a", FREE, 1, 2), row("a", UNKNOWN, 3, 4), row("a", METERED, 8, 12))
    assert day.is_over("a", budget) is is_over
    assert not day.is_over("b", DataBudget(0))


@pytest.mark.parametrize(
    ("policy", "budget", "over"),
    [
        (Policy(), DataBudget(), ""),
        (Policy(apps={"a": AppRules(toasts=False)}), DataBudget(), ""),
        (Policy(daily_data=10), DataBudget(10), "ab"),
        (Policy(daily_metered_data=5), DataBudget(None, 5), "b"),
        (Policy(apps={"a": AppRules(daily_data=10)}), DataBudget(10), "a"),
        (Policy(apps={"a": AppRules(daily_metered_data=1)}), DataBudget(None, 1), ""),
        (Policy(daily_data=10, apps={"a": AppRules(daily_data=11)}), DataBudget(11), "b"),
        (Policy(daily_data=10, daily_metered_data=9, apps={"a": AppRules(daily_data=11)}), DataBudget(11, 9), "b"),
    ],
)
def test_the_rules_of_an_app_count_before_those_of_all(policy: Policy, budget: DataBudget, over: str) -> None:
    """Each of the two for itself; the platform itself has none."""
    day = counted(row("a", FREE, 4, 6), row("b", METERED, 4, 6), row(PLATFORM, METERED, 99, 99))
    assert DataBudget.of(policy, "a") == budget
    assert day.over_budget(policy) == frozenset(over)
    assert has_budgets(policy) is (budget != DataBudget())


def test_rows_are_summed_up_as_the_record_of_windows() -> None:
    """Its name says whose it is, also that of the platform; no row is zero bytes."""
    rows = [row("a", FREE, 1, 2), evolve(row("a", METERED, 10, 20), day=TODAY - 1)]
    assert attributed("a", rows) == AttributedNetworkUsage("a", "a", 11, 22)
    assert attributed(PLATFORM, []) == AttributedNetworkUsage("", "Tocsin itself", 0, 0)


def test_the_oldest_day_is_the_first_of_those_that_are_kept() -> None:
    """That of today is one of them."""
    assert TODAY - oldest_kept(TODAY) == KEPT_DAYS - 1


@pytest.mark.parametrize(("metered", "kind"), [(None, UNKNOWN), (True, METERED), (False, FREE)])
def test_a_network_has_a_kind(metered: bool | None, kind: NetworkKind) -> None:  # a table
    """As sensors tell it."""
    assert NetworkKind.of(metered) is kind
