"""The state is taken away from under a running process: what is answered ``received`` is in a database that has a name."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from attrs import Factory, asdict, define

from tests.processes import PATIENCE, Sender, listening, run, sender
from tocsin.api.embedded import embedded

CONNECTIONS = 4
BEFORE = 50
"""Notifications that are received before anything happens."""

AFTER = 50
"""Notifications that are received after what heals by itself."""

FAULT = "The device is connected, but cannot store notifications just now: it may yet come, and once more if it is sent again"


@define
class Load:
    """Senders that push all the time, and what they were told."""

    received: set[str] = Factory(set)
    late: set[str] = Factory(set)
    """Received, and sent after the damage."""
    damaged: bool = False
    refusals: set[tuple[int, str]] = Factory(set)
    _changed: anyio.Event = Factory(anyio.Event)

    async def push(self, server: Sender) -> None:
        """Push until cancelled."""
        while True:
            damaged = self.damaged
            status, headers = await server.push(b"x")
            if status == 200:
                assert headers["x-wns-status"] == "received"
                self.received.add(headers["x-wns-msg-id"])
                if damaged:
                    self.late.add(headers["x-wns-msg-id"])
            else:
                self.refusals.add((status, headers["x-wns-error-description"]))
            self._changed.set()
            self._changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition."""
        with anyio.fail_after(PATIENCE):
            while not condition():
                await self._changed.wait()


def ids(database: Path) -> set[str]:
    """Return the ids of the payloads that a database has accepted, as any other program would read them."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        query = "SELECT json_extract(value, '$[1]') FROM remembered, json_each(ids)"
        return {row[0] for row in connection.execute(query)}


def delete_log(state: Path) -> None:
    """Delete what looks left over."""
    (state / "platform.db-wal").unlink()
    (state / "platform.db-shm").unlink()


def delete_rest(state: Path) -> None:
    """Delete all but the databases and their logs."""
    for path in state.iterdir():
        if ".db" not in path.name:
            path.unlink()


def rename(state: Path) -> None:
    """Move the folder away."""
    state.rename(state.with_name("away"))


def rename_database(state: Path) -> None:
    """Move the database away."""
    (state / "platform.db").rename(state / "away.db")


def restore(state: Path) -> None:
    """Put an older copy in the place of the database."""
    shutil.copy(state / "platform.db", state / "copy.db")
    rename_database(state)
    (state / "copy.db").rename(state / "platform.db")


@pytest.mark.parametrize(
    ("damage", "where"),
    [(rename, "away/platform.db"), (rename_database, "state/away.db"), (restore, "state/away.db")],
)
async def test_nothing_is_received_that_has_no_name(damage: Callable[[Path], None], where: str, tmp_path: Path) -> None:
    """From the damage on senders get 503, and the log says why, once; what was received before is where the file is."""
    state = tmp_path / "state"
    load = Load()
    async with listening(state) as first, sender(first.first) as server:
        async with anyio.create_task_group() as tasks:
            for _ in range(CONNECTIONS):
                tasks.start_soon(load.push, server)
            await load.until(lambda: len(load.received) >= BEFORE)
            damage(state)
            load.damaged = True
            await load.until(lambda: bool(load.refusals))
            await load.until(lambda: not (state / "platform.db-wal").exists())  # what it held is in the file now
            tasks.cancel_scope.cancel()
        first.process.kill()  # an orderly stop would give the store its five seconds
        errors = await first.errors()
        await first.wait()
    assert load.refusals == {(503, FAULT)}
    assert load.late == set()
    assert load.received <= ids(tmp_path / where)
    assert errors.count("while it was in use; put back what was there, or start anew with what is there now") == 1


@pytest.mark.parametrize("damage", [delete_log, delete_rest])
async def test_what_can_be_made_anew_is(damage: Callable[[Path], None], tmp_path: Path) -> None:
    """The log, of which nothing is lost, and the marks; a second process is refused all the time, and the first goes on."""
    state = tmp_path / "state"
    load = Load()
    async with listening(state) as first, sender(first.first) as server:
        async with anyio.create_task_group() as tasks:
            for _ in range(CONNECTIONS):
                tasks.start_soon(load.push, server)
            await load.until(lambda: len(load.received) >= BEFORE)
            damage(state)
            load.damaged = True
            await load.until(lambda: len(load.late) >= AFTER)
            tasks.cancel_scope.cancel()
        code, _, errors = await run("listen", "--json", "--state", str(state))
        assert code == 1
        assert f"the state folder {state} is in use by " in errors
        assert load.received <= ids(state / "platform.db")
        first.process.kill()
        await first.wait()
    assert load.received <= ids(state / "platform.db")
    assert load.refusals <= {(503, FAULT)}


async def test_the_app_is_told_and_goes_on(tmp_path: Path) -> None:
    """While its folder is away, the app's own status says so; when it is back, so is everything else."""
    state = tmp_path / "state"
    async with embedded("contoso.mail", state) as manager:
        assert manager.registration is not None
        channel = (await manager.create_channel(manager.registration.remote_id)).channel
        assert channel is not None
        async with sender(asdict(manager.registration) | {"uri": channel.uri}) as server:
            rename(state)
            assert (await server.push(b"meanwhile"))[0] == 503
            fault = manager.status().store_fault
            assert fault is not None
            assert fault.startswith(f"{state} was deleted or moved away while it was in use; put back what was there")
            state.with_name("away").rename(state)
            with anyio.fail_after(PATIENCE):
                while (await server.push(b"after"))[0] != 200:
                    pass
            assert manager.status().store_fault is None
        with anyio.fail_after(PATIENCE):
            async for args in channel.payloads():  # what was refused in doubt may come, too: its sender would repeat it
                if args.payload == b"after":
                    break


async def test_two_processes_never_share_a_database(tmp_path: Path) -> None:
    """Where a folder was moved away, another process may begin with a new one: each answers for its own, or not at all."""
    state = tmp_path / "state"
    async with listening(state) as first, sender(first.first) as server:
        status, _ = await server.push(b"x")
        assert status == 200
        rename(state)
        async with listening(state) as second, sender(second.first) as other:
            status, _ = await server.push(b"x")
            assert status == 503
            status, headers = await other.push(b"x")
            assert (status, headers["x-wns-status"]) == (200, "received")
            code, _, errors = await run("listen", "--json", "--state", str(tmp_path / "away"))
            assert (code, "is in use by process" in errors) == (1, True)
            assert ids(state / "platform.db").isdisjoint(ids(tmp_path / "away" / "platform.db"))
