"""``tocsin usage`` on state folders and beside an agent: sums by app, days of one app, budgets."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.agent.world import world
from tests.processes import call
from tocsin.cli import status
from tocsin.cli.table import amount
from tocsin.persistence.sqlite_store import open_sqlite
from tocsin.protocol.platform.policy import AppRules, Policy
from tocsin.protocol.platform.usage import PLATFORM, NetworkKind, UsageRow

FREE, METERED, UNKNOWN = NetworkKind.FREE, NetworkKind.METERED, NetworkKind.UNKNOWN
TODAY = datetime.now().astimezone().date().toordinal()


async def usage(*arguments: str) -> list[str]:
    """Return the lines that the verb prints."""
    code, output, errors = await anyio.to_thread.run_sync(call, "usage", *arguments)
    assert (code, errors) == (0, "")
    return output.splitlines()


async def keep(folder: Path, *rows: UsageRow) -> None:
    """Store rows."""
    async with open_sqlite(folder / "platform.db") as store:
        await store.keep_usage(rows, 0)


KEPT = (
    UsageRow(TODAY - 40, "mail", FREE, 10**9, 10**9),
    UsageRow(TODAY - 1, "mail", FREE, 1_000, 2_000),
    UsageRow(TODAY - 1, "mail", METERED, 10, 20),
    UsageRow(TODAY, "mail", UNKNOWN, 100, 200),
    UsageRow(TODAY, "chat\n", UNKNOWN, 1_500_000, 0),
    UsageRow(TODAY, PLATFORM, FREE, 5, 0),
)


async def test_apps_stand_below_one_another(tmp_path: Path) -> None:
    """The one with the most first; of thirty days, or of as many as are asked for; no app can write a line of its own."""
    await keep(tmp_path, *KEPT)
    assert await usage("--state", str(tmp_path)) == [
        "APP            SENT    RECEIVED  OF IT METERED  TODAY",
        "chat\\n         1.5 MB  0 B       0 B            1.5 MB",
        "mail           1.1 kB  2.2 kB    30 B           300 B",
        "Tocsin itself  5 B     0 B       0 B            5 B",
    ]
    assert (await usage("--state", str(tmp_path), "--days", "62"))[1].split()[:3] == ["mail", "1.0", "GB"]
    assert (await usage("--state", str(tmp_path), "--days", "1"))[2].split()[:3] == ["mail", "100", "B"]


async def test_of_one_app_the_days_are_listed(tmp_path: Path) -> None:
    """The newest first, those on which nothing went over the network left out."""
    await keep(tmp_path, *KEPT)
    days = [datetime.fromordinal(TODAY - ago).date().isoformat() for ago in (0, 1)]
    assert await usage("--state", str(tmp_path), "--app", "mail") == [
        "DAY         SENT    RECEIVED  OF IT METERED",
        f"{days[0]}  100 B   200 B     0 B",
        f"{days[1]}  1.0 kB  2.0 kB    30 B",
    ]
    assert await usage("--state", str(tmp_path), "--app", "nothing") == ["Nothing was sent or received."]
    assert await usage("--state", str(tmp_path), "--app", "nothing", "--json") == []


async def test_objects_have_the_fields_of_windows(tmp_path: Path) -> None:
    """With what each kind of network has carried; without an agent no budget is known."""
    await keep(tmp_path, *KEPT)
    record = {"attribution_id": "mail", "attribution_name": "mail"}
    _, line, _ = await usage("--state", str(tmp_path), "--json")
    assert json.loads(line) == record | {
        "bytes_sent": 1_110,
        "bytes_received": 2_220,
        "networks": {"free": 3_000, "metered": 30, "unknown": 300},
        "today": 300,
    }
    line, _ = await usage("--state", str(tmp_path), "--json", "--app", "mail")
    assert json.loads(line) == record | {
        "day": datetime.fromordinal(TODAY).date().isoformat(),
        "bytes_sent": 100,
        "bytes_received": 200,
        "networks": {"free": 0, "metered": 0, "unknown": 300},
    }


@pytest.mark.parametrize("days", ["0", "63", "x"])
async def test_only_days_that_are_kept_can_be_asked_for(tmp_path: Path, days: str) -> None:
    """The number is named."""
    code, _, errors = await anyio.to_thread.run_sync(call, "usage", "--state", str(tmp_path), "--days", days)
    assert code == 2
    assert "from 1 to 62" in errors


async def test_an_agent_knows_what_is_not_stored_yet(tmp_path: Path) -> None:
    """It says so at once, with the budgets; an app that is over its own is named there and in the status."""
    async with world(tmp_path) as w, w.connect("contoso.mail") as mail, w.connect("contoso.chat") as chat:
        state = str(tmp_path / "state")
        await mail.usage.add(sent=900_000, received=100_000)
        await chat.usage.add(sent=2_000)
        assert "over_budget" not in await _status(state)
        w.agent.platform.usage.take_policy(
            Policy(daily_data=1_000_000, apps={"contoso.chat": AppRules(daily_data=None, daily_metered_data=500)})
        )
        head, *lines = await usage("--state", state)  # what the connection has to say for itself may be among them
        assert head.split()[-3:] == ["BUDGET", "A", "DAY"]
        words = {line.split()[0]: line.rsplit("  ", 1)[-1] for line in lines}
        assert words["contoso.mail"] == "1.0 MB: used up, background work waits"
        assert words["contoso.chat"] == "1.0 MB, 500 B metered"
        assert words.get("Tocsin", "no limit") == "no limit"
        fields = await by_app(state)
        assert [fields[f"contoso.{app}"]["over_budget"] for app in ("mail", "chat")] == [True, False]
        assert fields["contoso.chat"]["budget"] == {"daily": 1_000_000, "daily_metered": 500}
        assert len(await usage("--state", state, "--app", "contoso.chat")) == 2
        assert (await _status(state))["over_budget"] == ["contoso.mail"]
        code, output, _ = await anyio.to_thread.run_sync(call, "status", "--state", state)
        assert code == 0
        assert "contoso.mail         has used up its data of today" in output
        assert (await w.agent.platform.forget("contoso.mail")).sessions == 1
        assert (await by_app(state)).keys() - {PLATFORM} == {"contoso.chat"}


async def by_app(state: str) -> dict[str, Any]:
    """Return what is listed as objects."""
    fields = [json.loads(line) for line in await usage("--state", state, "--json")]
    return {each["attribution_id"]: each for each in fields}


async def _status(state: str) -> Any:
    _, output, _ = await anyio.to_thread.run_sync(call, "status", "--json", "--state", state)
    return json.loads(output)


def test_an_answer_of_another_form_is_none() -> None:
    """What another program says of apps over their budget has to be a list."""
    with pytest.raises(TypeError):
        status._checked({"status": "ok", "causes": {}, "over_budget": 5})


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (2_345_678, "2.3 MB"), (2**53, "9007.2 TB")]
)
def test_an_amount_has_one_unit(size: int, words: str) -> None:
    """The largest that fits."""
    assert amount(size) == words
