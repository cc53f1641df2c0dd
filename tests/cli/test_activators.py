"""``tocsin activators`` on stores of platforms."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio

from tests.processes import call
from tocsin.persistence.sqlite_store import open_sqlite
from tocsin.persistence.store import StoredActivator
from tocsin.protocol.platform.activator_registration import NULL_CLSID
from tocsin.protocol.platform.command import Command

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
    command = Command((b"/bin/the app", b"two words", b"new\nline", b"\xff"), b"/tmp/a\nb", (b"HOME=/root",))
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
    ]
    chat, mail = map(json.loads, (await show(tmp_path, "--json")).splitlines())
    assert (chat["command"], chat["clsid"], chat["conditions"]) == (None, None, [])
    assert [os.fsencode(word) for word in mail["command"]] == list(command.words)
    assert (os.fsencode(mail["folder"]), mail["environment"]) == (command.folder, ["HOME=/root"])
    assert mail["cancel_on_condition_loss"]


async def test_none_is_said(tmp_path: Path) -> None:
    """An empty list is a sentence for a person and nothing for a script."""
    await keep(tmp_path)
    assert await show(tmp_path) == "No activator is registered.\n"
    assert await show(tmp_path, "--json") == ""


async def test_what_a_later_version_has_stored_is_shown_as_it_can_be(tmp_path: Path) -> None:
    """A condition that is not known is a number, and a command that cannot be read is none."""
    await keep(tmp_path, StoredActivator("mail", 1, CLSID, (99,), cancel_on_condition_loss=False, command=b"\xc1"))
    assert (await show(tmp_path)).splitlines()[1:] == ["    only while 99", "    no command: a push starts nothing"]
