"""The two programs that are killed, the push service and the app, each a process of its own on its own state folder.

They are forked from a server that has imported everything, so that a start takes some milliseconds.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from attrs import define, field, frozen

from tests.e2e.crash.payloads import LAST, HandedOut, Manner, manner_of, number_of
from tests.e2e.crash.web_push import Reached
from tests.forked import fork_server
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.embedded import embedded
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service

if TYPE_CHECKING:  # where there are none, the tests that use them are skipped
    from multiprocessing.context import ForkServerContext, ForkServerProcess

APP = "contoso.mail"
PATIENCE = 30.0
"""Seconds after which it is taken for granted that something will not happen any more."""

WORK = 0.002
"""Seconds that the handler takes over a payload that it does not end at once."""

SOON = RetryPolicy(first=0.05, increment=0.0, jitter=0.0)
ALL = DeadLetterPolicy(keep=10**9)  # each of them is looked for in the end
"""When a channel request that a kill has cut off is made again."""

Pipe = Connection  # the programs say a word when they are ready, and leave when it is closed or spoken into


class Stuck(Exception):
    """Something that had to happen did not; the text says what."""


@contextmanager
def within(seconds: float, failure: str) -> Iterator[None]:
    """Give the block its time.

    :raises Stuck: it was not through by then; ``failure`` says what did not happen.
    """
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise Stuck(f"{failure} within {seconds:g} s") from None


@frozen
class Registered:
    """What the service says at its first start: where it is, and the app's registration."""

    url: str
    token_url: str
    remote_id: str
    client_id: str
    client_secret: str


def serve(pipe: Pipe[Any, Any], state: Path, port: int) -> None:
    """Run the push service until told to leave; at its first start it registers the app, and says how."""
    anyio.run(_serve, pipe, state, port, not state.exists())


async def _serve(pipe: Pipe[Any, Any], state: Path, port: int, first: bool) -> None:
    with state_folder(state) as folder:
        async with open_service(folder, ServiceSettings(port=port)) as service:
            registered = None
            if first:
                app = await service.register(APP)
                registered = Registered(service.url, service.token_url, app.remote_id, app.client_id, app.client_secret)
            pipe.send(registered)
            await anyio.wait_readable(pipe)


def receive(pipe: Pipe[Any, Any], state: Path, url: str, remote_id: str, log: Path) -> None:
    """Run the app until told to leave; it says where it is pushed to, and when the last payloads came."""
    logging.getLogger("tocsin.api.subscription").setLevel(logging.CRITICAL)  # the handler is meant to fail now and then
    anyio.run(_receive, pipe, state, url, remote_id, log)


async def _receive(pipe: Pipe[Any, Any], state: Path, url: str, remote_id: str, log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def handler(args: PushNotificationReceivedEventArgs) -> None:
        number = number_of(args.payload)
        os.write(file, HandedOut(number, args.id, args.attempt).encode())  # survives this process, whatever comes
        manner = manner_of(number)
        if args.payload.endswith(LAST):
            pipe.send(number)
        if manner is Manner.FAIL:
            raise RuntimeError(f"number {number} is one to fail on")
        if manner is Manner.LATER:
            await anyio.sleep(WORK)
        args.handled = manner is not Manner.REFUSE

    async with embedded(APP, state, service=url, retries=SOON, dead_letters=ALL) as manager:
        result = await manager.create_channel(remote_id)
        if result.channel is None:
            raise RuntimeError(f"no channel: {result}")
        subscription = await manager.create_web_push_subscription()
        with result.channel.push_received(handler), subscription.push_received(handler):
            pipe.send(Reached.by(result.channel.uri, subscription))
            await anyio.wait_readable(pipe)


@define(eq=False)
class Victim:
    """A program that is started as often as it is killed."""

    name: str
    program: Callable[..., None]
    arguments: tuple[Any, ...]
    _process: ForkServerProcess | None = None
    _pipe: Pipe[Any, Any] | None = None
    _context: ForkServerContext = field(factory=fork_server, init=False)

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Start the program; it is ready when it says its first word."""
        self._pipe, theirs = self._context.Pipe()
        arguments = (theirs, *self.arguments)
        process = self._context.Process(target=self.program, args=arguments, name=self.name, daemon=True)
        process.start()
        self._process = process
        theirs.close()  # so that its end is the end of the pipe

    async def hear(self, silence: str) -> Any:
        """Wait for the next word.

        :raises Stuck: it said none in time (``silence`` tells what that means), or ended first.
        """
        assert self._pipe is not None
        with within(PATIENCE, f"the {self.name} {silence}"):
            await anyio.wait_readable(self._pipe)
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise Stuck(f"the {self.name} ended by itself") from None

    def say(self, word: object) -> None:
        """Say a word to it; None tells it to leave."""
        assert self._pipe is not None
        self._pipe.send(word)

    def kill(self) -> None:
        """Send SIGKILL.

        :raises Stuck: it had ended by itself.
        """
        assert self._process is not None
        if not self._process.is_alive():
            raise Stuck(f"the {self.name} had ended by itself, with code {self._process.exitcode}")
        self._process.kill()

    async def reap(self) -> int:
        """Wait until it is gone, and return its exit code.

        :raises Stuck: it went on.
        """
        assert self._process is not None
        assert self._pipe is not None
        with within(PATIENCE, f"the {self.name} did not end"):
            await anyio.wait_readable(self._process.sentinel)
        self._process.join()
        code = self._process.exitcode
        assert code is not None
        self._process.close()
        self._pipe.close()
        self._process = self._pipe = None
        return code

    async def stop(self) -> None:
        """Tell it to leave, and wait until it has.

        :raises Stuck: it did not, or not in order.
        """
        self.say(None)
        code = await self.reap()
        if code != 0:
            raise Stuck(f"the {self.name} did not stop in order, but with code {code}")

    async def remove(self) -> None:
        """Kill it if it still runs."""
        if self._process is not None:
            self._process.kill()
            await self.reap()
