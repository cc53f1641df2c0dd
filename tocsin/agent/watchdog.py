"""Tells the service manager, as often as it wants to hear it, that the agent is well: that its actors go on."""

from __future__ import annotations

import logging

import anyio

from tocsin.actors.topology import Platform
from tocsin.protocol.kernel.liveness import Liveness
from tocsin.transport.service_manager import ServiceManager

AGAIN = 0.05
"""Parts of the manager's patience after which it is looked again where an actor stood still: the turn may be a slow one."""

logger = logging.getLogger(__name__)


async def watch(platform: Platform, manager: ServiceManager) -> None:
    """Tell it at half of its patience, unless an actor stands still; return at once where it does not wait for that.

    A store that cannot be written holds actors up until it can be again. Another process would fare no better with it,
    so that is no reason for silence.
    """
    patience = manager.watchdog
    if patience is None:
        return
    liveness, silent = Liveness(), False
    while True:
        still = liveness.look({name: actor.progress() for name, actor in platform.actors.items()})
        was_silent, silent = silent, bool(still) and platform.store_faults.fault is None
        if not silent:
            manager.tell_alive()
        elif not was_silent:
            logger.error("%s stands still; the service manager hears nothing until it goes on", ", ".join(still))
        await anyio.sleep(patience * (AGAIN if silent else 0.5))
