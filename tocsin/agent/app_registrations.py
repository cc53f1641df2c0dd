"""The registrations of apps at the agent's own push service: one for each app, however many processes it has."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import anyio
from attrs import astuple, evolve

from tocsin.actors.topology import Platform
from tocsin.api.own_service import OwnPushService
from tocsin.protocol import messages as m
from tocsin.protocol.errors import Busy
from tocsin.transport.control_socket import Answer

MAX_APPS = 1_024
"""Apps that are registered at a time; for one more, some are forgotten that are of no use to any process."""

FORGOTTEN_AT_ONCE = 64
"""How many are forgotten then, so that an app that greets does not wait for more."""


class AppRegistrations:
    """Registers apps as they come; ``service`` is None where the agent uses another, which knows its apps."""

    def __init__(self, service: OwnPushService | None, platform: Platform) -> None:
        self._service = service
        self._platform = platform
        self._known: dict[str, m.OwnService] = {}
        self._turn = anyio.Lock()

    async def of(self, app: str, family: str) -> m.OwnService | None:
        """Return that of an app that has a session; None where the agent uses another service.

        :raises Busy: as many are registered as may be, and each holds something, or has a session.
        :raises StateUnavailable: it could not be stored.
        """
        service = self._service
        if service is None:
            return None
        async with self._turn:
            if app not in self._known:
                if app not in service.apps():
                    await self._make_room(service)
                self._known[app] = m.OwnService(*astuple(await service.register(app)))
            await service.set_family(app, family)
            return self._known[app]

    @property
    def verbs(self) -> AbstractSet[str]:
        """What the command may ask about the apps and hubs of the agent's own service."""
        return frozenset() if self._service is None else self._service.verbs

    async def perform(self, request: Answer) -> Answer:
        """Do one of :attr:`verbs`; sessions that begin from then on have a secret that is good as long as any.

        :raises PushError: it cannot be done; the sentence says why.
        """
        assert self._service is not None  # noqa: S101  # else there are no verbs
        if request["verb"] not in {"rotate", "remove"}:
            return await self._service.perform(request)
        async with self._turn:
            answer = await self._service.perform(request)
            known = self._known.pop(str(request["name"]), None)
            if known is not None and request["verb"] == "rotate":
                self._known[answer["name"]] = evolve(known, client_secret=answer["client_secret"])
            return answer

    async def _make_room(self, service: OwnPushService) -> None:
        """Forget some that are of no use, where there are as many as may be: those of earlier agents before others."""
        registered = service.apps()
        if len(registered) < MAX_APPS:
            return
        holders = await self._platform.holders()
        # Sessions after that: what has one meanwhile is registered anew, in its turn behind this one.
        unused = registered - holders - self._platform.sessions.apps()
        if not unused:
            text = f"{len(registered)} apps hold channels or triggers here, or are connected: the agent takes no more"
            raise Busy(f"{text} until one of them lets go")
        for other in sorted(unused, key=lambda name: (name in self._known, name))[:FORGOTTEN_AT_ONCE]:
            self._known.pop(other, None)
            await service.forget(other)
