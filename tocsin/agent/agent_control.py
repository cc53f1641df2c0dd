"""What the ``tocsin`` command may ask an agent over the control socket of its state folder."""

from __future__ import annotations

from pathlib import Path

import anyio
from attrs import asdict

from tocsin.actors.topology import Platform
from tocsin.agent.app_registrations import AppRegistrations
from tocsin.api.own_service import OwnPushService
from tocsin.api.platform_control import PlatformControl, Verb
from tocsin.protocol.arguments import check_app_name
from tocsin.transport.control_socket import Answer

KIND = "agent"
"""What the answer to ``status`` says of itself, in its field ``kind``."""


class AgentControl:
    """Answers the command about an agent: as any platform, and about its life and its apps.

    :param platform: what is asked about.
    :param socket: where apps connect.
    :param service: its own push service, or the URL of the one that it uses.
    :param registrations: those of apps at its own.
    """

    def __init__(
        self, platform: Platform, socket: Path, service: OwnPushService | str, registrations: AppRegistrations
    ) -> None:
        self.replaced = anyio.Event()
        """Set when another agent has asked this one to make way."""
        self._platform = platform
        own = None if isinstance(service, str) else service
        where = {"socket": str(socket), "service": service if own is None else own.url}
        verbs: dict[str, Verb] = dict.fromkeys(registrations.verbs, registrations.perform)
        verbs |= {"replace": self._replace, "forget": self._forget}
        self._control = PlatformControl(platform, KIND, where, own=own, verbs=verbs)
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
        return asdict(await self._platform.forget(app))
