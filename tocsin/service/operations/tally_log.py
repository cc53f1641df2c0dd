"""Tells operators once a minute, at info, what the tally has counted; of a minute in which nothing happened nothing."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio

from tocsin.protocol.service.tally import Asked, Asker, Minute, MinuteTally, Refusals
from tocsin.protocol.text import quoted
from tocsin.service.operations.logs import with_fields
from tocsin.tasks import task_group

_NOUNS: Final = {
    Asked.NOTIFICATION: "notifications",
    Asked.TOKEN: "token requests",
    Asked.HUB: "requests to hubs",
    Asked.CHANNEL: "requests for channels",
    Asked.CONNECTION: "connections",
}

logger = logging.getLogger(__name__)


class TallyLog:
    """Puts into words what has happened.

    :param name_of: returns the name of the app with that client id; None where there is none.
    :param connected: returns how many devices are connected.
    """

    def __init__(self, name_of: Callable[[str], str | None], connected: Callable[[], int]) -> None:
        self._name_of = name_of
        self._connected = connected

    def tell(self, minute: Minute) -> None:
        """Log a minute: a line for the devices, and one for each reason of refusals."""
        seconds = round(minute.seconds)
        if minute.came or minute.went:
            self._tell_devices(seconds, minute.came, minute.went)
        for refusals in minute.refusals:
            self._tell_refusals(seconds, refusals)

    def _tell_devices(self, seconds: int, came: int, went: int) -> None:
        connected = self._connected()
        logger.info(
            "devices in %d s: %d came, %d went, %d are connected",
            *(seconds, came, went, connected),
            extra=with_fields("devices", seconds=seconds, came=came, went=went, connected=connected),
        )

    def _tell_refusals(self, seconds: int, refusals: Refusals) -> None:
        named = [self._described(*entry) for entry in refusals.named]
        words = [_words(**entry) for entry in named]
        if refusals.others:
            words.append(f"{refusals.others} from others")
        logger.info(
            "%s refused in %d s, %s: %d (%s)",
            *(_NOUNS[refusals.asked], seconds, refusals.reason, refusals.count, ", ".join(words)),
            extra=with_fields(
                "refusals",
                seconds=seconds,
                asked=refusals.asked.value,
                reason=refusals.reason,
                count=refusals.count,
                named=named,
                others=refusals.others,
            ),
        )

    def _described(self, asker: Asker, count: int) -> dict[str, Any]:
        return {
            "app": self._name_of(asker.client_id),
            "client_id": asker.client_id or None,
            "address": asker.address or None,
            "count": count,
        }


def _words(app: str | None, client_id: str | None, address: str | None, count: int) -> str:
    of = f" of {quoted(app)}" if app else f" of {client_id}, which is no longer registered," if client_id else ""
    return f"{count}{of} from {address or 'an unknown address'}"


@asynccontextmanager
async def telling(tally: MinuteTally, log: TallyLog) -> AsyncIterator[None]:
    """Tell once a minute what has happened, until the block is left, and then the rest."""

    def tell() -> None:
        minute = tally.take(anyio.current_time())
        if minute is not None:
            log.tell(minute)

    async def run() -> None:
        while True:
            await anyio.sleep(tally.wait(anyio.current_time()))
            tell()

    async with task_group() as tasks:
        tasks.start_soon(run, name="telling of each minute")
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()
            tell()
