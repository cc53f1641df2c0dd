"""When an app's background work may begin, and why a payload of it ends unhandled."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from attrs import evolve

from tests.persistence.payloads import payload
from tocsin.protocol.delivery import background_queue
from tocsin.protocol.delivery.background_queue import BackgroundQueue
from tocsin.protocol.delivery.payload_life import Phase, Tracked
from tocsin.protocol.platform.activation import CancellationReason, SystemConditionType
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.values import DropReason

DENIED = AppSettings(background=False)


def waiting() -> Tracked:
    """Return a payload."""
    return Tracked(1, "mail", "c1", 1, None, payload(1, attempt=1))


def able() -> BackgroundQueue:
    """Return work that may begin."""
    return BackgroundQueue(
        triggered=True, session="s", conditions=(SystemConditionType.USER_PRESENT,), queue=deque([waiting()])
    )


def test_it_begins_when_nothing_stands_in_its_way() -> None:
    """It is triggered and allowed, a session is there, a payload waits, and the conditions hold."""
    work = able()
    assert work.activatable
    assert work.ready
    assert work.may_begin(HostState())


@pytest.mark.parametrize(
    ("change", "activatable", "ready"),
    [
        ({"triggered": False}, False, False),
        ({"settings": DENIED}, False, False),
        ({"session": ""}, True, False),
        ({"running": waiting()}, True, True),
        ({"queue": deque[Tracked]()}, True, True),
    ],
    ids=["nothing triggers it", "denied", "no session", "it runs already", "nothing waits"],
)
def test_each_of_these_keeps_it_from_beginning(change: dict[str, Any], activatable: bool, ready: bool) -> None:
    """What it lacks also decides whether a payload may wait for it, and whether the router counts on it."""
    work = evolve(able(), **change)
    assert (work.activatable, work.ready) == (activatable, ready)
    assert not work.may_begin(HostState())


def test_an_unmet_condition_keeps_it_waiting() -> None:
    """It begins when the condition holds."""
    assert not able().may_begin(HostState(user_present=False))


@pytest.mark.parametrize(
    ("host", "settings"),
    [
        ({"energy_saver": True}, {}),
        ({"cloud_notifications": False}, {}),
        ({}, {"notifications": False}),
        ({}, {"within_budget": False}),
    ],
)
def test_a_closed_gate_keeps_it_waiting(host: dict[str, bool], settings: dict[str, bool]) -> None:
    """Though the payload has passed it before; in energy saver an app that is exempt goes on."""
    work = evolve(able(), settings=AppSettings(**settings))
    assert not work.may_begin(HostState(**host))
    work.settings = evolve(work.settings, exempt_from_energy_saver=True)
    assert work.may_begin(HostState(**host)) == ("energy_saver" in host)


def test_a_decision_cancels_what_it_closes_a_gate_for() -> None:
    """Once, and not where the gate was closed before."""
    work = able()
    assert work.decide(AppSettings(tiles=False, within_budget=False), HostState()) is None
    assert work.decide(DENIED, HostState()) is CancellationReason.SYSTEM_POLICY
    assert work.decide(AppSettings(notifications=False), HostState()) is None
    saving = HostState(energy_saver=True)
    assert work.decide(AppSettings(exempt_from_energy_saver=True), saving) is None
    assert work.decide(AppSettings(), saving) is CancellationReason.ENERGY_SAVER
    assert work.settings == AppSettings()


def test_payloads_wait_in_the_order_in_which_they_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that comes back stands before those that arrived later; where more wait than may, the last has no place."""
    monkeypatch.setattr(background_queue, "QUEUE_DEPTH", 3)
    work, payloads = BackgroundQueue(), {number: evolve(waiting(), sequence=number) for number in range(1, 6)}
    for number, surplus in ((2, None), (4, None), (1, None), (3, 4), (5, 5)):
        last = work.add(payloads[number])
        assert last is (None if surplus is None else payloads[surplus])
        if last is not None:
            work.queue.remove(last)
    assert [each.sequence for each in work.queue] == [1, 2, 3]


@pytest.mark.parametrize(
    ("work", "phase", "reason", "told"),
    [
        (BackgroundQueue(), Phase.EXPIRED, DropReason.HANDLER_FAILED, DropReason.EXPIRED),
        (BackgroundQueue(), Phase.DEAD, DropReason.QUEUE_FULL, DropReason.QUEUE_FULL),
        (BackgroundQueue(triggered=True, settings=DENIED), Phase.DEAD, None, DropReason.BACKGROUND_DENIED),
        (BackgroundQueue(settings=DENIED), Phase.DEAD, None, DropReason.NOT_HANDLED),
        (BackgroundQueue(triggered=True), Phase.DEAD, None, DropReason.NOT_HANDLED),
    ],
)
def test_every_end_has_its_reason(
    work: BackgroundQueue, phase: Phase, reason: DropReason | None, told: DropReason
) -> None:
    """Expiry comes first, then what happened to the payload, then what the app may do."""
    tracked = waiting()
    tracked.phase, tracked.reason = phase, reason
    assert work.drop_reason(tracked) is told
