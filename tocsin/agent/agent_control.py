"""What the ``tocsin`` command may ask an agent over the control socket of its state folder."""

from __future__ import annotations

from pathlib import Path

import anyio
from attrs import asdict

from tocsin.actors.topology import Platform
from tocsin.agent.app_registrations import AppRegistrations
from tocsin.agent.unifiedpush.distributor import Distributor
from tocsin.api.own_service import OwnPushService
from tocsin.api.platform_control import PlatformControl, Verb
from tocsin.protocol.arguments import check_app_name
from tocsin.protocol.platform.power import is_unified_push
from tocsin.transport.control_socket import Answer

KIND = "agent"
"""What the answer to ``status`` says of itself, in its field ``kind``."""


class AgentControl:
    """Answers the command about an agent: as any platform, and about its life and its apps.

    :param platform: what is asked about.
    :param socket: where apps connect.
    :param service: its own push service, or the URL of the one that it uses.
    :param registrations: those of apps at its own.
    :param distributor: serves UnifiedPush; None where the agent does not.
    """

    def __init__(
        self,
        platform: Platform,
        socket: Path,
        service: OwnPushService | str,
        registrations: AppRegistrations,
        distributor: Distributor | None = None,
    ) -> None:
        self.replaced = anyio.Event()
        """Set when another agent has asked this one to make way."""
        self._platform, self._distributor = platform, distributor
        own = None if isinstance(service, str) else service
        where = {"socket": str(socket), "service": service if own is None else own.url}
        verbs: dict[str, Verb] = dict.fromkeys(registrations.verbs, registrations.perform)
        verbs |= {"replace": self._replace, "forget": self._forget}
        self._control = PlatformControl(platform, KIND, where, own=own, verbs=verbs, beside=self._unifiedpush)
        self.perform = self._control.perform
        """Does what is asked."""

    async def _replace(self, _: Answer) -> Answer:
        self.replaced.set()
        return self._control.identity()

    async def _forget(self, request: Answer) -> Answer:
        """Remove the app that the field ``app`` names."""
        app = request.get("app")
        check_app_name(app)
        assert isinstance(app, str)  # noqa: S101  # it has been checked
        if self._distributor is not None and is_unified_push(app):
            await self._distributor.remove(app)
            return {"registrations": 1}
        return asdict(await self._platform.forget(app))

    def _unifiedpush(self) -> Answer:
        """Say what is registered by UnifiedPush; nothing where the agent does not serve it."""
        return {} if self._distributor is None else {"unifiedpush": self._distributor.report()}
