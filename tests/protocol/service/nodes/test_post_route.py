"""The way of a post: its table, and each way from where its device is to what its sender hears."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.service.nodes.device_row import ABSENT, DeviceRow, Home
from tocsin.protocol.service.nodes.post_route import LOOKS, TABLE, Effect, Event, Phase, PostRoute, RouteEnd

MINE, OTHER, DEAD = 1, 2, 3
AWAY, THERE, MOVED_ON = DeviceRow(5), DeviceRow(5, Home(OTHER, 5)), DeviceRow(7, Home(OTHER, 7))
ANSWER = (Effect.ANSWER,)


def good(lease: int) -> bool:
    """Tell of three leases that one is over."""
    return lease != DEAD


class TestTable(Law):
    """A post keeps the law."""

    table = TABLE
    start = Phase.LOOKING
    events = Event
    effects = Effect
    ends = frozenset({Phase.ANSWERED})


class AnyPost(AnyEvent):
    """Anything happens to a post at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """It is answered as its last, and nothing is waited for where nothing is begun."""
        assert (Effect.ANSWER in effects) == (self.phase is Phase.ANSWERED)
        assert effects
        del event


TestAnyPost = AnyPost.TestCase


def route(*, storable: bool = True, forwarded: bool = False) -> PostRoute:
    """Begin a post."""
    return PostRoute(MINE, storable, forwarded)


def test_a_device_that_is_here_is_pushed_to() -> None:
    """As on one node: nothing is looked up."""
    post = route()
    assert post.here() == (Effect.PUSH,)
    assert post.happened(Event.SETTLED) == ANSWER
    assert post.end is RouteEnd.AS_PUSHED


def test_what_its_connection_does_not_bring_is_stored() -> None:
    """By the row as the node knows it; if that has moved on, by a new one, and not by the connection again."""
    post = route()
    post.here()
    assert post.undelivered(ABSENT) == (Effect.STORE,)
    assert post.happened(Event.MOVED) == (Effect.LOOK,)
    assert post.read(DeviceRow(6, Home(MINE, 5)), good) == (Effect.STORE,)
    assert post.denied == frozenset()
    assert post.happened(Event.STORED) == ANSWER
    assert post.end is RouteEnd.STORED


@pytest.mark.parametrize("end", [RouteEnd.AS_PUSHED, RouteEnd.STORED, RouteEnd.NO_ROOM])
def test_a_device_that_is_there_is_forwarded_to(end: RouteEnd) -> None:
    """The sender hears what the other node says."""
    post = route()
    assert post.read(THERE, good) == (Effect.FORWARD,)
    assert post.heard(end) == ANSWER
    assert post.end is end


def test_a_connection_that_its_node_denies_is_cleared() -> None:
    """Unless the row names another by then."""
    post = route()
    post.read(THERE, good)
    assert post.heard(RouteEnd.NOT_HERE) == (Effect.LOOK,)
    assert post.read(THERE, good) == (Effect.STORE,)
    assert post.denied == {THERE.home}
    assert post.happened(Event.MOVED) == (Effect.LOOK,)
    assert post.read(MOVED_ON, good) == (Effect.FORWARD,)


@pytest.mark.parametrize("said", [None, RouteEnd.UNAVAILABLE, RouteEnd.LAPSED])
def test_what_a_living_node_may_have_is_stored_behind_it(said: RouteEnd | None) -> None:
    """It is not asked twice, its row stays, and the answer waits until it knows."""
    post = route()
    post.read(THERE, good)
    assert post.heard(said) == (Effect.LOOK,)
    assert post.read(THERE, good) == (Effect.STORE,)
    assert post.denied == frozenset()
    assert post.happened(Event.STORED_BEHIND) == (Effect.OUTLAST,)
    assert post.happened(Event.OUTLASTED) == ANSWER
    assert post.end is RouteEnd.STORED


@pytest.mark.parametrize(
    ("row", "effects"),
    [
        (ABSENT, ANSWER),
        (AWAY, ANSWER),
        (DeviceRow(5, Home(DEAD, 5)), (Effect.CLEAR, Effect.ANSWER)),
        (DeviceRow(5, Home(MINE, 5)), (Effect.CLEAR, Effect.ANSWER)),
    ],
)
def test_now_or_never_is_dropped_where_the_device_is_away(row: DeviceRow, effects: tuple[Effect, ...]) -> None:
    """And what its row says that is not so is cleared; but not by what was read for another post."""
    post = route(storable=False)
    assert post.read(row, good, kept=True) == (Effect.LOOK,)
    assert post.read(row, good) == effects
    assert post.end is RouteEnd.DROPPED


