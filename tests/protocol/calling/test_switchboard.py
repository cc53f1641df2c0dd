"""Calls at a switchboard, from the first ring to the end."""

from __future__ import annotations

import pytest

from tests.protocol.calling.board import (
    ANN,
    ANN_PHONE,
    BEN,
    BEN_PHONE,
    BEN_WATCH,
    CARA,
    Board,
    hello,
    standing,
)
from tocsin.protocol.calling.call_at_service import GRACE, SETUP_TIME
from tocsin.protocol.calling.switchboard import UNHEARD
from tocsin.protocol.calling.switchboard_record import REMEMBERED
from tocsin.protocol.calling.switchboard_rows import Endpoint, StopByPush
from tocsin.protocol.errors import IllegalCall, InvalidArgument, ProtocolViolation
from tocsin.protocol.messages.calling import AttendCall, CallDone, CallPhase, HangUpCall, SetCallMedia

RINGING = (CallPhase.RINGING, 0, 0)
CONNECTING = (CallPhase.CONNECTING, 0, 0)
CONNECTED = (CallPhase.CONNECTED, 0, 0)
UNKNOWN = (CallPhase.UNKNOWN, 0, 0)
ELSEWHERE = (CallPhase.ENDED, 487, 10003)


def ended(code: int, subcode: int) -> tuple[CallPhase, int, int]:
    """Return how a call stands that has ended."""
    return CallPhase.ENDED, code, subcode


@pytest.fixture
def board() -> Board:
    """Ann is connected on her desk, Ben on his desk and his phone."""
    board = Board()
    board.connect(ANN, BEN, BEN_PHONE)
    return board


@pytest.fixture
def ringing(board: Board) -> Board:
    """Ann calls Ben."""
    board.start()
    board.effects.clear()
    return board


@pytest.fixture
def connected(ringing: Board) -> Board:
    """Ben has answered at his desk."""
    ringing.accept(BEN)
    ringing.ready(BEN)
    ringing.effects.clear()
    return ringing


def test_a_call_rings_at_all_endpoints_of_the_callee(board: Board) -> None:
    """Each connected one is told who calls and how long it rings; the caller learns that it rings."""
    answer = board.start(video=True)
    assert (answer.request, answer.here, answer.incoming, answer.peer) == (7, True, False, BEN.user)
    assert standing(answer) == RINGING
    told = board.told()
    assert [endpoint for endpoint, _ in told] == [BEN, BEN_PHONE]
    for _, report in told:
        assert (report.request, report.here, report.incoming, report.peer) == (0, False, True, ANN.user)
        assert (standing(report), report.peer_name, report.video) == (RINGING, "ann at the desk", True)
        assert report.rings_for == 120.0


def test_a_call_rings_by_every_registration_that_is_in_force(board: Board) -> None:
    """Connected or not; one that has expired is none."""
    board.connect(BEN_WATCH)
    board.register(BEN_PHONE)
    board.register(BEN_WATCH, ttl=300.0)
    board.leave(BEN_PHONE)
    board.start()
    assert board.rung() == [BEN_PHONE, BEN_WATCH]
    board.now += 300.0
    board.start(call="c2")
    assert board.rung() == [BEN_PHONE]


def test_one_accepts_and_all_others_ring_no_more(ringing: Board) -> None:
    """The caller learns who has answered; the second who accepts reads that another was faster."""
    ringing.register(BEN_WATCH)
    report = ringing.accept(BEN)
    assert (report.request, report.here, standing(report)) == (8, True, CONNECTING)
    assert ringing.stopped() == [BEN_WATCH]
    told = dict(ringing.told())
    assert {endpoint: standing(report) for endpoint, report in told.items()} == {BEN_PHONE: ELSEWHERE, ANN: CONNECTING}
    assert told[ANN].peer_name == "ben at the desk"
    assert standing(ringing.accept(BEN_PHONE)) == ELSEWHERE
    assert standing(ringing.accept(BEN)) == CONNECTING
    assert ringing.told() == []
    assert standing(ringing.ready(BEN_PHONE)) == ELSEWHERE
    assert standing(ringing.ready(BEN)) == CONNECTED
    assert standing(ringing.ready(BEN)) == CONNECTED
    assert ringing.stood() == {ANN: CONNECTED}


