"""Two writers of one PostgreSQL that decide from the same: what each has read is so until both write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import asyncpg

from tests.helpers import PATIENCE

_WAITING = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""


async def raced(url: str, holding: str, *calls: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Hold what all calls have to write, until each of them has read, decided, and waits with its write; then let them go on in their order.

    :param holding: SQL that takes the locks; it is rolled back. Calls that need not wait for each other may then go on in another order.
    :return: what each call has returned or raised, in their order.
    """
    results: list[Any] = [None] * len(calls)

    async def run(number: int) -> None:
        try:
            results[number] = await calls[number]()
        except Exception as failure:  # noqa: BLE001  # it is the result
            results[number] = failure

    link = await asyncpg.connect(url, server_settings={"search_path": "tocsin"})
    try:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                held = link.transaction()
                await held.start()
                await link.execute(holding)
                for number in range(len(calls)):
                    tasks.start_soon(run, number)
                    while await link.fetchval(_WAITING) <= number:  # noqa: ASYNC110  # there is no event for it
                        await anyio.sleep(0.002)
                await held.rollback()
    finally:
        await link.close()
    return results
