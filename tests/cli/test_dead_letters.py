"""``tocsin dead-letters`` on the state of a real platform."""

from __future__ import annotations

import json
from pathlib import Path

import anyio

from tests.helpers import payload
from tests.processes import call
from tests.world import world
from tocsin.protocol.messages import ChannelsRevoked, RevokeChannels


async def in_process(*arguments: str) -> tuple[int, str, str]:
    """Run the command beside the test's event loop."""
    return await anyio.to_thread.run_sync(call, *arguments)


async def leave_two(state: Path) -> None:
    """Leave a state folder with two dead payloads behind."""
    await anyio.Path(state).mkdir()
    async with world(state) as w:
        await w.channel()
        await w.service.send(payload("late", b"\x00\xff", expires=1.0), payload("lost", b"hi", channel="gone"))
        await w.service.expect_acknowledged("late", "lost")


async def test_they_are_listed_with_their_reasons(tmp_path: Path) -> None:
    """For a person each is a line, the newest first."""
    await leave_two(tmp_path / "state")
    code, output, errors = await in_process("dead-letters", "--state", str(tmp_path / "state"))
    assert (code, errors) == (0, "")
    lost, late, summary = output.splitlines()
    assert "lost  unknown_channel  (no app)  raw  2 bytes  attempt 0  hi" in lost
    assert "late  expired  contoso.mail  raw  2 bytes  attempt 0  0x 00 ff" in late
    assert summary == "2 in all: 1 expired, 1 unknown_channel"


async def test_they_are_counted_by_reason(tmp_path: Path) -> None:
    """With ``--counts`` only the numbers are printed, as text or as JSON."""
    await leave_two(tmp_path / "state")
    options = ("dead-letters", "--counts", "--state", str(tmp_path / "state"))
    assert (await in_process(*options))[1] == "2 in all: 1 expired, 1 unknown_channel\n"
    assert json.loads((await in_process(*options, "--json"))[1]) == {"expired": 1, "unknown_channel": 1}


async def test_they_are_listed_as_json(tmp_path: Path) -> None:
    """For a script each is an object, and the limit is kept."""
    await leave_two(tmp_path / "state")
    code, output, _ = await in_process("dead-letters", "--json", "--limit", "1", "--state", str(tmp_path / "state"))
    assert code == 0
    (letter,) = [json.loads(line) for line in output.splitlines()]
    assert (letter["id"], letter["reason"], letter["base64"], letter["attempt"]) == (
        "lost",
        "unknown_channel",
        "aGk=",
        0,
    )


async def test_none_is_said(tmp_path: Path) -> None:
    """An empty list is a sentence for a person and nothing for a script."""
    async with world(tmp_path) as w:
        await w.channel()
        assert (await in_process("dead-letters", "--state", str(tmp_path)))[1] == "No payload has ended unhandled.\n"
    assert (await in_process("dead-letters", "--json", "--state", str(tmp_path)))[:2] == (0, "")


async def test_a_folder_without_state_is_said_and_left_alone(tmp_path: Path) -> None:
    """Looking makes nothing."""
    code, _, errors = await in_process("dead-letters", "--state", str(tmp_path))
    assert code == 1
    assert f"no state of Tocsin in {tmp_path}" in errors
    assert [path async for path in anyio.Path(tmp_path).iterdir()] == []


async def test_those_of_a_closed_channel_name_their_app(tmp_path: Path) -> None:
    """Whether they waited when it was closed, or came afterwards; also after a restart."""
    state = tmp_path / "state"
    await anyio.Path(state).mkdir()
    async with world(state) as w:
        channel = await w.channel()
        await w.service.send(payload("waited"))
        await w.service.expect_acknowledged("waited")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.close)
            revoke = await w.service.expect(RevokeChannels)
            await w.service.send(ChannelsRevoked(revoke.request, ("c1",)))
        await w.service.send(payload("late"))
        await w.service.expect_acknowledged("late")
    async with world(state):
        pass
    _, output, _ = await in_process("dead-letters", "--state", str(state))
    late, waited, _ = output.splitlines()
    assert "late  unknown_channel  contoso.mail  raw" in late
    assert "waited  unknown_channel  contoso.mail  raw" in waited
