"""What is forked in the run of kills: the push service, the agent, connected apps, and what registers the launched ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import anyio

from tests.e2e.agent_kills import woken
from tests.e2e.agent_kills.woken import Folder, Journal
from tests.e2e.crash.victims import Pipe, Registered
from tests.e2e.crash.web_push import Reached
from tocsin import PushNotificationChannel, PushNotificationManager, connect
from tocsin import PushNotificationReceivedEventArgs as Args
from tocsin.agent import open_agent
from tocsin.persistence.state_folder import state_folder
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service

MARKER = "PYTHON_TOCSIN_KILLS"
"""The variable that names the folder of the run in all launched processes; of such a name the agent keeps it with the command."""

WORK = 0.002
"""Seconds that an app that stays takes over a payload."""

ROOT = Path(__file__).parents[3]


def serve_apps(pipe: Pipe[Any, Any], state: Path, port: int, apps: tuple[str, ...]) -> None:
    """Run the push service until told to leave; it says how the apps are registered."""
    anyio.run(_serve_apps, pipe, state, port, apps)


async def _serve_apps(pipe: Pipe[Any, Any], state: Path, port: int, apps: tuple[str, ...]) -> None:
    with state_folder(state) as folder:
        async with open_service(folder, ServiceSettings(port=port, channel_rate=0)) as service:
            registered = {}
            for name in apps:
                app = await service.register(name)
                registered[name] = Registered(
                    service.url, service.token_url, app.remote_id, app.client_id, app.client_secret
                )
            pipe.send(registered)
            await anyio.wait_readable(pipe)


def run_agent(pipe: Pipe[Any, Any], folder: Folder, service: str) -> None:
    """Run the agent until told to leave; it says when apps may come."""
    _write_down_errors(folder)
    anyio.run(_run_agent, pipe, folder, service)


async def _run_agent(pipe: Pipe[Any, Any], folder: Folder, service: str) -> None:
    async with open_agent.open_agent(folder.state, folder.socket, service):
        pipe.send(None)
        await anyio.wait_readable(pipe)


def stay(pipe: Pipe[Any, Any], app: str, folder: Folder, remote_id: str) -> None:
    """Run an app with a handler in the foreground until told to leave; it says where it is pushed to."""
    _write_down_errors(folder)
    anyio.run(_stay, pipe, app, folder, remote_id)


async def _stay(pipe: Pipe[Any, Any], app: str, folder: Folder, remote_id: str) -> None:
    journal = Journal.of(folder)

    async def handler(args: Args) -> None:
        await journal.handle(args, WORK)
        args.handled = True

    async with connect(app, folder.socket, command=[sys.executable]) as manager:
        channel = await _channel(manager, remote_id)
        subscription = await manager.create_web_push_subscription()
        with channel.push_received(handler), subscription.push_received(handler):
            pipe.send(Reached.by(channel.uri, subscription))
            await anyio.wait_readable(pipe)


def install(pipe: Pipe[Any, Any], app: str, folder: Folder, remote_id: str, how: str) -> None:
    """Register what a push launches and how it works, say where it is pushed to, and leave when told to."""
    os.chdir(ROOT)
    os.environ[MARKER] = str(folder.path)
    anyio.run(_install, pipe, app, folder, remote_id, how)


async def _install(pipe: Pipe[Any, Any], app: str, folder: Folder, remote_id: str, how: str) -> None:
    command = [sys.executable, "-m", woken.__name__, app, str(folder.path), how]
    async with connect(app, folder.socket, command=command) as manager:
        await manager.register_activator(woken.TRIGGER)
        channel = await _channel(manager, remote_id)
        pipe.send(Reached.by(channel.uri, await manager.create_web_push_subscription()))
        await anyio.wait_readable(pipe)


def _write_down_errors(folder: Folder) -> None:
    """Have what this process and those that it starts write to standard error in a file of the run."""
    with folder.said.open("ab") as said:
        os.dup2(said.fileno(), 2)


async def _channel(manager: PushNotificationManager, remote_id: str) -> PushNotificationChannel:
    result = await manager.create_channel(remote_id)
    if result.channel is None:
        raise RuntimeError(f"no channel: {result}")
    return result.channel
