"""The planning simulation: more devices take more nodes, and what it says of the loss of a node follows from its spare cores."""

from __future__ import annotations

import math
from random import Random

import pytest

from bench.planning import Costs, Fleet, after_a_loss


def test_nodes_suffice_while_one_is_missing() -> None:
    """What is left after the loss of a node is as busy as was allowed, at most, and greets its devices in time."""
    for devices in (10_000, 1_000_000, 30_000_000):
        fleet = Fleet(devices)
        busiest = (devices * 0.4, devices * 600e-6, devices * 200e-6)
        nodes = fleet.nodes_for(*busiest)
        left = (nodes - 1) * fleet.machine.cores * fleet.machine.busy
        assert fleet.node_load(*busiest, nodes=nodes) <= left
        assert busiest[0] <= (nodes - 1) * fleet.machine.connections
        assert fleet.back(*busiest, nodes=nodes) <= fleet.machine.back


def test_a_node_less_would_not_suffice() -> None:
    """The plan has no node too many."""
    for devices in (10_000, 1_000_000, 30_000_000):
        fleet = Fleet(devices)
        busiest = (devices * 0.4, devices * 600e-6, devices * 200e-6)
        fewer = fleet.nodes_for(*busiest) - 1
        left = fewer - 1  # with one missing
        is_too_busy = fleet.node_load(*busiest, nodes=fewer) > left * fleet.machine.cores * fleet.machine.busy
        are_too_many = busiest[0] > left * fleet.machine.connections
        assert is_too_busy or are_too_many or fleet.back(*busiest, nodes=fewer) > fleet.machine.back


def test_a_database_has_more_to_do_with_more_nodes() -> None:
    """Each asks it for its lease, and reads the leases of all others."""
    fleet = Fleet(1_000_000)
    few, more, many = (fleet.database_load(0.0, 0.0, 0.0, nodes=nodes) for nodes in (10, 20, 40))
    assert 2 * few < more
    assert 2 * more < many


def test_all_devices_of_a_lost_node_come_back_as_fast_as_the_others_greet() -> None:
    """With ten times the spare cores it takes about a tenth of the time."""
    fleet = Fleet(1_000_000, costs=Costs(visit=1_000.0))
    slow = after_a_loss(fleet, 5, 100_000, 2.0, Random(1))  # noqa: S311  # a simulation
    fast = after_a_loss(fleet, 5, 100_000, 20.0, Random(1))  # noqa: S311  # a simulation
    assert len(slow) == len(fast) == 20_000
    assert max(slow) == pytest.approx(20_000 * 1_000e-6 / 2.0, rel=0.3)
    assert max(fast) == pytest.approx(max(slow) / 10, rel=0.3)


def test_a_node_that_is_alone_is_missed_until_it_is_back() -> None:
    """No other greets its devices."""
    assert after_a_loss(Fleet(1_000), 1, 400, 1.0, Random(1)) == [math.inf]  # noqa: S311  # a simulation
