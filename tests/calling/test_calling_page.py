"""``docs/calling.md``: its program runs, and its tables are those of the code."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.calling.phones import WatchedDesktop
from tests.helpers import PATIENCE
from tests.service.settings_page import table
from tests.world import Gathered
from tocsin.calling import CallClient, CallState, CallTokenCredential, PushOutcome
from tocsin.calling_service.calling_server import CallingService, open_calling_service
from tocsin.calling_service.calling_settings import READER, CallingSettings
from tocsin.calling_service.hub_pusher import open_hub_pusher
from tocsin.protocol.calling.end_reason import END_REASONS
from tocsin.protocol.hub.connection_string import write_connection_string
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.repeat_log import RepeatLog
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service
from tocsin.tasks import task_group

PAGE = (Path(__file__).parents[2] / "docs" / "calling.md").read_text(encoding="utf-8")
WALK = PAGE.partition("## Step by step")[2].partition("## The same in a few lines")[0]
PROGRAM = "\n\n".join(re.findall(r"^```python\n(.*?)^```$", WALK, re.MULTILINE | re.DOTALL))


@asynccontextmanager
async def services(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CallingService]:
    """Run a push service with a hub, and a calling service that rings through it; the environment is what the program reads."""
    async with open_service(folder / "push", ServiceSettings.private(port=0)) as push:
        app = await push.registrations.add("contoso.walk", "")
        hub = await push.hubs.add("walk", "contoso.walk", "")
        strings = {right: write_connection_string(push.url, KEY_NAMES[right], key) for right, key in hub.keys.items()}
        async with (
            open_hub_pusher("walk", strings[Right.SEND], recurring=RepeatLog()) as pusher,
            open_calling_service(folder / "calling", CallingSettings.private(), pusher=pusher) as calling,
        ):
            await calling.users.add("ann", "Ann")
            await calling.users.add("bob", "Bob")
            for name, value in {
                "PUSH_SERVICE": push.url,
                "REMOTE_ID": app.remote_id,
                "HUB_NAME": "walk",
                "HUB_LISTEN": strings[Right.LISTEN],
                "CALLING_SERVICE": calling.url,
                "CALL_TOKEN": calling.users.issue_token("ann")[0],
            }.items():
                monkeypatch.setenv(name, value)
            yield calling


async def test_the_program_of_the_page_does_all_that_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pieces, one after the other, are a program: it registers, rings with a toast, and accepts and declines by clicks."""
    folders = {name: tmp_path / name for name in ("push", "calling", "walk", "bob")}
    for folder in folders.values():
        folder.mkdir(mode=0o700)
    monkeypatch.chdir(tmp_path)
    desktop, said = WatchedDesktop(), Gathered()
    program: dict[str, Any] = {"__name__": "walk", "print": lambda *words: said.add(" ".join(map(str, words)))}
    async with services(tmp_path, monkeypatch) as service, task_group() as tasks:
        exec(compile(PROGRAM, "docs/calling.md", "exec"), program)  # noqa: S102  # it is the page's
        tasks.start_soon(program["main"], str(folders["walk"]), desktop)
        ann = service.users.named("ann")
        assert ann is not None
        await said.wait_until(lambda: f"calls ring {ann.raw_id}" in said.items)
        assert any(str(line).startswith("registered with the hub until ") for line in said.items)
        token, _ = service.users.issue_token("bob")
        async with CallClient(service.url, app="bob", state=folders["bob"]) as client:
            bob = await client.create_call_agent(CallTokenCredential(token))
            call = await bob.start_call(ann.raw_id)
            await desktop.until("Bob is calling you.")
            await said.wait_until(lambda: any(str(line).startswith("a push: ") for line in said.items))
            desktop.click("Accept", "Bob is calling you.")
            await said.wait_until(lambda: "the call is CONNECTED" in said.items)
            await desktop.until()
            await call.hang_up()
            await said.wait_until(lambda: "the call is DISCONNECTED" in said.items)
            declined = await bob.start_call(ann.raw_id)
            await desktop.until("Bob is calling you.")
            desktop.click("Decline", "Bob is calling you.")
            with anyio.fail_after(PATIENCE):
                assert (await declined.wait_until_ended()).code == 603
            await desktop.until()
            assert declined.state is CallState.DISCONNECTED
        tasks.cancel_scope.cancel()


def test_each_outcome_of_a_push_is_told() -> None:
    """One row for each, and none more."""
    rows = re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(outcome.name for outcome in PushOutcome)


def test_each_end_reason_is_told() -> None:
    """With its category, what it means, and what the bell does."""
    rows = re.findall(r"^\| (\d+)/(\d+) \| (\w+) \| (.*) \| (\w+) \| (?:yes)? ?\|$", PAGE, re.MULTILINE)
    told = {(int(code), int(subcode)): tuple(rest) for code, subcode, *rest in rows}
    assert told == {pair: (each.category, each.meaning, each.bell) for pair, each in END_REASONS.items()}


def test_the_table_of_the_settings_is_up_to_date() -> None:
    """It lists all of them, as they are."""
    assert table(READER) in PAGE
