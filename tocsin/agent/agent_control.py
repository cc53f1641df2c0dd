"""What the ``tocsin`` command may ask an agent over the control socket of its state folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from attrs import asdict

from tocsin import __version__
from tocsin.actors.topology import Platform
from tocsin.agent.dead_letter_verbs import dead_letter_verbs
from tocsin.agent.policy_verbs import policy_verbs
from tocsin.agent.usage_verbs import usage_verbs
from tocsin.protocol.arguments import check_app_name
from tocsin.protocol.errors import NotSupported
from tocsin.protocol.text import quoted
from tocsin.transport.control_socket import Answer, Stream

KIND = "agent"
"""What the answer to ``status`` says of itself, in its field ``kind``."""


class AgentControl:
    """Answers the command; what is asked is a JSON object with the field ``verb``.

    :param platform: what is asked about.
    :param socket: where apps connect.
    :param service: the URL of the push service.
    """

    def __init__(self, platform: Platform, socket: Path, service: str) -> None:
        self.replaced = anyio.Event()
        """Set when another agent has asked this one to make way."""
        self._platform = platform
        self._where = {"socket": str(socket), "service": service}
        self._began = platform.kernel.clock.monotonic()
        self._verbs: dict[str, Callable[[Answer], Awaitable[Answer | Stream]]] = {
            "status": self._status,
            "tail": self._tail,
            "replace": self._replace,
            **dead_letter_verbs(platform.operator_desk),
            **policy_verbs(platform.host_owner),
            **usage_verbs(platform.usage),
            "forget": self._forget,
        }

    async def perform(self, request: Answer) -> Answer | Stream:
        """Do what is asked.

        :raises NotSupported: this agent does not know how to.
        """
        verb = request.get("verb")
        known = self._verbs.get(verb) if isinstance(verb, str) else None
        if known is None:
            raise NotSupported(f"this agent does not know how to {quoted(verb)}")
        return await known(request)

    async def _status(self, _: Answer) -> Answer:
        """Say how it is, in the form of a service's health report."""
        status, sessions = self._platform.status(), self._platform.sessions
        causes = {} if status.store_fault is None else {"store": status.store_fault}
        if not status.connection.connected:
            causes["connection"] = status.connection.text or "there is no connection to the push service yet"
        policy = self._platform.host_owner.parts.policy
        if policy is not None and policy.faults:
            causes["policy"] = policy.faults[0]
            if len(policy.faults) > 1:
                causes["policy"] += f" (and {len(policy.faults) - 1} more: 'tocsin policy show' lists them)"
        now = {
            "uptime": int(self._platform.kernel.clock.monotonic() - self._began),
            "apps_connected": len(sessions.apps()),
            "sessions_open": len(sessions.names()),
            "followers": len(self._platform.watch.followers),
            "frames_waiting": sum(mailbox.depth for mailbox in status.mailboxes),
        }
        counters = {
            "sessions_begun": sessions.arrivals,
            "frames": sum(mailbox.handled for mailbox in status.mailboxes),
            "bad_frames": sum(mailbox.dead for mailbox in status.mailboxes),
        }
        of_apps = dict(Counter(app for name in sessions.names() if (app := sessions.app_of(name)) is not None))
        health = {"status": "unavailable" if causes else "ok", "causes": causes, "counters": counters, "now": now}
        machine = {"host": self._platform.host_owner.report()}
        return (
            self._identity()
            | self._where
            | health
            | {"sessions": of_apps}
            | self._over_budget()
            | self._desktop()
            | machine
        )

    def _over_budget(self) -> Answer:
        """Say which apps have used up their data of today; nothing where none has."""
        over = sorted(self._platform.usage.over_budget)
        return {"over_budget": over} if over else {}

    def _desktop(self) -> Answer:
        """Say what shows toasts; nothing where nothing does."""
        calls = self._platform.desktop_calls
        return {} if calls is None else {"desktop": asdict(calls.standing)}

    async def _tail(self, request: Answer) -> Stream:
        return Stream(self._platform.watch.followers.events(request))

    async def _replace(self, _: Answer) -> Answer:
        self.replaced.set()
        return self._identity()

    async def _forget(self, request: Answer) -> Answer:
        """Remove the app that the field ``app`` names."""
        app = request.get("app")
        check_app_name(app)
        assert isinstance(app, str)  # noqa: S101  # it has been checked
        return asdict(await self._platform.forget(app))

    def _identity(self) -> Answer:
        return {"kind": KIND, "pid": os.getpid(), "version": __version__}
