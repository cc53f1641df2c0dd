"""The service's time at a node: what the shared store's clock says, followed steadily."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.platform.service_time import FollowedTime
from tocsin.steady import steady
from tocsin.tasks import task_group

ASK_EVERY: Final = 5.0
"""Seconds after which the shared clock is asked; between that, and while it cannot be, the time goes on steadily."""


@asynccontextmanager
async def followed_clock(ask: Callable[[], Awaitable[float]]) -> AsyncIterator[Callable[[], float]]:
    """Follow a shared clock until the block is left.

    :param ask: returns what the shared clock says, in seconds since the epoch.
    :return: what tells the time.
    :raises StateUnavailable: it cannot be asked at first.
    """
    asked = steady()
    time = FollowedTime.heard(await ask(), asked, steady())

    async def follow() -> None:
        while True:
            await anyio.sleep(ASK_EVERY)
            asked = steady()
            with suppress(StateUnavailable):  # which the store tells by itself
                said = await ask()
                time.hear(said, asked, steady())

    async with task_group() as tasks:
        tasks.start_soon(follow, name="following the shared clock")
        try:
            yield lambda: time.at(steady())
        finally:
            tasks.cancel_scope.cancel()
