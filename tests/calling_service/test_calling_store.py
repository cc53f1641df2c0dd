"""What the calling service keeps."""

from __future__ import annotations

import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.persistence.faults import Fault, Faults
from tocsin.calling_service.calling_rows import call_from_row, call_to_row
from tocsin.calling_service.calling_store import CallingStore, Kept, UserRow
from tocsin.calling_service.sqlite_calling_store import open_calling_store
from tocsin.persistence.sqlite_medium import SqliteMedium
from tocsin.protocol.calling.call_at_service import Phase
from tocsin.protocol.calling.call_token import CallTokenKind
from tocsin.protocol.calling.switchboard_rows import CallRow, Endpoint, PushRegistration, Side, TurnRows
from tocsin.protocol.errors import StateUnavailable

ANN, BOB = Side("8:acs:r_ann", "d1", "Ann", video=True), Side("8:acs:r_bob", "", "", video=False)
CALL = CallRow("c1", Phase.RINGING, ANN, BOB, "context", 10.0, 130.0)
REGISTRATION = PushRegistration(Endpoint("8:acs:r_bob", "d2"), "https://push.example/w/?token=t", 500.0)
USER = UserRow("8:acs:r_ann", "ann", "Ann", CallTokenKind.ACS, 1.0)

_TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
_TIMES = st.floats(0, 1e10)
_SIDES = st.builds(Side, _TEXTS, _TEXTS, _TEXTS, st.booleans(), st.booleans(), st.booleans())
_CALLS = st.builds(
    CallRow,
    *(_TEXTS, st.sampled_from(Phase), _SIDES, _SIDES, _TEXTS, _TIMES, _TIMES, _TIMES, _TIMES),
    *(st.integers(0, 999), st.integers(0, 999_999)),
)


@given(_CALLS)
def test_a_call_is_read_as_it_was_written(call: CallRow) -> None:
    """Every field of it, in its own column."""
    with closing(sqlite3.connect(":memory:")) as database:
        columns = database.execute(f"SELECT {', '.join('?' * 21)}", call_to_row(call)).fetchone()
    assert call_from_row(columns) == call
    assert all(isinstance(flag, bool) for side in (call.caller, call.callee) for flag in (side.video, side.held))


async def test_everything_outlives_the_process(tmp_path: Path) -> None:
    """What was written is there when the file is opened again; calls in the order in which they began."""
    later = evolve(CALL, call="c0", began=11.0, phase=Phase.ENDED, ended=12.0, code=487, subcode=10004)
    async with open_calling_store(tmp_path) as store:
        assert await store.load() == Kept()
        await store.commit(TurnRows(calls=(later, CALL), registrations=(REGISTRATION,)))
        await store.save_user(USER)
        await store.set_meta("key", b"value")
    async with open_calling_store(tmp_path) as store:
        assert await store.load() == Kept((CALL, later), (REGISTRATION,))
        assert await store.users() == [USER]
        assert await store.meta("key") == b"value"
        assert await store.meta("else") is None
        assert store.fault is None


async def test_a_row_takes_the_place_of_the_one_before(calling_store: CallingStore) -> None:
    """A call by its id, a registration by its endpoint."""
    await calling_store.commit(TurnRows(calls=(CALL,), registrations=(REGISTRATION,)))
    answered = evolve(CALL, phase=Phase.CONNECTED, callee=evolve(BOB, device="d2", muted=True), answered=20.0)
    moved = evolve(REGISTRATION, uri="https://push.example/w/?token=u")
    await calling_store.commit(TurnRows(calls=(answered,), registrations=(moved,)))
    assert await calling_store.load() == Kept((answered,), (moved,))


async def test_what_is_forgotten_goes_first(calling_store: CallingStore) -> None:
    """So a channel may pass from one endpoint to another, and a row come anew, in one turn; what is not there is passed over."""
    other = evolve(REGISTRATION, endpoint=Endpoint("8:acs:r_bob", "d3"))
    second = evolve(CALL, call="c2")
    await calling_store.commit(TurnRows(calls=(CALL, second), registrations=(REGISTRATION,)))
    await calling_store.commit(
        TurnRows(
            calls=(CALL,),
            forgotten_calls=("c1", "c2", "c3"),
            registrations=(other,),
            forgotten_registrations=(REGISTRATION.endpoint, Endpoint("8:acs:r_eve", "d9")),
        )
    )
    assert await calling_store.load() == Kept((CALL,), (other,))
    await calling_store.commit(TurnRows())


async def test_a_removed_user_leaves_no_registration(calling_store: CallingStore) -> None:
    """What is kept of calls, others have a part in."""
    await calling_store.save_user(USER)
    own = evolve(REGISTRATION, endpoint=Endpoint(USER.raw_id, "d1"))
    await calling_store.commit(TurnRows(calls=(CALL,), registrations=(own, REGISTRATION)))
    await calling_store.remove_user(USER.raw_id)
    assert await calling_store.users() == []
    assert await calling_store.load() == Kept((CALL,), (REGISTRATION,))


async def test_a_user_that_was_added_in_doubt_gives_way(calling_store: CallingStore) -> None:
    """The raw id that was told to no one goes."""
    await calling_store.save_user(USER)
    again = evolve(USER, raw_id="8:acs:r_other")
    await calling_store.save_user(again)
    assert await calling_store.users() == [again]


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.CORRUPT])
async def test_a_turn_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """Whichever way its commit fails, and the error says so in words."""
    faults = Faults(monkeypatch)
    async with open_calling_store(tmp_path, patience=0.3) as store:
        await store.commit(TurnRows(calls=(CALL,), registrations=(REGISTRATION,)))
        faults.coming.append(fault)
        faults.gone = True
        with pytest.raises(StateUnavailable):
            await store.commit(TurnRows(forgotten_calls=("c1",), forgotten_registrations=(REGISTRATION.endpoint,)))
        assert store.fault
        faults.gone = False
    async with open_calling_store(tmp_path) as store:
        assert await store.load() == Kept((CALL,), (REGISTRATION,))


@pytest.mark.skipif(sys.platform == "win32", reason="there the system's lists say who may do what")
async def test_the_file_is_its_users(tmp_path: Path) -> None:
    """Channel URIs and the key of tokens are in it."""
    async with open_calling_store(tmp_path) as store:
        await store.commit(TurnRows(calls=(CALL,)))
        for file in tmp_path.iterdir():  # noqa: ASYNC240  # of a test
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_each_commit_is_synced(tmp_path: Path) -> None:
    """What was told to have been kept survives a loss of power."""
    async with open_calling_store(tmp_path) as store:
        writer = store._database._writer
        assert writer is not None
        medium = cast("SqliteMedium", writer._medium)
        ask = "PRAGMA synchronous"
        ((synchronous,),) = await medium._thread.run(
            lambda: medium._connections.writer._opened().execute(ask).fetchall()
        )
        assert synchronous == 2
