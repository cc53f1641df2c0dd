"""Regular removal of channels and notifications that have ended, also where no client asks for them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio

from tocsin.protocol.errors import StateUnavailable
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.offline_queues import OfflineQueues
from tocsin.service.hub.hub_service import HubService
from tocsin.service.registry.channels import Channels
from tocsin.tasks import task_group

EVERY = 3_600.0
"""Seconds from one look to the next."""

logger = logging.getLogger(__name__)


@asynccontextmanager
async def pruning(channels: Channels, offline: OfflineQueues, devices: Devices, hub: HubService) -> AsyncIterator[None]:
    """Prune regularly until the block is left."""
    async with task_group() as tasks:
        tasks.start_soon(_prune, [channels.prune, offline.prune, devices.prune, hub.prune], name="pruning")
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


async def _prune(those: Sequence[Callable[[], Awaitable[None]]]) -> None:
    said: set[str] = set()  # what has gone wrong since all went well
    while True:
        await anyio.sleep(EVERY)
        faults = {fault for prune in those if (fault := await _fault_of(prune))}
        for fault in sorted(faults - said):
            logger.warning("what has ended stays in the store for now, and is looked for again each hour: %s", fault)
        said = said | faults if faults else set()


async def _fault_of(prune: Callable[[], Awaitable[None]]) -> str:
    """Prune, and tell what went wrong: in words where it is the store, with a traceback where it is a fault of ours."""
    try:
        await prune()
    except StateUnavailable as failure:
        return str(failure)
    except Exception:  # noqa: BLE001  # it must not end the service, and is logged
        return traceback.format_exc()
    return ""