@pytest.mark.parametrize(("one", "other"), [(ANN, BEN), (BEN, ANN)])
def test_a_call_is_hung_up(connected: Board, one: Endpoint, other: Endpoint) -> None:
    """Either side ends it for both; those that did not answer have heard it before, and stay with that."""
    assert standing(connected.hang_up(one)) == ended(0, 0)
    assert connected.stood() == {other: ended(0, 0)}
    assert standing(connected.hang_up(other)) == ended(0, 0)
    assert standing(connected.accept(BEN_PHONE)) == ELSEWHERE
    assert connected.told() == []


def test_a_call_is_cancelled(ringing: Board) -> None:
    """Each endpoint that rings is told so; the first end is the only one."""
    assert standing(ringing.hang_up(ANN)) == ended(487, 0)
    assert ringing.stood() == {BEN: ended(487, 0), BEN_PHONE: ended(487, 0)}
    assert standing(ringing.reject(BEN)) == ended(487, 0)
    assert standing(ringing.accept(BEN)) == ended(487, 0)


@pytest.mark.parametrize("by_hanging_up", [True, False])
def test_a_call_is_declined(ringing: Board, *, by_hanging_up: bool) -> None:
    """By one for all."""
    ringing.register(BEN_WATCH)
    report = ringing.hang_up(BEN_PHONE) if by_hanging_up else ringing.reject(BEN_PHONE)
    assert standing(report) == ended(603, 0)
    assert ringing.stood() == {BEN: ended(603, 0), ANN: ended(603, 0)}
    assert ringing.stopped() == [BEN_WATCH]


def test_a_call_is_not_answered(ringing: Board) -> None:
    """After the ring time, all are told so, and not before."""
    ringing.wait(119.9)
    assert ringing.told() == []
    ringing.wait(0.1)
    assert ringing.stood() == dict.fromkeys((ANN, BEN, BEN_PHONE), ended(487, 10004))


def test_a_call_is_set_up_in_time_or_not_at_all(ringing: Board) -> None:
    """An endpoint that has accepted and never gets ready leaves the caller waiting so long and no longer."""
    ringing.accept(BEN)
    ringing.effects.clear()
    ringing.wait(SETUP_TIME)
    assert ringing.stood() == dict.fromkeys((ANN, BEN), ended(408, 10057))


def test_a_user_without_an_endpoint_is_not_rung() -> None:
    """It ends at once; an endpoint that only pushes could tell counts once it is registered for them."""
    board = Board()
    board.connect(ANN)
    assert standing(board.start(callee="8:acs:tocsin_none")) == ended(480, 10037)
    board.connect(BEN, quiet=True)
    assert standing(board.start(call="c2")) == ended(480, 10037)
    board.register(BEN)
    assert standing(board.start(call="c3")) == RINGING
    assert board.rung() == [BEN]
    assert all(report.phase is not CallPhase.RINGING for _, report in board.told())


def test_a_user_calls_their_own_other_devices() -> None:
    """The one that calls does not ring, nor can it accept; alone it reaches no device."""
    board = Board()
    board.connect(ANN)
    board.register(ANN)
    assert standing(board.start(ANN, ANN.user)) == ended(480, 10037)
    board.connect(ANN_PHONE)
    board.register(ANN_PHONE)
    board.effects.clear()
    assert standing(board.start(ANN, ANN.user, "c2")) == RINGING
    assert (board.rung(), board.stood()) == ([ANN_PHONE], {ANN_PHONE: RINGING})
    with pytest.raises(IllegalCall):
        board.accept(ANN, "c2")
    assert standing(board.accept(ANN_PHONE, "c2")) == CONNECTING
    assert board.stood() == {ANN: CONNECTING}


