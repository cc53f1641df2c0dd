"""The played nodes have teeth: each rule that is broken once is caught by what is promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from tests.protocol.service.nodes import played_devices, shared
from tests.protocol.service.nodes.scenes import SCENES
from tests.protocol.service.nodes.trouble import Trouble
from tocsin.protocol.kernel.machine import IllegalEvent
from tocsin.protocol.service.nodes import device_row, lease, lease_row, post_route
from tocsin.protocol.service.nodes.block_numbers import BlockNumbers
from tocsin.protocol.service.nodes.device_row import DeviceRow, Home, RowChange, RowWriter, Unchanged
from tocsin.protocol.service.nodes.lease import Lease, LeaseTerms
from tocsin.protocol.service.nodes.lease_row import LeaseRow
from tocsin.protocol.service.nodes.post_route import PostRoute, RouteEnd

Patch = pytest.MonkeyPatch
Changed = RowChange | Unchanged
SEEDS = 150
"""Seeds within which a mutant has to be caught."""


def quiet(patch: Patch, name: str) -> None:
    """Let a change wake no node."""
    rule: Callable[..., Changed] = getattr(device_row, name)

    def without_wake(*args: Any) -> Changed:
        changed = rule(*args)
        return evolve(changed, wake=None, behind=False) if isinstance(changed, RowChange) else changed

    patch.setattr(device_row, name, without_wake)


def knows_all_of_itself(patch: Patch) -> None:
    """A node is not woken for what it has written itself."""
    rule = device_row.connect

    def connect(row: DeviceRow, by: RowWriter) -> Changed:
        changed = rule(row, by)
        return evolve(changed, wake=None) if isinstance(changed, RowChange) and changed.wake == by.lease else changed

    patch.setattr(device_row, "connect", connect)


def knows_of_no_displaced_node(patch: Patch) -> None:
    """Only the node that the row names is thought of."""
    rule = device_row.change

    def change(row: DeviceRow, version: int | None, by: RowWriter, denied: frozenset[Home] = frozenset()) -> Changed:
        return rule(row, version, evolve(by, unread=False), denied)

    patch.setattr(device_row, "change", change)


def changes_what_has_moved_on(patch: Patch) -> None:
    """A queue is written whatever the version is."""
    rule = device_row.change

    def change(row: DeviceRow, _: int | None, by: RowWriter, denied: frozenset[Home] = frozenset()) -> Changed:
        return rule(row, None, by, denied)

    patch.setattr(device_row, "change", change)


def clears_any_connection(patch: Patch) -> None:
    """A row is cleared whichever connection it names."""
    rule = device_row.clear
    patch.setattr(device_row, "clear", lambda row, home, by: rule(row, row.home or home, by))


def reclaims_what_is_elsewhere(patch: Patch) -> None:
    """A connection that was held is written over a later one."""
    patch.setattr(device_row, "reclaim", lambda row, _, by: device_row.connect(row, by))


def writes_past_its_lease(patch: Patch) -> None:
    """A row takes what a node writes whose lease is over."""
    for name in ("connect", "change", "clear", "reclaim"):
        rule: Callable[..., Changed] = getattr(device_row, name)

        def unfenced(*args: Any, rule: Callable[..., Changed] = rule) -> Changed:
            by = next(each for each in args if isinstance(each, RowWriter))
            free = evolve(by, good=lambda number: number == by.lease or by.good(number))
            return rule(*(free if each is by else each for each in args))

        patch.setattr(device_row, name, unfenced)


def relies_for_too_long(patch: Patch) -> None:
    """A node allows for no difference between the clocks, but the wrong way."""
    patch.setattr(LeaseTerms, "own", property(lambda self: self.length * (1 + self.drift)))


def counts_from_the_answer(patch: Patch) -> None:
    """A node counts its lease from when it was told of it."""
    rule = Lease.granted

    def granted(self: Lease, asked: float, number: int, now: float, *, joined: bool) -> Any:
        effects = rule(self, asked, number, now, joined=joined)
        self.until += now - asked
        return effects

    patch.setattr(Lease, "granted", granted)


def looks_at_the_alarm_only(patch: Patch) -> None:
    """Whether the lease is good is not asked where work comes in."""
    patch.setattr(Lease, "is_good", lambda self, _: self.phase in lease.HOLDING)


def renews_what_is_over(patch: Patch) -> None:
    """The database gives more of a lease that is over; and the node does not mind its own clock."""
    rule = lease_row.renew

    def renew(held: LeaseRow | None, lease: LeaseRow, now: float, length: float, *, draining: bool) -> Any:
        held = None if held is None else evolve(held, granted=now, until=now + length)
        return rule(held, lease, now, length, draining=draining)

    patch.setattr(lease_row, "renew", renew)
    patch.setattr(Lease, "is_good", lambda self, _: self.phase in lease.HOLDING)


def draws_a_lease_for_each_question(patch: Patch) -> None:
    """A process whose answer was lost, or that asked twice, has a lease in the place of its own."""
    rule = lease_row.join
    patch.setattr(lease_row, "join", lambda held, asked, *rest: rule(held and evolve(held, run=""), asked, *rest))


def without(table: Any, effect: Any) -> Callable[[Patch], None]:
    """Take an effect out of a table."""

    def erase(patch: Patch) -> None:
        for pair, (after, effects) in list(table.items()):
            if effect in effects:
                patch.setitem(table, pair, (after, tuple(each for each in effects if each is not effect)))

    return erase


def instead(table: Any, pair: Any, like: Any) -> Callable[[Patch], None]:
    """Take one event for another."""
    return lambda patch: patch.setitem(table, pair, table[like])


def ignores_wakes(patch: Patch) -> None:
    """A node does not look at what others have changed."""
    patch.setattr(played_devices.Devices, "look_at", lambda *_: None)


def wakes_are_erased_when_told(patch: Patch) -> None:
    """An answer that is lost takes its wakes with it."""
    rule = shared.Shared.renew

    def renew(self: shared.Shared, lease: LeaseRow, _: frozenset[Any], *, draining: bool) -> Any:
        given = rule(self, lease, frozenset(), draining=draining)
        self.wakes.pop(lease.number, None)
        return given

    patch.setattr(shared.Shared, "renew", renew)


def drops_by_hearsay(patch: Patch) -> None:
    """A row that was kept is as good as one that was read."""
    rule = PostRoute.read
    patch.setattr(PostRoute, "read", lambda self, row, good, **_: rule(self, row, good))


def calls_dropped_what_it_does_not_know(patch: Patch) -> None:
    """What another node may have handed over is dropped."""
    rule = PostRoute.happened

    def happened(self: PostRoute, event: Any) -> Any:
        effects = rule(self, event)
        self.end = RouteEnd.DROPPED if self.end is RouteEnd.UNKNOWN else self.end
        return effects

    patch.setattr(PostRoute, "happened", happened)


def denies_what_it_could_not_reach(patch: Patch) -> None:
    """A node that does not answer counts as one that says not here."""
    rule = PostRoute.heard

    def heard(self: PostRoute, said: RouteEnd | None, **_: bool) -> Any:
        return rule(self, RouteEnd.NOT_HERE if said in {None, RouteEnd.UNAVAILABLE} else said)

    patch.setattr(PostRoute, "heard", heard)


def takes_any_number(patch: Patch) -> None:
    """A number may be below those that the queue holds."""
    rule = BlockNumbers.take
    patch.setattr(BlockNumbers, "take", lambda self, _: rule(self, 0))


def looks_for_ever(patch: Patch) -> None:
    """No look is the last."""
    patch.setattr(post_route, "LOOKS", 10**9)


P, L = post_route, lease
MUTANTS: dict[str, Callable[[Patch], None]] = {
    "a queue is written whatever the version is": changes_what_has_moved_on,
    "a change wakes no node": lambda patch: quiet(patch, "change"),
    "a node that was displaced is not thought of": knows_of_no_displaced_node,
    "a node is not woken for what it has written late": knows_all_of_itself,
    "a device that connects wakes no node": lambda patch: quiet(patch, "connect"),
    "any connection is cleared": clears_any_connection,
    "a held connection is written over a later one": reclaims_what_is_elsewhere,
    "a node writes past its lease": writes_past_its_lease,
    "a node relies on its lease for too long": relies_for_too_long,
    "a lease counts from its answer": counts_from_the_answer,
    "only the alarm ends a lease": looks_at_the_alarm_only,
    "a lease that is over is renewed": renews_what_is_over,
    "a lost answer replaces its process": draws_a_lease_for_each_question,
    "a new lease reclaims nothing": without(L.TABLE, L.Effect.RECLAIM),
    "a node does not look at wakes": ignores_wakes,
    "wakes are erased when they are told": wakes_are_erased_when_told,
    "a node that is cut off keeps its devices": instead(
        L.TABLE, (L.Phase.LAPSED, L.Event.CUT_OFF), (L.Phase.LEAVING, L.Event.DRAIN)
    ),
    "nothing is outlasted": lambda patch: patch.setattr(LeaseTerms, "outlast", 0.0),
    "what has moved on counts as stored": instead(
        P.TABLE, (P.Phase.STORING, P.Event.MOVED), (P.Phase.STORING, P.Event.STORED)
    ),
    "what cannot be written counts as stored": lambda patch: patch.setitem(
        P._ENDS,
        P.Event.FAILED,
        RouteEnd.STORED,
    ),
    "what the fence refused counts as stored": lambda patch: patch.setitem(
        P._ENDS,
        P.Event.LAPSED,
        RouteEnd.STORED,
    ),
    "a kept row drops": drops_by_hearsay,
    "what may have come is called dropped": calls_dropped_what_it_does_not_know,
    "a node that does not answer counts as not here": denies_what_it_could_not_reach,
    "a number may be too low": takes_any_number,
    "no look is the last": looks_for_ever,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_rule_is_caught(monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    """By a scene, or within few seeds: by one of the promises or by a rule that refuses what follows."""
    MUTANTS[mutant](monkeypatch)
    with pytest.raises((AssertionError, IllegalEvent)):
        run_seeds()


def run_seeds() -> None:
    """Play the scenes, and as many seeds as there may be."""
    for scene in SCENES:
        for seed in range(10):
            scene(seed)
    for seed in range(SEEDS):
        Trouble(seed).run()
