"""A switchboard that begins anew with what was kept: also with another time than it had."""

from __future__ import annotations

import pytest

from tests.protocol.calling.board import ANN, ANN_PHONE, BEN, BEN_PHONE, BEN_WATCH, CARA, DAY, Board, hello, standing
from tocsin.protocol.calling.call_at_service import GRACE, SETUP_TIME
from tocsin.protocol.calling.switchboard_rows import STOP_FOR, StopByPush, Tell
from tocsin.protocol.messages.calling import CallPhase

RINGING = (CallPhase.RINGING, 0, 0)


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


def test_a_service_that_was_started_anew_goes_on(board: Board) -> None:
    """It rings again by pushes, and keeps the end of the ring time."""
    board.start()
    board.effects.clear()
    board.now += 20.0
    board.restart()
    assert board.rung() == [BEN_PHONE, BEN_WATCH]
    board.hello(ANN, hello("c1"))
    assert [(report.rings_for, standing(report)) for _, report in board.told()] == [(100.0, RINGING)]
    board.wait(100.0)
    assert board.stood() == {ANN: (CallPhase.ENDED, 487, 10004)}


def test_endpoints_that_do_not_come_back_after_a_new_start_are_lost(board: Board) -> None:
    """After the grace, counted from the start."""
    board.connect(BEN)
    board.start()
    board.accept(BEN)
    board.ready(BEN)
    board.effects.clear()
    board.restart()
    board.hello(ANN, hello("c1"))
    board.taken(StopByPush)
    assert board.stood() == {ANN: (CallPhase.CONNECTED, 0, 0)}
    board.wait(GRACE)
    assert board.stood() == {ANN: (CallPhase.ENDED, 0, 4521)}


@pytest.mark.parametrize("answered", [False, True])
def test_what_was_stopped_a_short_while_ago_is_stopped_again(board: Board, *, answered: bool) -> None:
    """The service may have been killed before it could say so; not at the endpoint that has answered."""
    board.start()
    if answered:
        board.connect(BEN_PHONE)
        board.accept(BEN_PHONE)
    else:
        board.hang_up(ANN)
    board.effects.clear()
    board.now += STOP_FOR - 1
    board.restart()
    assert board.stopped() == ([BEN_WATCH] if answered else [BEN_PHONE, BEN_WATCH])
    board.now += 1
    board.restart()
    assert board.effects == []


def test_what_ended_while_the_service_was_off_ends_at_its_start(board: Board) -> None:
    """A call whose ring time is over is not rung again, but stopped."""
    board.start()
    board.effects.clear()
    board.now += DAY
    board.restart()
    assert board.effects == []
    board.wait(0)
    assert (board.stopped(), [row.subcode for row in board.calls.values()]) == ([], [10004])
    assert board.registrations == {}
    assert board.switchboard.next_due() == board.now + GRACE


def test_a_call_rings_no_longer_where_the_clock_was_set_back_meanwhile(board: Board) -> None:
    """As long as calls ring, from the new start on, also if the caller is there; what has ended is forgotten a day later."""
    board.start()
    board.start(ANN, CARA.user, "c2")
    board.now -= 10 * DAY
    board.restart()
    board.hello(ANN, hello("c1"))
    board.taken(Tell)
    board.wait(120.0)
    assert board.stood() == {ANN: (CallPhase.ENDED, 487, 10004)}
    board.wait(DAY)
    assert board.calls == {}


def test_an_endpoint_gets_ready_in_time_where_the_clock_was_set_back_meanwhile(board: Board) -> None:
    """From the new start on, it has as long as ever."""
    board.connect(BEN)
    board.start()
    board.accept(BEN)
    board.now -= 10 * DAY
    board.restart()
    board.hello(ANN, hello("c1"))
    board.hello(BEN, hello("c1"))
    board.taken(Tell)
    board.wait(SETUP_TIME)
    assert board.stood() == dict.fromkeys((ANN, BEN), (CallPhase.ENDED, 408, 10057))


def test_other_devices_of_a_caller_may_be_called_by_them(board: Board) -> None:
    """A restart does not confuse the two sides of such a call."""
    board.connect(ANN_PHONE)
    board.start(ANN, ANN.user)
    board.accept(ANN_PHONE)
    board.restart()
    board.effects.clear()
    board.hello(ANN_PHONE, hello("c1"))
    board.hello(ANN, hello("c1"))
    assert [(endpoint, report.incoming) for endpoint, report in board.told()] == [(ANN_PHONE, True), (ANN, False)]