def test_now_or_never_is_not_called_dropped_where_it_may_have_come() -> None:
    """A node that did not answer may have handed it over, also where the row is cleared by then."""
    for row in (THERE, AWAY):
        post = route(storable=False)
        post.read(THERE, good)
        post.heard(None)
        assert Effect.ANSWER in post.read(row, good)
        assert post.end is RouteEnd.UNKNOWN


def test_now_or_never_that_was_not_sent_is_dropped_once_its_node_is_dead() -> None:
    """While its lease is good, the device may be there."""
    for row, end in [(THERE, RouteEnd.UNKNOWN), (AWAY, RouteEnd.DROPPED)]:
        post = route(storable=False)
        post.read(THERE, good)
        post.heard(None, sent=False)
        post.read(row, good)
        assert post.end is end


def test_a_kept_row_may_lead_to_a_node_and_into_the_store() -> None:
    """The node says whether it is so, and the store looks at the version."""
    assert route().read(THERE, good, kept=True) == (Effect.FORWARD,)
    assert route().read(AWAY, good, kept=True) == (Effect.STORE,)


def test_a_node_forwards_to_no_third() -> None:
    """It says that the device is not here, and the first node looks anew."""
    post = route(forwarded=True)
    assert post.happened(Event.ELSEWHERE) == ANSWER
    assert post.end is RouteEnd.NOT_HERE
    post = route(forwarded=True)
    post.here()
    post.undelivered(ABSENT)
    post.happened(Event.MOVED)
    assert post.read(THERE, good) == ANSWER
    assert post.end is RouteEnd.NOT_HERE


@pytest.mark.parametrize(("event", "end"), [(Event.FAILED, RouteEnd.UNAVAILABLE), (Event.LAPSED, RouteEnd.LAPSED)])
def test_without_lease_or_database_the_sender_tries_again(event: Event, end: RouteEnd) -> None:
    """Whether it was to be looked up, or stored."""
    looking, storing = route(), route()
    storing.read(AWAY, good)
    for post in (looking, storing):
        assert post.happened(event) == ANSWER
        assert post.end is end


def test_a_row_that_moves_again_and_again_is_locked() -> None:
    """So that many nodes that store for one device come to an end."""
    post = route()
    for _ in range(LOOKS - 1):
        assert post.read(AWAY, good) == (Effect.STORE,)
        assert post.happened(Event.MOVED) == (Effect.LOOK,)
    assert post.read(MOVED_ON, good) == (Effect.STORE_LOCKED,)


@given(data=st.data(), storable=st.booleans(), forwarded=st.booleans())
def test_every_post_ends(data: st.DataObject, storable: bool, forwarded: bool) -> None:
    """Whatever it meets, and soon: each look and each store has its number, and what may not wait is never stored."""
    post, steps = route(storable=storable, forwarded=forwarded), 0
    effects: tuple[Effect, ...] = (Effect.LOOK,)
    rows = st.builds(DeviceRow, st.just(5), st.none() | st.builds(Home, st.integers(1, 4), st.integers(1, 9)))
    outcomes = [Event.STORED, Event.STORED_BEHIND, Event.MOVED, Event.FAILED, Event.LAPSED, Event.NO_ROOM]
    while Effect.ANSWER not in effects:
        steps += 1
        assert steps <= 3 * LOOKS + 3
        match effects[-1]:
            case Effect.LOOK:
                is_here = not post.pushed and data.draw(st.booleans(), label="here")
                kept = steps == 1 and data.draw(st.booleans(), label="kept")
                effects = post.here() if is_here else post.read(data.draw(rows, label="row"), good, kept=kept)
            case Effect.PUSH:
                brought = not storable or data.draw(st.booleans(), label="brought")
                effects = post.happened(Event.SETTLED) if brought else post.undelivered(ABSENT)
            case Effect.FORWARD:
                effects = post.heard(data.draw(st.none() | st.sampled_from(RouteEnd), label="said"))
            case Effect.STORE:
                assert storable
                effects = post.happened(data.draw(st.sampled_from(outcomes), label="outcome"))
            case Effect.STORE_LOCKED:
                assert storable
                may_be = [each for each in outcomes if each is not Event.MOVED]
                effects = post.happened(data.draw(st.sampled_from(may_be), label="outcome"))
            case _:
                effects = post.happened(Event.OUTLASTED)
    assert post.end is not None
