"""What has ended does not stay for ever, also where nobody asks for it any more."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from tocsin.service.channels import Channels
from tocsin.service.offline import Offline
from tocsin.tasks import task_group

EVERY = 3_600.0
"""Seconds from one look to the next."""

logger = logging.getLogger(__name__)


@asynccontextmanager
async def pruning(channels: Channels, offline: Offline) -> AsyncIterator[None]:
    """Prune regularly until the block is left."""
    async with task_group() as tasks:
        tasks.start_soon(_prune, channels, offline, name="pruning")
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


async def _prune(channels: Channels, offline: Offline) -> None:
    while True:
        await anyio.sleep(EVERY)
        for prune in (channels.prune, offline.prune):
            try:
                await prune()
            except Exception:
                logger.warning("what has ended stays in the store for an hour more", exc_info=True)
