"""``tocsin dead-letters`` on the state of a real platform."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.helpers import payload
from tests.processes import call
from tests.world import Gathered, handling, world
from tocsin.api.dead_letter_verbs import dead_letter_verbs
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.errors import PushError
from tocsin.protocol.messages import ChannelsRevoked, RevokeChannels
from tocsin.transport.control_socket import ask, serving_control


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
    head, lost, late, summary = output.splitlines()
    assert head.split() == ["ENDED", "(UTC)", "ID", "REASON", "APP", "TYPE", "BYTES", "ATTEMPT", "PAYLOAD"]
    assert lost[21:] == "lost  unknown_channel  (no app)      raw   2      0        hi"
    assert late[21:] == "late  expired          contoso.mail  raw   2      0        0x 00 ff"
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
    _, late, waited, _ = output.splitlines()
    assert "late    unknown_channel  contoso.mail  raw" in late
    assert "waited  closed           contoso.mail  raw" in waited


async def leave_four(state: Path) -> None:
    """Leave two more, of a channel that is there, one of which has an id that begins as another."""
    await leave_two(state)
    async with world(state) as w:
        await w.service.send(payload("later", b"", expires=1.0), payload("other", b"x", expires=1.0))
        await w.service.expect_acknowledged("later", "other")


async def test_those_of_an_app_or_of_a_reason_are_listed(tmp_path: Path) -> None:
    """Both filters may be given; they are not for the counts, which are of all."""
    state = tmp_path / "state"
    await leave_four(state)
    options = ("dead-letters", "--json", "--state", str(state))

    async def listed(*filters: str) -> list[str]:
        code, output, _ = await in_process(*options, *filters)
        assert code == 0
        return [json.loads(line)["id"] for line in output.splitlines()]

    assert await listed("--app", "contoso.mail", "--limit", "2") == ["other", "later"]
    assert await listed("--app", "contoso.chat") == []
    assert await listed("--reason", "unknown_channel") == ["lost"]
    assert await listed("--reason", "expired", "--app", "contoso.mail") == ["other", "later", "late"]
    code, _, errors = await in_process("dead-letters", "--state", str(state), "--counts", "--reason", "expired")
    assert (code, errors) == (1, "tocsin dead-letters: --counts is of all; leave --app and --reason out\n")


async def test_one_is_dropped_or_retried_where_nothing_runs(tmp_path: Path) -> None:
    """The command holds the folder itself, and says what it has changed; the next start hands on what was retried."""
    state = tmp_path / "state"
    await leave_four(state)
    options = ("--state", str(state))
    assert await in_process("dead-letters", "drop", *options, "oth") == (0, "other is dropped; it stays counted\n", "")
    code, output, _ = await in_process("dead-letters", "retry", "later", *options, "--json")
    assert (code, json.loads(output)) == (0, {"id": "later", "done": "retry"})
    _, output, _ = await in_process("dead-letters", "--json", *options)
    assert [json.loads(line)["id"] for line in output.splitlines()] == ["lost", "late"]
    seen = Gathered()
    async with world(state) as w:
        channel = await w.channel()
        with channel.push_received(handling(seen)):
            await seen.wait_for(1)
    assert seen.items == [("later", 1)]


async def test_what_is_refused_is_said(tmp_path: Path) -> None:
    """No id, one of several, a channel that is gone; and a program that holds the folder and takes no commands."""
    state = tmp_path / "state"
    await leave_four(state)
    options = ("--state", str(state))
    for arguments, words in (
        (("retry",), "'retry' needs the ID of a dead letter"),
        (("drop", "l"), "the ids of several dead letters begin with 'l'"),
        (("retry", "lost"), "the channel of 'lost' is gone"),
    ):
        code, output, errors = await in_process("dead-letters", *arguments, *options)
        assert (code, output) == (1, "")
        assert words in errors
    with state_folder(state):
        _, _, errors = await in_process("dead-letters", "drop", "late", *options)
    assert f"process {os.getpid()} holds {state} and takes no commands" in errors


async def test_an_agent_does_it_while_it_runs(tmp_path: Path) -> None:
    """The command asks what runs on the folder; what that refuses is said."""
    state = tmp_path / "state"
    await leave_four(state)
    options = ("--state", str(state))
    async with world(state) as w:
        verbs = dead_letter_verbs(w.platform.operator_desk)

        async def perform(request: dict[str, Any]) -> dict[str, Any]:
            return await verbs[request["verb"]](request)

        async with serving_control(state, perform, "agent"):
            code, output, _ = await in_process("dead-letters", "drop", "oth", *options)
            assert (code, output) == (0, "other is dropped; it stays counted\n")
            code, output, _ = await in_process("dead-letters", "retry", "later", *options)
            assert (code, output) == (0, "later is a payload again, behind those that wait\n")
            code, _, errors = await in_process("dead-letters", "retry", "later", *options)
            assert (code, errors) == (
                1,
                "tocsin dead-letters: no dead letter has the id 'later', or one that begins so\n",
            )
            with pytest.raises(PushError, match="'id' is a text in JSON"):
                await ask(state, {"verb": "drop_dead_letter", "id": 5})
    _, output, _ = await in_process("dead-letters", "--json", *options)
    assert [json.loads(line)["id"] for line in output.splitlines()] == ["lost", "late"]
