"""What can be posted to over HTTP, with a process that receives: Tocsin, embedded and through its agent, and nginx with nchan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from attrs import Factory, frozen

from bench import device_channels, servers
from bench.framework import Options, open_files
from bench.http_load import Target, wns_target
from bench.load import APP
from bench.processes import Process, started


@frozen
class Running:
    """What can be posted to, and who takes part."""

    targets: Sequence[Target]
    receiver: Process
    server: int
    """The process id of what is posted to."""
    service: Mapping[str, Any] = Factory(dict)
    """What the push service has told of itself; nothing of other servers."""
    serving: Process | None = None
    """The process of a service that answers questions."""


SetUp = Callable[[], AbstractContextManager[Running]]

_SPARE = 500  # descriptors besides those of devices

NCHAN_NOTE = (
    "kept in memory only; the answer comes before any subscriber has the message, there is no acknowledgement, no "
    "authorization, and a subscriber that reads too slowly misses messages"
)


Aim = Callable[[Mapping[str, Any], Mapping[str, Any]], Target]
"""Makes a target of what the app and the service have told."""


@contextmanager
def tocsin(options: Options, loop: str, serving: str = "tocsin") -> Iterator[Running]:
    """Run a push service and an app on it, in a process each; ``serving`` is which of those of ``bench.serving``."""
    with _pair(options, loop, serving, "tocsin", None, lambda app, service: wns_target(app["uri"], service)) as running:
        yield running


def web_push(options: Options, loop: str, key: str, aim: Aim) -> AbstractContextManager[Running]:
    """Run a push service that answers questions, and an app with a push subscription for that key, or for any sender where it is empty."""
    return _pair(options, loop, "told", "web_push", key, aim)


def decrypting(options: Options, loop: str, aim: Aim) -> AbstractContextManager[Running]:
    """Run a push service, and an app that decrypts itself what comes by WNS."""
    return _pair(options, loop, "tocsin", "decrypting", None, aim)


@contextmanager
def _pair(  # noqa: PLR0913, PLR0917  # both processes' arguments
    options: Options, loop: str, serving: str, receiving: str, behind: str | None, aim: Aim
) -> Iterator[Running]:
    """Run both; ``behind`` is what the app is told with the URL, None for the remote id."""
    with options.state() as state:
        (state / "service").mkdir()
        with started("bench.serving", serving, str(state / "service"), loop) as service:
            found = service.line()
            url = f"{found['url']}#{found['remote_id'] if behind is None else behind}"
            with started("bench.receiving", receiving, url, str(state / "app"), loop) as app:
                yield Running([aim(app.line(), found)], app, service.pid, found, service)


@frozen
class AgentAt:
    """A running agent, and an app's registration at its push service."""

    socket: Path
    found: dict[str, Any]
    loop: str
    state: Path
    service: int
    """The process id of the push service."""

    @contextmanager
    def app(self, name: str) -> Iterator[tuple[str, Process]]:
        """Run an app that is connected; yield the address of its channel, too."""
        url = f"{self.found['remote_id']}#{name}"
        with started("bench.receiving", "connected", url, str(self.socket), self.loop) as app:
            yield app.line()["uri"], app

    def target(self, uri: str) -> Target:
        """Sign in as a sender to a channel."""
        return wns_target(uri, self.found)


@contextmanager
def agent(options: Options, loop: str, environment: Mapping[str, str] | None = None) -> Iterator[AgentAt]:
    """Run a push service and an agent on it, in a process each; the agent runs on asyncio, whatever the others do.

    :param environment: that of the agent; None for that of this process.
    """
    with options.state() as state:
        (state / "service").mkdir()
        with started("bench.serving", "tocsin", str(state / "service"), loop) as service:
            found = service.line()
            socket = state / "agent.sock"
            where = ("--state", str(state / "agent"), "--socket", str(socket), "--service", found["url"])
            with started("tocsin", "agent", "--json", *where, environment=environment) as running:
                running.line()
                yield AgentAt(socket, found, loop, state / "agent", service.pid)


@contextmanager
def connected(options: Options, loop: str) -> Iterator[Running]:
    """Run a push service, an agent, and an app that is connected to it, in a process each."""
    with agent(options, loop) as at, at.app(APP) as (uri, app):
        yield Running([at.target(uri)], app, at.service, at.found)


@contextmanager
def nchan(options: Options) -> Iterator[Running]:
    """Run nginx with nchan, and a WebSocket client in a process."""
    with options.state() as state, servers.nginx(state) as server:
        url = f"ws://{servers.HOST}:{server.port}/sub?id=0"
        with started("bench.receiving", "websocket", url, str(state), "asyncio") as client:
            client.line()
            yield Running(_published(server, 1), client, server.pid)


@contextmanager
def tocsin_crowd(
    options: Options, devices: int, going: tuple[int, int] | None = None, serving: str = "tocsin"
) -> Iterator[Running]:
    """Run a push service, and so many devices in another process, each with a channel; they acknowledge at once.

    :param going: how many of them a second leave and come back, and how many ask for another channel; None: they stay.
    :param serving: which of those that ``bench.serving`` runs.
    """
    with open_files(devices + _SPARE), options.state() as state:
        asyncio.run(device_channels.prefill(state, devices))
        with started("bench.serving", serving, str(state), options.loops[0]) as service:
            found = service.line()
            with _crowd("tocsin", found["port"], devices, going, found["remote_id"]) as receiver:
                receiver.line()
                yield Running(device_channels.targets(found, devices), receiver, service.pid, found)


@contextmanager
def nchan_crowd(options: Options, subscribers: int, connects: int = 0) -> Iterator[Running]:
    """Run nginx with nchan, and so many subscribers in a process, each to a channel of its own.

    :param connects: how many of them a second leave and come back.
    """
    with (
        open_files(subscribers + _SPARE),
        options.state() as state,
        servers.nginx(state) as server,
        _crowd("nchan", server.port, subscribers, (connects, 0) if connects else None) as crowd,
    ):
        crowd.line()
        yield Running(_published(server, subscribers), crowd, server.pid)


def _crowd(
    kind: str, port: int, count: int, going: tuple[int, int] | None, remote_id: str = ""
) -> AbstractContextManager[Process]:
    at = (kind, str(port), str(count))
    if going is None:
        return started("bench.prompt_devices", *at)
    return started("bench.crowd", *at, *map(str, going), remote_id)


def _published(server: servers.Server, channels: int) -> list[Target]:
    base = f"http://{servers.HOST}:{server.port}/pub?id="
    return [Target(f"{base}{number}", {"Content-Type": "text/plain"}) for number in range(channels)]


def each(options: Options) -> list[tuple[str, SetUp]]:
    """Return Tocsin's set-ups, by the name of their event loop."""
    return [(f"tocsin, {loop}", partial(tocsin, options, loop)) for loop in options.loops]


def begin(receiver: Process) -> None:
    """Let a receiver count from nothing."""
    receiver.tell("begin")
    receiver.line()


def received(receiver: Process, count: int) -> dict[str, float]:
    """Wait until so many have come, and return what the receiver found."""
    receiver.tell(count)
    found: dict[str, float] = receiver.line()
    return found
