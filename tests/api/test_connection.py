"""What an app is told of its connection to the push service."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from anyio import fail_after

import tocsin
from tests.helpers import PATIENCE
from tests.world import REMOTE_ID, Gathered, world
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.service.server import open_service

ONCE = RetryPolicy(first=0.01, increment=1, longest=0.05, jitter=0)


async def test_a_handler_hears_of_each_change(tmp_path: Path) -> None:
    """Up, down and up again; what it gets is what the status says."""
    seen = Gathered()
    async with world(tmp_path, connect=False) as w:
        w.manager.add_connection_changed(lambda status: seen.add((status.connected, status.cause)))
        await w.service.accept()
        await seen.wait_for(1)
        assert w.manager.status().connection.connected
        await w.service.cut()
        await w.service.accept()
        await seen.wait_for(3)
    assert seen.items == [(True, None), (False, tocsin.ConnectionCause.LOST), (True, None)]


async def test_the_cause_is_in_progress_result_and_status(tmp_path: Path) -> None:
    """In words and as a code, which is printed with its name."""
    async with world(tmp_path, connect=False, reachable=False, retries=ONCE) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        result = await operation
        *_, last = [progress async for progress in operation]
        status = w.manager.status()
    name = "RPC_S_SERVER_UNAVAILABLE (0x800706BA)"
    assert str(last) == f"IN_PROGRESS_RETRY, retry 1: the service is away [{name}]"
    assert str(result) == f"no channel: the service is away [{name}]"
    for shown in (last, result):
        assert f"extended_error={name}" in repr(shown)
        assert f"{shown.extended_error}" == name
        assert shown.extended_error == 0x800706BA
    assert (status.connected, status.connection.text) == (False, "the service is away")
    assert status.connection.cause is tocsin.ConnectionCause.REFUSED


async def test_what_only_a_person_can_mend_ends_a_request_at_once(tmp_path: Path) -> None:
    """There is no push service there: the app hears so now, and not after a quarter of an hour."""
    async with (
        open_service(tmp_path) as service,
        tocsin.embedded("a.b", tmp_path / "app", f"{service.url}/x") as manager,
    ):
        with fail_after(PATIENCE):
            result = await manager.create_channel(REMOTE_ID)
        assert result.extended_error is tocsin.HResult.ERROR_NOT_FOUND
        place = f"127.0.0.1:{service.port}"
    assert str(result.detail).startswith(
        f"there is no push service at {place} (it answered 404; tried was http://{place}/x/device; service= names"
    )


@pytest.mark.parametrize("url", ["http://push.example:99999", "http://push.example:port", "https://[::1", "http://:80"])
async def test_a_url_that_leads_nowhere_is_refused(tmp_path: Path, url: str) -> None:
    """Nothing is made before that is clear."""
    with pytest.raises(tocsin.InvalidArgument, match="a push service is a URL such as"):
        await tocsin.embedded("a.b", tmp_path / "state", url).__aenter__()
    assert not (tmp_path / "state").exists()


@pytest.fixture
def hellos(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the devices that a service admits."""
    from tocsin.service.devices.connections_here import ConnectionsHere  # noqa: PLC0415  # beside what it looks into

    admit, counted = ConnectionsHere.admit, Counter[str]()

    def admitted(self: ConnectionsHere, connection: object) -> None:
        counted["hello"] += 1
        admit(self, connection)  # type: ignore[arg-type]  # it is one

    monkeypatch.setattr(ConnectionsHere, "admit", admitted)
    return counted


async def test_two_processes_with_one_identity(
    tmp_path: Path, hellos: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Each connects once; the first is told why it has no connection any more, and waits for minutes."""
    seen = Gathered()
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(open_service(tmp_path))
        async with tocsin.embedded("a.b", tmp_path / "one", service.url) as manager:
            with fail_after(PATIENCE):
                await manager.create_channel(REMOTE_ID)
        shutil.copytree(tmp_path / "one", tmp_path / "copy")
        hellos.clear()
        caplog.clear()
        first = await stack.enter_async_context(tocsin.embedded("a.b", tmp_path / "one", service.url))
        first.add_connection_changed(seen.add)
        await seen.wait_for(1)
        await stack.enter_async_context(tocsin.embedded("a.b", tmp_path / "copy", service.url))
        await seen.wait_for(2)
        status = first.status().connection
        assert (status.connected, status.cause) == (False, tocsin.ConnectionCause.REPLACED)
        assert status.next_attempt is not None
        assert (status.next_attempt - status.since).total_seconds() >= 150
        result = await first.create_channel(REMOTE_ID)
        assert result.extended_error is tocsin.HResult.WPN_E_DUPLICATE_REGISTRATION
        assert hellos["hello"] == 2
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("tocsin.transport")]
    assert "next attempt in" in line
    assert "another process uses a copy of this device's state folder" in line
    assert "delete the copy" in line
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]
