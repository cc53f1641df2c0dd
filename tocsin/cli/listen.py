"""``tocsin listen``: a push service, a device and an app in one process, printing what comes."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, nullcontext
from typing import Any, Protocol

import anyio

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.embedded import embedded
from tocsin.api.registration import Registration
from tocsin.cli.command_line import add_verb, whole
from tocsin.cli.render import JsonLines, Readable, show_click
from tocsin.cli.state_choice import add_state_option
from tocsin.cli.terminal import show
from tocsin.collector import collect_rarely
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.values import NotificationType
from tocsin.shell.console import ConsoleDesktop
from tocsin.shell.typed_lines import typed_lines
from tocsin.tasks import task_group

DESCRIPTION = """\
Run a WNS-compatible push service and a device on this machine, print the channel, then each payload as it comes.

Nothing leaves the machine: the service listens on 127.0.0.1. The channel stays the same over restarts, and what
was accepted but not printed comes with the next start. Ctrl-C ends it.

A toast is also shown, in a frame. In a terminal its buttons are pressed by typing their number and Enter, an input is filled
in by 'NUMBER text', o is a click on the toast itself, and d dismisses it. Tiles and badges are kept: see 'tocsin tiles'.
What cannot be shown is in 'tocsin dead-letters', with the reason. With --json or --count, all is printed, and nothing shown.
"""

EPILOG = """\
examples:
  tocsin listen                          for a person: prints the lines to paste into another terminal
  tocsin listen --json --count 1         for a script: the channel as one JSON object, then one payload, then exit 0
  tocsin listen --state ./mine --port 8080
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    words = "run a push service and a device here, and print each payload"
    parser = add_verb(verbs, "listen", words, DESCRIPTION, EPILOG)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, for scripts")
    parser.add_argument("--count", type=whole(1, 10**9), metavar="N", help="exit with 0 after N payloads")
    port = whole(0, 65_535)
    parser.add_argument("--port", type=port, default=0, metavar="P", help="the port to serve on (default: any, kept)")
    add_state_option(parser)
    parser.add_argument("--app", default="tocsin.listen", metavar="NAME", help="the app to be (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Listen until interrupted, or until the wanted number of payloads has come."""
    output = JsonLines() if arguments.json else Readable()
    collect_rarely()
    return anyio.run(_listen, arguments, output)


class Output(Protocol):
    """Where the events go."""

    def channel(self, channel: PushNotificationChannel, registration: Registration) -> None:
        """Print how to push."""
        ...

    def payload(self, args: PushNotificationReceivedEventArgs) -> None:
        """Print what came."""
        ...


async def _listen(arguments: argparse.Namespace, output: Output) -> int:
    """Return 0, or 130 when it was interrupted before the wanted number of payloads had come."""
    count, printed = arguments.count, 0
    shows = not arguments.json and count is None  # a script wants each payload once, and then the end
    listening = anyio.CancelScope()
    with _console(listening.cancel) if shows else nullcontext() as desktop:
        # What a sender is tried against must not depend on whether this machine saves power.
        platform = embedded(arguments.app, arguments.state, port=arguments.port, desktop=desktop, sensors=())
        async with _interruptible() as scopes, platform as manager:
            registration = manager.registration
            assert registration is not None  # noqa: S101  # the service is our own
            with listening:
                scopes.append(listening)  # from here on all that was taken in can be acknowledged before the end
                if desktop is not None:
                    await manager.toasts.on_activated(show_click)
                result = await manager.create_channel(registration.remote_id)
                if result.channel is None:
                    raise PlatformUnavailable(str(result), result.extended_error)
                output.channel(result.channel, registration)
                async with aclosing(result.channel.payloads()) as payloads:
                    async for args in payloads:
                        output.payload(args)
                        args.handled = desktop is None or args.type is NotificationType.RAW
                        printed += 1
                        if printed == count:
                            return 0
    return 0 if count is None else 130


@contextmanager
def _console(end: Callable[[], None]) -> Iterator[ConsoleDesktop]:
    """Show toasts in this terminal; when it cannot be written any more, end, and raise that behind the block."""
    failures: list[Exception] = []

    def write(text: str) -> None:
        try:
            show(text)
        except (BrokenPipeError, PlatformUnavailable) as failure:
            failures.append(failure)
            end()
            raise BrokenPipeError(str(failure)) from failure  # to the shell it is a desktop that has gone

    with typed_lines(sys.stdin, sys.stdout) as lines:
        yield ConsoleDesktop(write, None if lines is None else lines.read)
    if failures:
        raise failures[0]


@asynccontextmanager
async def _interruptible() -> AsyncIterator[list[anyio.CancelScope]]:
    """Cancel the innermost of these scopes on SIGINT or SIGTERM, and the one around it on the next; the last is the block."""
    async with task_group() as tasks:
        scopes = [tasks.cancel_scope]
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:

            async def watch() -> None:
                async for _ in signals:
                    if scopes:
                        scopes.pop().cancel()

            tasks.start_soon(watch)
            yield scopes
        tasks.cancel_scope.cancel()
