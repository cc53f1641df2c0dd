"""``tocsin activators`` on stores of platforms."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
from attrs import evolve

from tests.persistence.payloads import payload
from tests.processes import call
from tocsin.persistence.sqlite_store import open_sqlite
from tocsin.persistence.store import Changes, DeadPayload, StoredActivator, StoredChannel
from tocsin.protocol.platform.activator_registration import NULL_CLSID
from tocsin.protocol.platform.command import Command
from tocsin.protocol.values import DropReason

CLSID = "d2a4b7f0-2f6c-4f0e-9a55-0c8f0f7a3e11"


async def keep(folder: Path, *activators: StoredActivator) -> None:
    """Store activators as a platform does."""
    async with open_sqlite(folder / "platform.db") as store:
        for activator in activators:
            await store.keep_activator(activator)


async def show(folder: Path, *options: str) -> str:
    """Return what the verb prints."""
    code, output, errors = await anyio.to_thread.run_sync(call, "activators", "--state", str(folder), *options)
    assert (code, errors) == (0, "")
    return output


async def test_each_is_shown_with_its_command(tmp_path: Path) -> None:
    """The words as one would type them, and the folder; an app cannot write a line of its own."""
    command = Command((b"/bin/the app", b"two words", b"new\nline", b"\xff"), b"/tmp/a\nb", (b"HOME=/root",), 1024)
    await keep(
        tmp_path,
        StoredActivator("mail", 1, CLSID, (1, 3), cancel_on_condition_loss=True, command=command.pack()),
        StoredActivator("chat\n", 4, str(NULL_CLSID), (), cancel_on_condition_loss=False),
    )
    assert (await show(tmp_path)).splitlines() == [
        "chat\\n  PROTOCOL_ACTIVATOR",
        "    no command: a push starts nothing",
        f"mail  PUSH_TRIGGER  {CLSID}",
        "    only while USER_PRESENT, INTERNET_AVAILABLE, cancelled when one is lost",
        "    starts '/bin/the app' 'two words' 'new\\nline' '\\xff'",
        "    in /tmp/a\\nb",
        "    may have 1024 bytes of memory",
    ]
    chat, mail = map(json.loads, (await show(tmp_path, "--json")).splitlines())
    assert (chat["command"], chat["clsid"], chat["conditions"]) == (None, None, [])
    assert [os.fsencode(word) for word in mail["command"]] == list(command.words)
    assert (os.fsencode(mail["folder"]), mail["environment"]) == (command.folder, ["HOME=/root"])
    assert mail["cancel_on_condition_loss"]
    assert (chat["memory_limit"], mail["memory_limit"]) == (None, 1024)


async def test_what_was_given_up_is_said(tmp_path: Path) -> None:
    """How many payloads of that app, of crashes only, and when the last of them was."""
    trigger = StoredActivator("mail", 4, str(NULL_CLSID), (), cancel_on_condition_loss=False)
    await keep(tmp_path, trigger, evolve(trigger, app="chat"))
    async with open_sqlite(tmp_path / "platform.db") as store:
        for channel, app in (("c1", "mail"), ("c2", "chat"), ("c3", "mail")):
            await store.keep_channel(StoredChannel(channel, app, channel, f"http://{channel}", 10.0**10))
        rows = [payload(number, f"c{(number - 1) % 3 + 1}", attempt=1) for number in range(1, 7)]
        reasons = [DropReason.CRASH_LOOP if number in {1, 3, 4} else DropReason.EXPIRED for number in range(1, 7)]
        dead = [DeadPayload(each, reasons[each - 1], "", 1_700_000_000.0 + each) for each in range(1, 7)]
        await store.commit(Changes(accepted=rows, dead=dead))
        await store.drop_channels(["c3"])
    said = (await show(tmp_path)).splitlines()
    assert [line for line in said if "given up" in line] == [
        "    3 payloads given up as crash_loop, the last at 2023-11-14 22:13:24 UTC"
    ]
    assert said.index("mail  PROTOCOL_ACTIVATOR") < len(said) - 1
    chat, mail = map(json.loads, (await show(tmp_path, "--json")).splitlines())
    assert (chat["crash_loops"], chat["last_crash_loop"]) == (0, None)
    assert (mail["crash_loops"], mail["last_crash_loop"]) == (3, "2023-11-14T22:13:24+00:00")


async def test_none_is_said(tmp_path: Path) -> None:
    """An empty list is a sentence for a person and nothing for a script."""
    await keep(tmp_path)
    assert await show(tmp_path) == "No activator is registered.\n"
    assert await show(tmp_path, "--json") == ""


async def test_what_a_later_version_has_stored_is_shown_as_it_can_be(tmp_path: Path) -> None:
    """A condition that is not known is a number, and a command that cannot be read is none."""
    await keep(tmp_path, StoredActivator("mail", 1, CLSID, (99,), cancel_on_condition_loss=False, command=b"\xc1"))
    assert (await show(tmp_path)).splitlines()[1:] == ["    only while 99", "    no command: a push starts nothing"]
