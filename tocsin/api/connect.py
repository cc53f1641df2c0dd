"""The platform in the agent of this user: the app's session over its socket."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from attrs import astuple

from tocsin.api.activated import LAUNCHED, LaunchedFor, claim_in
from tocsin.api.identity import Identity, read_manifest
from tocsin.api.launch_command import Words, command_of_app
from tocsin.api.manager import PushNotificationManager
from tocsin.api.one_task import in_one_task
from tocsin.api.registration import Registration
from tocsin.api.session import Session
from tocsin.api.session_lifetime import open_session
from tocsin.persistence.paths import read_path
from tocsin.protocol.arguments import check_app_name
from tocsin.protocol.errors import InvalidArgument, NotSupported, PlatformUnavailable
from tocsin.protocol.kernel.scoped import scoped
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.toasts.notifier import notifying
from tocsin.tasks import apart, task_group
from tocsin.transport.agent_port import AgentPort
from tocsin.transport.agent_socket import default_socket, fault_of_path, starting_command
from tocsin.transport.frame_stream import StreamBroken

PARTING = 1.0
"""Seconds that the last outcomes may take to the agent when the block is left."""

LAUNCHED_PARTING = 10.0
"""The same for a process that was launched, for which no user waits: without them, another would begin its work again. An agent that
follows another waits as long for the process."""


@in_one_task
@asynccontextmanager
async def connect(
    app: str,
    socket: Path | str | None = None,
    *,
    manifest: Path | str | None = None,
    command: Words | None = None,
    memory_limit: int = 0,
) -> AsyncIterator[PushNotificationManager]:
    """Use push through the agent of this user, which holds channels, inbox and activators while the app is not running.

    Where the agent goes away, such as for an upgrade, handlers go on, and the connection is made again. A cancellation
    ends the block as that of :func:`tocsin.embedded` does; handlers may finish (0.5 s).

    :param app: the name of the app, such as ``contoso.mail``; printable, 1 to 128 characters.
    :param socket: the socket of the agent; by default the one that ``TOCSIN_SOCKET`` names, else that in the user's
        runtime folder.
    :param manifest: the ``tocsin.toml`` of a packaged app; None for an unpackaged one.
    :param command: what a push starts while an unpackaged app is not running, as a list of words; by default what has
        started this process (``sys.orig_argv``), in the present working folder.
    :param memory_limit: bytes of memory that a process may have which a push has started, with all that it has started itself;
        0 for no limit. Work that goes on above it is cancelled (``RESOURCE_REVOCATION``). On Linux only.
    :raises InvalidArgument: an argument cannot be right, or ``command`` is needed: this process was not started by a
        command that could be repeated.
    :raises NotSupported: agent and app speak different versions, or the system has no Unix sockets.
    :raises PlatformUnavailable: no agent listens on the socket; the text says how to start one.
    """
    check_app_name(app)
    path = default_socket() if socket is None else read_path(socket, "a socket")
    if manifest is None:
        identity, given = Identity(), command_of_app(command, memory_limit)
        command_of = lambda _: given  # noqa: E731  # the command of then, whatever the class
    elif command is not None:
        raise InvalidArgument("a packaged app is started by the commands of its manifest, and by no other")
    else:
        identity = read_manifest(read_path(manifest, "a manifest"))
        command_of = partial(command_of_app, memory_limit=memory_limit)
    _check_system()
    async with _session(app, path, identity.family_name) as (session, port):
        service = port.own_service
        registration = None if service is None else Registration(*astuple(service))
        manager = PushNotificationManager(session, app, registration, identity, command_of)
        clicks = session.toast_clicks
        launched = LaunchedFor(session.launched, clicks if clicks.launched is not None else None)
        with scoped(LAUNCHED, launched), notifying(manager.toasts):
            yield manager


@asynccontextmanager
async def _session(app: str, path: Path, family: str) -> AsyncIterator[tuple[Session, AgentPort]]:
    claims = claim_in(sys.argv), claim_in(sys.argv, LaunchPurpose.TOAST)
    parting = LAUNCHED_PARTING if any(claims) else PARTING
    async with _open_port(app, path, family, parting) as port, open_session(port, *claims) as session:
        yield session, port


@apart
@asynccontextmanager
async def _open_port(app: str, path: Path, family: str, parting: float) -> AsyncIterator[AgentPort]:
    """Connect to the agent; on leaving, what is to be sent is sent."""
    port = AgentPort(path, app, family)
    try:
        async with port.connected() as (frames, early), task_group() as tasks:
            tasks.start_soon(partial(port.carry, frames, early), name=f"port of {app}")
            try:
                yield port
            finally:
                await port.finish(parting)
                tasks.cancel_scope.cancel()
    except StreamBroken as broken:
        fault = fault_of_path(path)
        advice = f"name another socket: {fault}" if fault else f"'{starting_command(path)}' starts one"
        raise PlatformUnavailable(f"{broken}; {advice}") from None


def _check_system() -> None:
    if sys.platform == "win32":
        raise NotSupported("the agent runs on POSIX systems only, so far; tocsin.embedded() runs here")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise NotSupported("connect() runs on asyncio (or uvloop)") from None
