"""``tocsin usage``: what apps have sent and received over the network.

How it is counted is in ``tocsin.protocol.platform.usage``.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import anyio
from attrs import asdict, frozen

from tocsin.cli.command_line import add_verb, whole
from tocsin.cli.state_choice import PLATFORM, add_looked_at_option, looked_at
from tocsin.cli.table import aligned, amount
from tocsin.cli.terminal import show
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.protocol.errors import PlatformUnavailable, PushError
from tocsin.protocol.platform.usage import KEPT_DAYS, DataBudget, NetworkKind, UsageRow, attributed
from tocsin.transport.control_socket import ask

DESCRIPTION = f"""\
List what apps have sent and received over the network, of the last 30 days by default; {KEPT_DAYS} are kept. With --app, each day
of one app.

Counted are channel requests and their answers, payloads with their headers, acknowledgements, and what an app reports itself
(manager.usage.add). What is no app's is listed as that of Tocsin itself. What runs is asked for what it has not stored yet;
of what was killed the last minute may be missing.

A budget is that of the group policy: 'daily_data' and 'daily_metered_data' of policy.toml. The background work of an app that has
used it up waits for the next day; 'tocsin policy show' says where it is from.
"""

EPILOG = """\
examples:
  tocsin usage                                  of 'tocsin agent'
  tocsin usage --app contoso.mail --days 7      each of seven days of one app
  tocsin usage --state ./push-state             of a program's own state folder
  tocsin usage --json                           an object a line, with the fields of Windows' AttributedNetworkUsage
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "usage", "list what apps have sent and received", DESCRIPTION, EPILOG)
    add_looked_at_option(parser)
    parser.add_argument("--app", metavar="A", help="each day of this app")
    words = f"how many days, that of today among them, 1 to {KEPT_DAYS} (default: 30)"
    parser.add_argument("--days", type=whole(1, KEPT_DAYS), default=30, metavar="N", help=words)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


@frozen
class UsageFindings:
    """What was found: the rows of some days, and what an agent says of today."""

    rows: list[UsageRow]
    today: int
    agent: Mapping[str, Any]
    """Empty where none runs."""

    def budget_of(self, app: str) -> DataBudget:
        """Return the budget of an app."""
        of_all = self.agent.get("budget", {})
        return DataBudget(**self.agent.get("budgets", {}).get(app, of_all))

    def is_over(self, app: str) -> bool:
        """Tell whether the background work of an app waits for the next day."""
        return app in self.agent.get("over_budget", ())


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    state = looked_at(arguments.state, PLATFORM)
    found = anyio.run(_find, state, arguments.days, arguments.app)
    fields = _by_day(found, arguments.app) if arguments.app is not None else _by_app(found)
    if arguments.json:
        lines = list(map(json.dumps, fields))
    elif not fields:
        lines = ["Nothing was sent or received."]
    elif arguments.app is not None:
        lines = aligned(("day", "sent", "received", "of it metered"), map(_row_of_day, fields))
    else:
        lines = aligned(_head(found), [_row_of_app(found, each) for each in fields])
    if lines:
        show("\n".join(lines))
    return 0


async def _find(state: Path, days: int, app: str | None) -> UsageFindings:
    try:
        agent = await ask(state, {"verb": "usage"}) or {}
    except PlatformUnavailable:
        raise
    except PushError:  # a push service of the program's own, which knows no apps of devices
        agent = {}
    day = date.fromisoformat(agent["day"]) if agent else datetime.now().astimezone().date()
    today = day.toordinal()
    async with read_sqlite(state / PLATFORM) as store:
        stored = await store.usage(today - days + 1, today, app)
    if agent:  # which knows more of today than is stored
        stored = [row for row in stored if row.day != today]
        told = [UsageRow(today, **row) for row in agent["today"]]
        stored += [row for row in told if app in {None, row.app}]
    return UsageFindings(stored, today, agent)


def _by_app(found: UsageFindings) -> list[dict[str, Any]]:
    """Return what each app has used, the one with the most first."""
    apps = _grouped(found.rows, lambda row: row.app)
    fields = [_fields(app, rows) | _of_today(found, app, rows) for app, rows in apps.items()]
    return sorted(fields, key=lambda each: (-each["bytes_sent"] - each["bytes_received"], each["attribution_id"]))


def _of_today(found: UsageFindings, app: str, rows: Iterable[UsageRow]) -> dict[str, Any]:
    today = {"today": _total(row for row in rows if row.day == found.today)}
    if not found.agent:
        return today
    return today | {"budget": asdict(found.budget_of(app)), "over_budget": found.is_over(app)}


def _by_day(found: UsageFindings, app: str) -> list[dict[str, Any]]:
    """Return what an app has used on each day on which it has, the newest first."""
    days = _grouped(found.rows, lambda row: row.day)
    return [{"day": date.fromordinal(day).isoformat()} | _fields(app, days[day]) for day in sorted(days, reverse=True)]


def _grouped(rows: Iterable[UsageRow], key: Any) -> dict[Any, list[UsageRow]]:
    groups = defaultdict[Any, list[UsageRow]](list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _fields(app: str, rows: Sequence[UsageRow]) -> dict[str, Any]:
    networks = {str(kind): _total(row for row in rows if row.network == kind) for kind in NetworkKind}
    return asdict(attributed(app, rows)) | {"networks": networks}


def _total(rows: Iterable[UsageRow]) -> int:
    return sum(row.sent + row.received for row in rows)


def _row_of_day(fields: dict[str, Any]) -> Sequence[object]:
    metered = fields["networks"]["metered"]
    return fields["day"], *map(amount, (fields["bytes_sent"], fields["bytes_received"], metered))


def _head(found: UsageFindings) -> Sequence[str]:
    return ("app", "sent", "received", "of it metered", "today", *(("budget a day",) if found.agent else ()))


def _row_of_app(found: UsageFindings, fields: dict[str, Any]) -> Sequence[object]:
    metered = fields["networks"]["metered"]
    amounts = map(amount, (fields["bytes_sent"], fields["bytes_received"], metered, fields["today"]))
    return fields["attribution_name"], *amounts, *([_budget_words(found, fields)] if found.agent else [])


def _budget_words(found: UsageFindings, fields: dict[str, Any]) -> str:
    budget = found.budget_of(fields["attribution_id"])
    whole_day = [] if budget.daily is None else [amount(budget.daily)]
    metered = [] if budget.daily_metered is None else [f"{amount(budget.daily_metered)} metered"]
    words = ", ".join(whole_day + metered) or "no limit"
    return f"{words}: used up, background work waits" if fields["over_budget"] else words
