"""What can be posted to over HTTP, with a process that receives: Tocsin, embedded and through its agent, and nginx with nchan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from bench import servers
from bench.framework import Options
from bench.http_load import Target, wns_target
from bench.load import APP
from bench.processes import Process, started

SetUp = Callable[[], AbstractContextManager[tuple[Target, Process]]]

NCHAN_NOTE = (
    "kept in memory only; the answer comes before any subscriber has the message, there is no acknowledgement, no "
    "authorization, and a subscriber that reads too slowly misses messages"
)


@contextmanager
def tocsin(options: Options, loop: str) -> Iterator[tuple[Target, Process]]:
    """Run a push service and an app on it, in a process each."""
    with options.state() as state:
        (state / "service").mkdir()
        with started("bench.serving", "tocsin", str(state / "service"), loop) as service:
            found = service.line()
            url = f"{found['url']}#{found['remote_id']}"
            with started("bench.receiving", "tocsin", url, str(state / "app"), loop) as app:
                uri = app.line()["uri"]
                yield wns_target(uri, found["token_url"], found["client_id"], found["client_secret"]), app


@frozen
class AgentAt:
    """A running agent, and an app's registration at its push service."""

    socket: Path
    found: dict[str, Any]
    loop: str
    state: Path

    @contextmanager
    def app(self, name: str) -> Iterator[tuple[str, Process]]:
        """Run an app that is connected; yield the address of its channel, too."""
        url = f"{self.found['remote_id']}#{name}"
        with started("bench.receiving", "connected", url, str(self.socket), self.loop) as app:
            yield app.line()["uri"], app

    def target(self, uri: str) -> Target:
        """Sign in as a sender to a channel."""
        return wns_target(uri, self.found["token_url"], self.found["client_id"], self.found["client_secret"])


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
                yield AgentAt(socket, found, loop, state / "agent")


@contextmanager
def connected(options: Options, loop: str) -> Iterator[tuple[Target, Process]]:
    """Run a push service, an agent, and an app that is connected to it, in a process each."""
    with agent(options, loop) as at, at.app(APP) as (uri, app):
        yield at.target(uri), app


@contextmanager
def nchan(options: Options) -> Iterator[tuple[Target, Process]]:
    """Run nginx with nchan, and a WebSocket client in a process."""
    with options.state() as state, servers.nginx(state) as port:
        url = f"ws://{servers.HOST}:{port}/sub"
        with started("bench.receiving", "websocket", url, str(state), "asyncio") as client:
            client.line()
            yield Target(f"http://{servers.HOST}:{port}/pub", {"Content-Type": "text/plain"}), client


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
