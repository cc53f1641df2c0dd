"""What the ``tocsin`` command may ask a running platform, over the control socket of its state folder."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
from attrs import asdict

from tocsin import __version__
from tocsin.actors.topology import Platform
from tocsin.api.dead_letter_verbs import dead_letter_verbs
from tocsin.api.own_service import OwnPushService
from tocsin.api.policy_verbs import policy_verbs
from tocsin.api.usage_verbs import usage_verbs
from tocsin.protocol.errors import NotSupported, PlatformUnavailable
from tocsin.protocol.text import quoted
from tocsin.tasks import apart
from tocsin.transport.control_socket import Answer, Stream, serving_control

PROGRAM = "program"
"""What the answer to ``status`` says in its field ``kind`` where a program embeds the platform."""

Verb = Callable[[Answer], Awaitable[Answer | Stream]]


class AskedProgram:
    """What answers the command about a program: its platform, once there is one and while it is."""

    def __init__(self) -> None:
        self._control: PlatformControl | None = None
        self._has_begun = anyio.Event()

    @contextmanager
    def answered_by(self, platform: Platform, app: str, service: OwnPushService | str) -> Iterator[None]:
        """Have commands answered, those that wait too, while the block runs.

        :param app: the app that the program is.
        :param service: the push service that runs here, whose apps and hubs may be asked about too, or the URL of another one.
        """
        own = None if isinstance(service, str) else service
        where: Answer = (
            {"app": app, "service": service} if own is None else {"app": app, "service": own.url, "page": own.page}
        )
        self._control = PlatformControl(platform, PROGRAM, where, own=own)
        self._has_begun.set()
        try:
            yield
        finally:
            self._control = None

    async def perform(self, request: Answer) -> Answer | Stream:
        """Do what is asked, once there is a platform.

        :raises PushError: it cannot be done; the sentence says why.
        """
        await self._has_begun.wait()
        if self._control is None:
            raise PlatformUnavailable("the program is about to end")
        return await self._control.perform(request)


@apart
@asynccontextmanager
async def asked_by_command(state: Path) -> AsyncIterator[AskedProgram]:
    """Let the command ask a program that embeds a platform, while the block runs.

    Enter it before the platform connects: the block that a program has must begin in the same turn of the event loop as the
    platform, or its handlers miss what becomes of the first connection.
    """
    asked = AskedProgram()
    # A program is about something else than the command: that a system has no such sockets is no warning to it.
    async with serving_control(state, asked.perform, PROGRAM, level=logging.INFO):
        yield asked


class PlatformControl:
    """Answers the command about a platform; what is asked is a JSON object with the field ``verb``.

    :param kind: what it is that answers, such as "agent".
    :param where: what the answer to ``status`` says of where it is; its field ``service`` is the URL of the push service,
        ``page`` that of the page of one that is asked about too.
    :param own: the push service that runs beside it and is asked about by the same socket.
    :param verbs: what may be asked besides.
    :param beside: returns what the answer to ``status`` says besides.
    """

    def __init__(  # noqa: PLR0913  # what is optional has a name
        self,
        platform: Platform,
        kind: str,
        where: Answer,
        *,
        own: OwnPushService | None = None,
        verbs: Mapping[str, Verb] | None = None,
        beside: Callable[[], Answer] = dict,
    ) -> None:
        self._platform = platform
        self._kind = kind
        self._where = where
        self._own = own
        self._beside = beside
        self._began = platform.kernel.clock.monotonic()
        self._verbs: dict[str, Verb] = {
            "status": self._status,
            "tail": self._tail,
            **dead_letter_verbs(platform.operator_desk),
            **policy_verbs(platform.host_owner),
            **usage_verbs(platform.usage),
            **({} if own is None else dict.fromkeys(own.verbs, own.perform)),
            **(verbs or {}),
        }

    def identity(self) -> Answer:
        """Say what answers."""
        return {"kind": self._kind, "pid": os.getpid(), "version": __version__}

    async def perform(self, request: Answer) -> Answer | Stream:
        """Do what is asked.

        :raises NotSupported: what answers does not know how to.
        :raises PushError: it cannot be done; the sentence says why.
        """
        verb = request.get("verb")
        known = self._verbs.get(verb) if isinstance(verb, str) else None
        if known is None:
            words = f"this {self._kind} does not know how to {quoted(verb)}"
            if self._own is None:
                words += f"; apps and hubs are registered with its push service, {self._where['service']}"
            raise NotSupported(words)
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
        if self._own is not None:
            report = self._own.report()
            causes |= {f"service_{name}": words for name, words in report.causes.items()}
            counters, now = counters | report.counters, now | report.gauges
        of_apps = dict(Counter(app for name in sessions.names() if (app := sessions.app_of(name)) is not None))
        health = {"status": "unavailable" if causes else "ok", "causes": causes, "counters": counters, "now": now}
        machine = {"host": self._platform.host_owner.report()}
        return (
            self.identity()
            | self._where
            | health
            | {"sessions": of_apps}
            | self._over_budget()
            | self._desktop()
            | machine
            | self._beside()
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
        """Tell what becomes of payloads; before that, what their senders are told, where the service is asked too."""
        others = [] if self._own is None else [self._own.followers]
        return Stream(self._platform.watch.followers.events(request, *others))
