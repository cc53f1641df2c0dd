"""Endpoints at a switchboard: their connections and registrations, what pushes come to, and bounds."""

from __future__ import annotations

import math

import pytest

from tests.protocol.calling.board import ANN, BEN, BEN_PHONE, BEN_WATCH, CARA, DAY, Board, hello, standing
from tocsin.protocol.calling.push_registration import MAX_TEAMS_TTL, MAX_TTL, MIN_TTL
from tocsin.protocol.calling.questions_on_pushes import MAX_REGISTRATIONS
from tocsin.protocol.calling.switchboard import MAX_CONNECTED
from tocsin.protocol.calling.switchboard_draft import MAX_REMEMBERED
from tocsin.protocol.calling.switchboard_rows import Endpoint, Pushed, RingByPush, StopByPush
from tocsin.protocol.errors import Busy, InvalidArgument
from tocsin.protocol.messages.calling import (
    MAX_LISTED_CALLS,
    MAX_OPEN_CALLS,
    MAX_RINGING_CALLS,
    CallDone,
    CallHello,
    CallPhase,
    CallPushRegistered,
    UnregisterFromCallPush,
)

NOT_ONLINE = (CallPhase.ENDED, 480, 10077)
NO_ENDPOINT = (CallPhase.ENDED, 480, 10037)
RINGING = (CallPhase.RINGING, 0, 0)
TEAMS = Endpoint("8:orgid:00000000-0000-0000-0000-000000000001", "desk")


@pytest.fixture
def board() -> Board:
    """Ann is connected; Ben's phone and watch are rung by pushes."""
    board = Board()
    board.connect(ANN, BEN_PHONE, BEN_WATCH)
    board.register(BEN_PHONE)
    board.register(BEN_WATCH)
    board.leave(BEN_PHONE)
    board.leave(BEN_WATCH)
    return board


# Connections


def test_who_connects_is_told_what_rings(board: Board) -> None:
    """Unless it wants to learn of that by pushes only; it is told how its own calls stand all the same."""
    board.start()
    board.effects.clear()
    board.connect(BEN)
    assert board.stood() == {BEN: RINGING}
    board.connect(BEN_PHONE, quiet=True)
    assert board.stood() == {}
    board.hello(BEN_PHONE, hello("c1", quiet=True))
    assert board.stood() == {BEN_PHONE: RINGING}
    board.hang_up(ANN)
    assert set(board.stood()) == {BEN, BEN_PHONE}


def test_a_connection_that_displaces_another_goes_on_with_its_calls_or_has_lost_them(board: Board) -> None:
    """What counts is what it lists: another process of the same device is in none of them."""
    board.start(call="c1")
    board.start(call="c2")
    board.effects.clear()
    board.hello(ANN, hello("c2"))
    told = {(endpoint, report.call): standing(report) for endpoint, report in board.told()}
    assert told == {(ANN, "c1"): (CallPhase.ENDED, 487, 0), (ANN, "c2"): RINGING}


@pytest.mark.parametrize(
    ("endpoint", "frame"),
    [
        (Endpoint(ANN.user, ""), hello()),
        (Endpoint(ANN.user, "d" * 129), hello()),
        (Endpoint(ANN.user, "desk\n"), hello()),
        (ANN, hello(name="n" * 257)),
        (ANN, hello("no\nid")),
        (ANN, hello("c" * 65)),
        (ANN, hello(*map(str, range(MAX_LISTED_CALLS + 1)))),
    ],
)
def test_a_hello_that_cannot_be_right_is_refused(board: Board, endpoint: Endpoint, frame: CallHello) -> None:
    """Before anything is kept of it."""
    with pytest.raises(InvalidArgument):
        board.hello(endpoint, frame)


# Registrations


def test_a_registration_is_renewed_and_expires(board: Board) -> None:
    """Renewed, it expires that much later; a call that rings then is not pushed a second time."""
    board.start()
    assert board.rung() == [BEN_PHONE, BEN_WATCH]
    board.now += 1000.0
    board.connect(BEN_PHONE)
    assert board.register(BEN_PHONE, ttl=DAY) == CallPushRegistered(3, DAY)
    assert board.rung() == []
    board.wait(DAY - 1)
    assert set(board.registrations) == {BEN_PHONE}
    board.wait(1)
    assert board.registrations == {}


