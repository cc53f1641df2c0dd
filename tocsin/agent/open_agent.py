"""The agent: a platform whose apps are processes of their own."""

from __future__ import annotations

import socket as sockets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from attrs import frozen

from tocsin.actors.lifecycle import open_platform
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.actors.topology import Platform
from tocsin.agent.agent_control import KIND, AgentControl
from tocsin.agent.app_registrations import AppRegistrations
from tocsin.agent.idle_exit import idle
from tocsin.agent.launcher import Launcher
from tocsin.agent.session_door import SessionDoor
from tocsin.agent.sessions_file import SessionsFile, processes_before
from tocsin.agent.takeover import take_over
from tocsin.agent.unifiedpush.distributor import open_distributor
from tocsin.agent.watchdog import watch
from tocsin.agent.work_watch import WorkWatch
from tocsin.api.own_service import OwnPushService, device_url_of, own_service
from tocsin.host.policy_files import default_policy
from tocsin.host.promises import HostParts
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.platform.activation import KILL_AFTER
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.repeat_log import INTERVAL, RepeatLog
from tocsin.shell.desktop import Desktop
from tocsin.tasks import apart, task_group
from tocsin.transport.control_socket import serving_control
from tocsin.transport.service_manager import ServiceManager
from tocsin.transport.unix_server import is_served, serving_unix
from tocsin.transport.websocket_wire import dial_websocket

AT_ONCE = 600
"""Sockets that are served at a time: those of sessions, and some that are only being greeted or refused."""

HINT = "it is an agent: apps reach it by tocsin.connect() instead of embedded(), and 'tocsin agent --replace' takes its place"


@frozen
class Agent:
    """A running agent."""

    platform: Platform
    socket: Path
    """Where apps connect."""
    service: OwnPushService | None
    """Its own push service; None where it uses another."""
    replaced: anyio.Event
    """Set when another agent has asked this one to make way: it is to end."""
    _close: Callable[[], None]
    _launcher: Launcher

    async def log_off(self) -> None:
        """Cancel all work, as the session of the user ends, and wait for its end, and for that of processes that are ended."""
        await self.platform.log_off()
        with anyio.move_on_after(KILL_AFTER + 0.5):
            await self._launcher.has_stopped()

    async def idle(self, seconds: float) -> None:
        """Return when no session was open, and no app held a channel or a trigger, for so many seconds.

        From that moment on no app is let in: it finds no agent, and not one that is about to end.
        """
        await idle(self.platform, seconds)
        self._close()

    async def watch(self, manager: ServiceManager) -> None:
        """Tell the service manager, as often as it wants to hear it, that the agent is well."""
        await watch(self.platform, manager)


@apart
@asynccontextmanager
async def open_agent(  # noqa: PLR0913  # what is optional has a name
    state: Path,
    socket: Path,
    service: str | None = None,
    *,
    port: int = 0,
    replace: bool = False,
    inherited: sockets.socket | None = None,
    desktop: Desktop | None = None,
    pictures: Sequence[Path] = (),
    host: HostParts | None = None,
    unifiedpush: bool = False,
) -> AsyncIterator[Agent]:
    """Run an agent; apps that are running go on without it when it ends, and come back to the next.

    :param state: the folder for channels, inbox and activators; one that :func:`tocsin.embedded` has used is gone on with.
    :param socket: where apps connect, an absolute path; its folder is made where it is missing, private to the user.
    :param service: the URL of a push service; None runs one here, on loopback.
    :param port: the port for the service that runs here; 0 takes the one that it had before, or any.
    :param replace: have the agent that runs on the state folder end first; apps go on, and come to this one.
    :param inherited: a socket that was passed to this process, and listens there already.
    :param desktop: where toasts are shown, and links of toasts are opened; None where only handlers of apps get toasts.
    :param pictures: folders whose pictures toasts may show.
    :param host: what tells of the machine, and of its policy; by default the policy files of this machine.
    :param unifiedpush: whether apps of the desktop may register over the session bus, as with a distributor of UnifiedPush.
    :raises InvalidArgument: the URL is none.
    :raises NotSupported: the service that was to run here is not installed, or what the push subscriptions of this device need is not.
    :raises StateUnavailable: the state folder cannot be used, or another process has it; with ``replace``, it was written by a newer
        version.
    :raises PlatformUnavailable: another agent serves on the socket, or it cannot be made, or the port is in use.
    """
    foreign = None if service is None else device_url_of(service)
    async with AsyncExitStack() as stack:
        if replace:
            await take_over(state)
        folder = stack.enter_context(state_folder(state, HINT))
        if inherited is None:
            await _prepare(socket)
        own = await stack.enter_async_context(own_service(folder, port)) if foreign is None else None
        purposes = [LaunchPurpose.PUSH, *([] if desktop is None else [LaunchPurpose.TOAST])]
        returning = ReturningProcesses(await anyio.to_thread.run_sync(processes_before, folder), purposes)
        dial = partial(dial_websocket, own.device_url if own is not None else str(foreign))
        platform = await stack.enter_async_context(
            open_platform(
                folder,
                dial,
                launches=True,
                desktop=desktop,
                opens_links=desktop is not None,
                pictures=pictures,
                host=host or HostParts(policy=default_policy()),
                returning=returning,
            )
        )
        assert platform.launcher is not None  # noqa: S101  # it was asked for
        log = RepeatLog()
        supervisor = platform.actors["supervisor"].mailbox
        launcher = Launcher(platform.launcher, supervisor, platform.sessions, socket, shell=platform.shell)
        registrations = AppRegistrations(own, platform)
        file = SessionsFile(folder, returning)
        door = SessionDoor(platform, registrations.of, log, partial(_meet, file, launcher), returning.left)
        stack.callback(log.close)
        serving = serving_unix(socket, door.serve, at_once=AT_ONCE, what="an app", inherited=inherited)
        let_no_more_in = await stack.enter_async_context(serving)

        def close() -> None:
            let_no_more_in()
            door.close()

        distributor = None
        if unifiedpush:
            distributor = await stack.enter_async_context(open_distributor(platform, folder, log))
        control = AgentControl(platform, socket, own or str(service), registrations, distributor)
        await stack.enter_async_context(serving_control(folder, control.perform, KIND))
        # The launcher ends before the door: what comes back from sessions that end then is nothing to launch for.
        async with task_group() as tasks:
            tasks.start_soon(launcher.run)
            tasks.start_soon(returning.run)
            tasks.start_soon(file.run)
            tasks.start_soon(_sweep, log)
            tasks.start_soon(WorkWatch(platform.sessions.work, launcher.launched, supervisor).run)
            try:
                yield Agent(platform, socket, own, control.replaced, close, launcher)
            finally:
                close()
            tasks.cancel_scope.cancel()


async def _meet(file: SessionsFile, launcher: Launcher, session: str, app: str, pid: int) -> None:
    """Note who has come, for the next agent too: before an app is given what this one may not live to hear of."""
    if pid:
        launcher.meet(session, pid)
    await file.meet(session, app, pid)


async def _prepare(socket: Path) -> None:
    """Make the folder of the socket, and see that no other agent serves there."""
    try:
        await anyio.Path(socket.parent).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as failure:
        raise PlatformUnavailable(f"{socket.parent} cannot be made: {failure.strerror or failure}") from failure
    if await is_served(socket):
        raise PlatformUnavailable(f"an agent serves on {socket} already; give this one another --socket")


async def _sweep(log: RepeatLog) -> None:
    while True:
        await log.to_sweep.wait()  # an agent that has nothing to say is not woken for it
        await anyio.sleep(INTERVAL)
        log.sweep()
