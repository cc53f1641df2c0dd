"""``tocsin channels`` on stores of platforms and of push services, and where verbs look that are given no folder."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import anyio
import platformdirs
import pytest

from tests.persistence.payloads import payload
from tests.processes import call
from tests.service.registry.kept import kept_apps
from tocsin.cli.table import ago, aligned
from tocsin.persistence.sqlite_store import open_sqlite
from tocsin.persistence.store import Changes, StoredChannel
from tocsin.service.registry.service_store import AppRow, ChannelRow
from tocsin.service.registry.sqlite_service_store import open_store

DAY = 86_400


async def channels(*arguments: str) -> str:
    """Return what the verb prints."""
    code, output, errors = await anyio.to_thread.run_sync(call, "channels", *arguments)
    assert (code, errors) == (0, "")
    return output


async def platform(folder: Path) -> None:
    """Store two channels, of which one has payloads that wait, in each of the ways in which they may."""
    end = time.time() + 30 * DAY + 60
    async with open_sqlite(folder / "platform.db") as store:
        await store.keep_channel(StoredChannel("c1", "mail", "id", "http://secret/1", end))
        await store.keep_channel(StoredChannel("c2", "chat\n", "id", "http://secret/2", end))
        await store.commit(
            Changes(accepted=[payload(1, "c1"), payload(2, "c1"), payload(3, "c1")], parked=[2], gated=[3])
        )


async def test_channels_stand_below_one_another(tmp_path: Path) -> None:
    """With their ends and what waits; no secret is shown, and no app can write a line of its own."""
    await platform(tmp_path)
    assert (await channels("--state", str(tmp_path))).splitlines() == [
        "APP     CHANNEL  ENDS     RENEWED  WAITING",
        "chat\\n  c2       in 30 d  in 29 d  0",
        "mail    c1       in 30 d  in 29 d  3",
    ]
    (line,) = (await channels("--state", str(tmp_path), "--app", "mail", "--json")).splitlines()
    fields = json.loads(line)
    assert (fields["channel"], fields["waiting"], fields["remote_id"]) == ("c1", 3, "id")
    assert "secret" not in line


async def test_uris_are_shown_where_they_are_asked_for(tmp_path: Path) -> None:
    """As lines to copy, or as a field."""
    await platform(tmp_path)
    assert (await channels("--state", str(tmp_path), "--uris")).splitlines()[-1] == "http://secret/1"
    first, _ = (await channels("--state", str(tmp_path), "--uris", "--json")).splitlines()
    assert json.loads(first)["uri"] == "http://secret/2"


async def test_of_a_service_they_are_counted_by_app(tmp_path: Path) -> None:
    """Those that have ended or were revoked are none any more; an app without channels is there."""
    end = time.time() + DAY
    async with open_store(tmp_path) as store:
        await store.save_app(AppRow("id1", "mail", "r1", ""), [])
        await store.save_app(AppRow("id2", "chat", "r2", ""), [], await kept_apps(store))
        for number, (device, expires, revoked) in enumerate(
            [("d1", end, False), ("d1", end, False), ("d2", end, False), ("d3", end, True), ("d4", 1.0, False)]
        ):
            await store.add_channel(ChannelRow(bytes([number]), f"c{number}", "id1", "mail", device, expires, revoked))
    assert (await channels("--state", str(tmp_path))).splitlines() == [
        "APP   CHANNELS  DEVICES",
        "chat  0         0",
        "mail  3         2",
    ]
    assert json.loads(await channels("--state", str(tmp_path), "--app", "mail", "--json")) == {
        "app": "mail",
        "channels": 3,
        "devices": 2,
    }


async def test_no_channel_is_said(tmp_path: Path) -> None:
    """An empty list is a sentence for a person and nothing for a script."""
    async with open_sqlite(tmp_path / "platform.db"):
        pass
    assert await channels("--state", str(tmp_path)) == "No app has a channel.\n"
    assert await channels("--state", str(tmp_path), "--json") == ""


async def test_of_several_folders_the_one_in_use_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent's comes first; one whose process has gone is not in use."""
    monkeypatch.delenv("TOCSIN_STATE", raising=False)
    monkeypatch.setattr(platformdirs, "user_state_path", lambda _: tmp_path)
    for verb, owner in (("agent", 2**22 + 1), ("listen", os.getpid())):
        os.mkdir(tmp_path / verb)  # noqa: PTH102  # a Path would be a blocking one
        await platform(tmp_path / verb)
        (tmp_path / verb / "owner").write_text(f"{owner} of a test")
    async with open_sqlite(tmp_path / "listen" / "platform.db") as store:
        await store.drop_channels(["c1"])
    assert len((await channels("--json")).splitlines()) == 1
    (tmp_path / "listen" / "owner").unlink()
    assert len((await channels("--json")).splitlines()) == 2


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (59.4, "59 s"), (60, "1 min"), (7_200, "2 h"), (30 * DAY, "30 d")]
)
def test_a_span_of_time_has_one_unit(seconds: float, words: str) -> None:
    """The largest that fits."""
    assert ago(seconds) == words


def test_the_last_column_is_not_filled_up() -> None:
    """A line ends with its text."""
    assert aligned(("a", "b"), [("xyz", 1), ("", "two")]) == ["A    B", "xyz  1", "     two"]
