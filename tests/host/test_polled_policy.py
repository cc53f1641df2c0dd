"""The files of the policy where nothing tells of a change; the time is virtual."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing
from anyio import current_time

from tests.host.test_policy_files import own, replace
from tocsin.host import policy_files
from tocsin.host.policy_files import LOOK_AGAIN, PolicyFiles
from tocsin.protocol.platform.policy import Policy


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_it_is_looked_at_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once where the last look is a minute ago, else when it is; never without a question."""
    monkeypatch.setattr(policy_files, "can_watch", lambda: False)
    file, begin = own(tmp_path / "policy.toml"), current_time()
    source = PolicyFiles([file], current_time)
    send, told = anyio.create_memory_object_stream[Policy](10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.run, send.send_nowait)
        moments = []
        for text, pause, asks in (("", 0, 0), ("toasts = false", 0, 2), ("tiles = false", 500, 1), ("", 10, 1)):
            replace(file.path, text)
            await anyio.sleep(pause)
            for _ in range(asks):
                source.ask()
            policy = await told.receive()
            moments.append((policy.toasts, policy.tiles, current_time() - begin))
        tasks.cancel_scope.cancel()
    send.close()
    told.close()
    asked_late = LOOK_AGAIN + 500
    assert moments == [
        (True, True, 0),
        (False, True, LOOK_AGAIN),
        (True, False, asked_late),
        (True, True, asked_late + LOOK_AGAIN),
    ]
    assert source.is_polled