@pytest.mark.parametrize(
    ("endpoint", "asked", "granted"),
    [
        (BEN, DAY, DAY),
        (BEN, 1.0, MIN_TTL),
        (BEN, 1e12, MAX_TTL),
        (TEAMS, 1e12, MAX_TEAMS_TTL),
    ],
)
def test_a_registration_is_granted_for_so_long(board: Board, endpoint: Endpoint, asked: float, granted: float) -> None:
    """For a user of Teams for a day at most."""
    board.connect(endpoint)
    assert board.register(endpoint, "https://push.test/1", asked) == CallPushRegistered(3, granted)


@pytest.mark.parametrize("ttl", [0.0, -1.0, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(board: Board, ttl: float) -> None:
    """It is above 0, and finite."""
    with pytest.raises(InvalidArgument):
        board.register(BEN, ttl=ttl)


@pytest.mark.parametrize("uri", ["ftp://secret.test/", "secret", "https://secret.test/" + 2048 * "x", "https://\n"])
def test_what_is_no_uri_is_refused_without_being_shown(board: Board, uri: str) -> None:
    """Its sender may have meant a secret."""
    with pytest.raises(InvalidArgument) as refused:
        board.register(BEN, uri)
    assert "secret" not in str(refused.value)


def test_a_channel_rings_the_user_who_is_there_now(board: Board) -> None:
    """Where two take turns on a device, the one before is rung by it no more."""
    board.register(CARA, "https://push.test/shared")
    board.register(BEN, "https://push.test/shared")
    assert set(board.registrations) == {BEN, BEN_PHONE, BEN_WATCH}
    assert standing(board.start(callee=CARA.user)) == NO_ENDPOINT


def test_another_channel_of_a_device_is_rung_at_once(board: Board) -> None:
    """What was pushed to the one before may never arrive."""
    board.start()
    first = board.taken(RingByPush)[0]
    board.connect(BEN_PHONE, quiet=True)
    board.register(BEN_PHONE, "https://push.test/new")
    assert board.rung() == [BEN_PHONE]
    board.pushed(first, Pushed.GONE)
    assert board.registrations[BEN_PHONE].uri == "https://push.test/new"


def test_a_device_is_unregistered_or_all_are(board: Board) -> None:
    """Of this user only."""
    board.register(CARA)
    assert board.ask(BEN_PHONE, UnregisterFromCallPush(4, every_device=False)) == CallDone(4)
    assert set(board.registrations) == {BEN_WATCH, CARA}
    board.register(BEN_PHONE)
    board.ask(BEN, UnregisterFromCallPush(4, every_device=True))
    assert set(board.registrations) == {CARA}


# What pushes come to


def test_a_call_that_no_push_reaches_ends(board: Board) -> None:
    """When the last one is known to reach none, and not before; a failed one may still reach its device."""
    board.start()
    phone, watch = board.taken(RingByPush)
    board.pushed(phone, Pushed.DROPPED)
    board.pushed(phone, Pushed.DROPPED)
    board.pushed(watch, Pushed.FAILED)
    board.pushed(watch, Pushed.ACCEPTED)
    assert board.effects == []
    board.pushed(watch, Pushed.GONE)
    assert board.stood() == {ANN: NOT_ONLINE}
    assert set(board.registrations) == {BEN_PHONE}


def test_a_user_whose_channels_are_all_gone_has_no_endpoint(board: Board) -> None:
    """The next call knows it at once."""
    board.start()
    for push in board.taken(RingByPush):
        board.pushed(push, Pushed.GONE)
    assert board.stood() == {ANN: NO_ENDPOINT}
    assert board.registrations == {}
    assert standing(board.start(call="c2")) == NO_ENDPOINT


@pytest.mark.parametrize("quiet", [False, True])
def test_a_connected_endpoint_rings_without_pushes(board: Board, *, quiet: bool) -> None:
    """Unless it learns of calls by pushes only."""
    board.connect(BEN, quiet=quiet)
    board.start()
    for push in board.taken(RingByPush):
        board.pushed(push, Pushed.DROPPED)
    assert board.stood()[ANN if quiet else BEN] == (NOT_ONLINE if quiet else RINGING)


def test_what_a_push_comes_to_after_the_end_changes_no_call(board: Board) -> None:
    """Its channel is forgotten all the same."""
    board.start()
    pushes = board.taken(RingByPush)
    board.hang_up(ANN)
    stops = board.taken(StopByPush)
    board.pushed(pushes[0], Pushed.DROPPED)
    board.pushed(pushes[1], Pushed.GONE)
    board.pushed(stops[0], Pushed.GONE)
    assert (board.told(), board.registrations) == ([], {})


# Users


def test_a_user_is_removed_with_all_that_is_theirs(board: Board) -> None:
    """Their calls end at both sides, what rings stops, and their connections are ended with a word."""
    board.connect(BEN, CARA)
    board.start(ANN, BEN.user, "c1")
    board.start(CARA, ANN.user, "c2")
    board.start(CARA, BEN.user, "c3")
    board.accept(BEN, "c3")
    board.effects.clear()
    board.take(board.switchboard.remove_user(BEN.user, board.now))
    told = {(endpoint, report.call): standing(report) for endpoint, report in board.told()}
    gone = (CallPhase.ENDED, 0, 5300)
    assert told == {(ANN, "c1"): gone, (BEN, "c1"): gone, (CARA, "c3"): gone, (BEN, "c3"): gone}
    assert set(board.stopped()) == {BEN_PHONE, BEN_WATCH}
    assert board.parted() == [BEN]
    assert board.registrations == {}
    assert [row.call for row in board.switchboard.open_calls] == ["c2"]


# Bounds


def test_so_many_calls_ring_for_a_user_and_so_many_are_open_at_an_endpoint(board: Board) -> None:
    """One more is refused, and once one has ended there is room."""
    for number in range(MAX_RINGING_CALLS):
        board.start(call=f"c{number}")
    with pytest.raises(Busy):
        board.start(call="more")
    board.connect(CARA)
    for number in range(MAX_OPEN_CALLS - MAX_RINGING_CALLS):
        board.start(callee=CARA.user, call=f"d{number}")
    with pytest.raises(Busy):
        board.start(callee=TEAMS.user, call="more")
    board.hang_up(ANN, "c0")
    assert standing(board.start(call="more")) == RINGING


def test_an_endpoint_accepts_no_more_calls_than_it_may_be_in(board: Board) -> None:
    """The next one rings on."""
    board.connect(BEN)
    for number in range(MAX_OPEN_CALLS):
        caller = Endpoint(ANN.user, str(number))
        board.connect(caller)
        board.start(caller, BEN.user, f"c{number}")
        board.accept(BEN, f"c{number}")
        board.leave(caller)
    board.start(ANN, BEN.user, "more")
    with pytest.raises(Busy):
        board.accept(BEN, "more")
    board.hang_up(BEN, "c0")
    assert standing(board.accept(BEN, "more"))[0] is CallPhase.CONNECTING


def test_so_many_devices_of_a_user_are_connected_and_registered(board: Board) -> None:
    """One that is known is never one too many."""
    devices = [Endpoint(CARA.user, str(number)) for number in range(MAX_CONNECTED)]
    board.connect(*devices)
    board.connect(devices[0])
    with pytest.raises(Busy):
        board.connect(CARA)
    for device in devices[:MAX_REGISTRATIONS]:
        board.register(device)
    board.register(devices[0], "https://push.test/new")
    with pytest.raises(Busy):
        board.register(devices[-1])
    board.leave(devices[0])
    board.connect(CARA)


def test_so_many_ended_calls_of_a_caller_are_remembered(board: Board) -> None:
    """The one that ended first makes room, in the store, too."""
    for number in range(MAX_REMEMBERED + 5):
        board.start(callee=CARA.user, call=f"c{number}")
    assert set(board.calls) == {f"c{number}" for number in range(5, MAX_REMEMBERED + 5)}