def test_starting_twice_is_starting_once(ringing: Board) -> None:
    """Who got no answer asks again, and learns how it stands; the id of another call is taken."""
    ringing.now += 20.0
    assert ringing.start().rings_for == 100.0
    ringing.accept(BEN)
    assert standing(ringing.start()) == CONNECTING
    ringing.effects.clear()
    for other in (CARA, BEN):
        with pytest.raises(InvalidArgument):
            ringing.start(other, ANN.user)
    with pytest.raises(InvalidArgument):
        ringing.start(ANN, CARA.user)
    assert ringing.effects == []


def test_an_id_is_written_in_one_way_only(board: Board) -> None:
    """Pushes have it in lower case, so it would not be found otherwise."""
    for call in ("0B55A9D2-0000-4000-8000-000000000000", "", "c" * 65, "c\n"):
        with pytest.raises(InvalidArgument):
            board.start(call=call)
    with pytest.raises(InvalidArgument):
        board.start(callee="no raw id")


def test_a_call_is_attended_by_its_context(ringing: Board) -> None:
    """The context alone finds it, and a wrong one finds nothing, for a user who is not in it neither."""
    ringing.connect(CARA)
    for asked in (("c1", "context of c1"), ("", "context of c1"), ("c1", "")):
        report = ringing.reported(BEN, AttendCall(5, *asked))
        assert (report.request, report.call, standing(report), report.rings_for) == (5, "c1", RINGING, 120.0)
        assert standing(ringing.reported(CARA, AttendCall(5, *asked))) == UNKNOWN
    for asked in (("c1", "context of c2"), ("", "context of c2"), ("c2", "context of c1"), ("", "")):
        assert standing(ringing.reported(BEN, AttendCall(5, *asked))) == UNKNOWN
    ringing.accept(BEN)
    assert standing(ringing.reported(BEN_PHONE, AttendCall(5, "", "context of c1"))) == ELSEWHERE


def test_who_is_not_in_a_call_learns_nothing_of_it(ringing: Board) -> None:
    """It is as if there were none."""
    ringing.connect(CARA)
    for report in (
        ringing.accept(CARA), ringing.ready(CARA), ringing.reject(CARA), ringing.hang_up(CARA),
        ringing.reported(CARA, SetCallMedia(5, "c1", muted=True, held=True)),
    ):  # fmt: skip
        assert (standing(report), report.peer, report.peer_name) == (UNKNOWN, "", "")
    assert ringing.effects == []


def test_another_device_of_the_caller_only_asks(ringing: Board) -> None:
    """It can neither end the call nor answer it."""
    ringing.connect(ANN_PHONE)
    report = ringing.reported(ANN_PHONE, AttendCall(5, "c1", ""))
    assert (report.here, report.incoming, standing(report)) == (False, False, RINGING)
    for act in (ringing.accept, ringing.reject, ringing.ready, ringing.hang_up):
        with pytest.raises(IllegalCall):
            act(ANN_PHONE)
    with pytest.raises(IllegalCall):
        ringing.ask(ANN_PHONE, SetCallMedia(5, "c1", muted=True, held=False))


def test_what_comes_at_a_wrong_time_is_refused(ringing: Board) -> None:
    """A call that rings is neither ready nor muted, and one that was accepted here is not declined here."""
    with pytest.raises(IllegalCall):
        ringing.ready(BEN)
    with pytest.raises(IllegalCall):
        ringing.ask(BEN, SetCallMedia(5, "c1", muted=True, held=False))
    ringing.accept(BEN)
    with pytest.raises(IllegalCall):
        ringing.reject(BEN)
    assert standing(ringing.reject(BEN_PHONE)) == ELSEWHERE
    with pytest.raises(ProtocolViolation):
        ringing.ask(BEN, CallDone(1))


def test_media_are_told_to_the_other_side(connected: Board) -> None:
    """The one that has set them reads the other's; what is as before is not told."""
    report = connected.reported(BEN, SetCallMedia(5, "c1", muted=True, held=False))
    assert (report.peer_muted, report.peer_held) == (False, False)
    (told,) = connected.told()
    assert (told[0], told[1].peer_muted, told[1].peer_held) == (ANN, True, False)
    assert connected.reported(ANN, SetCallMedia(5, "c1", muted=False, held=True)).peer_muted
    assert [(endpoint, report.peer_held) for endpoint, report in connected.told()] == [(BEN, True)]
    connected.ask(ANN, SetCallMedia(5, "c1", muted=False, held=True))
    assert standing(connected.reported(BEN_PHONE, SetCallMedia(5, "c1", muted=True, held=True))) == ELSEWHERE
    assert connected.told() == []


