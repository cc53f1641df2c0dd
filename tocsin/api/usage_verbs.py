"""What ``tocsin usage`` asks a running platform: what was counted today, of which not all is stored yet, and the budgets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from functools import partial

from attrs import asdict

from tocsin.actors.usage_meter import UsageMeter
from tocsin.transport.control_socket import Answer


def usage_verbs(meter: UsageMeter) -> dict[str, Callable[[Answer], Awaitable[Answer]]]:
    """Return what answers the verb."""
    return {"usage": partial(_usage, meter)}


async def _usage(meter: UsageMeter, _: Answer) -> Answer:
    today = await meter.today()
    rows = [{"app": row.app, "network": row.network, "sent": row.sent, "received": row.received} for row in today.rows]
    return {
        "day": date.fromordinal(today.day).isoformat(),
        "today": rows,
        "over_budget": sorted(today.over_budget),
        "budget": asdict(today.budget),
        "budgets": {app: asdict(budget) for app, budget in today.budgets.items()},
    }