def test_a_call_is_accepted_muted(ringing: Board) -> None:
    """The caller learns it with the answer."""
    ringing.accept(BEN, muted=True)
    assert dict(ringing.told())[ANN].peer_muted


def test_an_endpoint_that_is_back_in_time_is_still_in_its_call(connected: Board) -> None:
    """It lists the call, and is told how that stands; who does not list it has ended it."""
    connected.leave(BEN)
    connected.wait(GRACE - 1)
    connected.hello(BEN, hello("c1"))
    assert connected.stood() == {BEN: CONNECTED}
    connected.wait(GRACE)
    connected.hello(BEN, hello())
    assert connected.stood() == dict.fromkeys((ANN, BEN), ended(0, 4521))


@pytest.mark.parametrize(
    ("state", "lost", "reason"),
    [
        ("ringing", ANN, (487, 0)),
        ("connecting", ANN, (0, 4521)),
        ("connecting", BEN, (408, 10057)),
        ("connected", ANN, (0, 4521)),
        ("connected", BEN, (0, 4521)),
    ],
)
def test_an_endpoint_is_lost(board: Board, state: str, lost: Endpoint, reason: tuple[int, int]) -> None:
    """After the grace; the other side is told why."""
    board.start()
    if state != "ringing":
        board.accept(BEN)
    if state == "connected":
        board.ready(BEN)
    board.effects.clear()
    away, other = (ANN, BEN) if lost == ANN else (BEN, ANN)
    board.leave(away)
    board.wait(GRACE - 0.1)
    assert board.effects == []
    board.wait(0.1)
    assert board.stood()[other] == ended(*reason)
    assert board.switchboard._record.standings.get(away) is None


def test_a_device_that_rings_and_leaves_ends_nothing(ringing: Board) -> None:
    """It rings on elsewhere, and here again when it is back."""
    ringing.leave(BEN)
    ringing.wait(GRACE + 10)
    assert ringing.effects == []
    ringing.connect(BEN)
    assert ringing.stood() == {BEN: RINGING}


@pytest.mark.parametrize(
    ("after", "said_goodbye", "pushed"), [(UNHEARD - 1, False, True), (UNHEARD, False, False), (0, True, False)]
)
def test_a_connection_that_breaks_may_not_have_brought_an_end(
    ringing: Board, after: float, said_goodbye: bool, pushed: bool
) -> None:
    """Its endpoint is told by a push, too, that the call rings no more; not where it was in order, or heard others since."""
    ringing.register(BEN)
    ringing.ask(ANN, HangUpCall(2, "c1"))
    ringing.wait(after)
    ringing.effects.clear()
    ringing.take(ringing.switchboard.left(BEN, ringing.now, said_goodbye=said_goodbye))
    assert [effect.row.code for effect in ringing.effects if isinstance(effect, StopByPush)] == [487] * pushed


def test_an_endpoint_that_has_answered_is_not_told_to_stop(connected: Board) -> None:
    """It was in the call."""
    connected.register(BEN)
    connected.ask(ANN, HangUpCall(2, "c1"))
    connected.effects.clear()
    connected.leave(BEN)
    assert connected.effects == []


def test_an_ended_call_is_remembered_for_a_day(ringing: Board) -> None:
    """An endpoint that asks until then learns how it ended."""
    ringing.hang_up(ANN)
    ringing.wait(REMEMBERED - 1)
    ringing.hello(BEN, hello("c1", "c9"))
    told = [(report.call, *standing(report)) for endpoint, report in ringing.told() if endpoint == BEN]
    assert told[-2:] == [("c1", *ended(487, 0)), ("c9", *UNKNOWN)]
    ringing.wait(1)
    assert (ringing.calls, standing(ringing.accept(BEN))) == ({}, UNKNOWN)
