"""``tocsin listen``: a push service, a device and an app in one process, printing what comes."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, nullcontext
from typing import Any, Literal, Protocol

import anyio

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.embedded import embedded
from tocsin.api.kept_secrets import keep_secret
from tocsin.api.manager import PushNotificationManager
from tocsin.api.registration import Registration
from tocsin.api.web_push_subscription import WebPushSubscription, parse_server_key
from tocsin.cli.command_line import add_verb, by_rule, span, whole
from tocsin.cli.payload_choice import add_choice_options, choice_of
from tocsin.cli.payload_command import PayloadCommand, command_words
from tocsin.cli.render import JsonLines, Readable, show_click
from tocsin.cli.state_choice import add_state_option
from tocsin.cli.terminal import refuse, show
from tocsin.collector import collect_rarely
from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable, TimedOut
from tocsin.protocol.text import quoted
from tocsin.protocol.values import NotificationType
from tocsin.shell.console import ConsoleDesktop
from tocsin.shell.typed_lines import typed_lines
from tocsin.tasks import task_group

DESCRIPTION = """\
Run a WNS-compatible push service and a device on this machine, print the channel, then each payload as it comes.

Nothing leaves the machine: the service listens on 127.0.0.1. The channel stays the same over restarts, and so does the
client secret, which is kept in the state folder, in a file for this user alone. What was accepted but not printed comes with
the next start. Ctrl-C ends it.

A toast is also shown, in a frame. In a terminal its buttons are pressed by typing their number and Enter, an input is filled
in by 'NUMBER text', o is a click on the toast itself, and d dismisses it. Tiles and badges are kept: see 'tocsin tiles'.
What cannot be shown is in 'tocsin dead-letters', with the reason. With --json, --count or --exec, all is printed, and nothing shown.

With --web-push the channel is a push subscription: printed is what libraries of Web Push, and 'tocsin webpush send', take as it is.
With a KEY, the public one of a sender, that sender alone can push.

With --type and --grep only some payloads are asked for: the others are taken without a word, and are not counted.

With --exec a program is run for each payload, one after the other: the body is its standard input, and TOCSIN_ID, TOCSIN_TYPE,
TOCSIN_TAG, TOCSIN_GROUP and TOCSIN_ATTEMPT are in its environment. Where it exits with 0 the payload is handled; else a raw one
goes to 'tocsin dead-letters', where 'retry' has it run again, and a toast to the desktop of this machine. After 30 s it is killed.
No shell looks at the command; where one is needed, run it: --exec "sh -c '...'". Senders write the bodies: have none evaluated.

Exit code 0 means that it was ended, or that --count payloads have come; 124, that --timeout was over before; 130, that it was ended
before --count payloads had come.
"""

EPILOG = """\
examples:
  tocsin listen                          for a person: prints the lines to paste into another terminal
  tocsin listen --json --count 1         for a script: the channel as one JSON object, then one payload, then exit 0
  tocsin listen --json --count 1 --type toast --grep 'order [0-9]+' --timeout 30
  tocsin listen --exec "sh -c 'cat >> pushes.log'"
  tocsin listen --web-push               what any sender of Web Push takes, instead of a channel of WNS
  tocsin listen --state ./mine --port 8080
"""

_ERRORS = 2  # the descriptor of standard error, where what a command prints is not mixed with JSON

_TIME_IS_OVER = 124
"""The exit code, as that of timeout(1)."""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    words = "run a push service and a device here, and print each payload"
    parser = add_verb(verbs, "listen", words, DESCRIPTION, EPILOG)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, for scripts")
    parser.add_argument("--count", type=whole(1, 10**9), metavar="N", help="exit with 0 after N payloads")
    parser.add_argument(
        "--timeout", type=span, metavar="S", help="end S seconds after the channel was printed, with 124"
    )
    words = "be subscribed to Web Push, with KEY by the sender of that public key alone"
    parser.add_argument("--web-push", type=by_rule(_check_sender), metavar="KEY", nargs="?", const=True, help=words)
    add_choice_options(parser)
    words = "run this for each payload; where it exits with 0, the payload is handled"
    parser.add_argument("--exec", dest="command", type=command_words, metavar="CMD", help=words)
    port = whole(0, 65_535)
    parser.add_argument("--port", type=port, default=0, metavar="P", help="the port to serve on (default: any, kept)")
    add_state_option(parser)
    parser.add_argument("--app", default="tocsin.listen", metavar="NAME", help="the app to be (default: %(default)s)")


def _check_sender(key: str) -> None:
    """Refuse what is no public key of a sender; it is not shown, for it may be the private one.

    :raises InvalidArgument: it is none.
    """
    try:
        parse_server_key(key)
    except InvalidArgument as wrong:
        is_file = os.path.isfile(key)  # noqa: PTH113  # that of Path raises for names that are too long
        what = f"KEY is a public key itself, and {quoted(key)} is a file" if is_file else str(wrong)
        shown = key if is_file else "FILE"
        raise InvalidArgument(f"{what}; 'tocsin webpush keys --show {shown}' prints it") from None


def run(arguments: argparse.Namespace) -> int:
    """Listen until interrupted, or until the wanted number of payloads has come."""
    output = JsonLines() if arguments.json else Readable()
    if arguments.web_push is not None and set(arguments.types) - {NotificationType.RAW}:
        raise InvalidArgument("what comes by Web Push is raw: leave --type out, or give --type raw")
    command = None
    if arguments.command is not None:
        command = PayloadCommand(arguments.command, _ERRORS if arguments.json else None)
        command.check()
    collect_rarely()
    return anyio.run(_listen, arguments, output, command)


class Output(Protocol):
    """Where the events go."""

    def channel(self, channel: PushNotificationChannel, registration: Registration) -> None:
        """Print how to push."""
        ...

    def subscription(self, subscription: WebPushSubscription) -> None:
        """Print how to push by Web Push."""
        ...

    def payload(self, args: PushNotificationReceivedEventArgs) -> None:
        """Print what came."""
        ...

    def command(self, id: str, code: int) -> None:  # noqa: A002  # WNS has one
        """Print how the command for a payload has ended."""
        ...


async def _listen(arguments: argparse.Namespace, output: Output, command: PayloadCommand | None) -> int:
    """Return 0, or what says that it ended before the wanted number of payloads had come."""
    count, printed, passed_over = arguments.count, 0, 0
    choice = choice_of(arguments)
    shows = not arguments.json and count is None and command is None  # a script wants each once, and then the end
    listening, time = anyio.CancelScope(), anyio.CancelScope()
    with _console(listening.cancel) if shows else nullcontext() as desktop:
        # What a sender is tried against must not depend on whether this machine saves power.
        platform = embedded(arguments.app, arguments.state, port=arguments.port, desktop=desktop, sensors=())
        async with _interruptible() as scopes, platform as manager:
            registration = manager.registration
            assert registration is not None  # noqa: S101  # the service is our own
            await anyio.to_thread.run_sync(keep_secret, arguments.state, arguments.app, registration.client_secret)
            with listening, time:
                scopes.append(listening)  # from here on all that was taken in can be acknowledged before the end
                if desktop is not None:
                    await manager.toasts.on_activated(show_click)
                channel = await _subscribed(manager, arguments.web_push, output)
                time.deadline = anyio.current_time() + (arguments.timeout or math.inf)
                async with aclosing(channel.payloads()) as payloads:
                    async for args in payloads:
                        if not choice.takes(args.id, args.type, args.payload):
                            passed_over += 1
                            args.handled = True
                            continue
                        output.payload(args)
                        args.handled = (
                            desktop is None or args.type is NotificationType.RAW
                            if command is None
                            else await _succeeds(command, args, output)
                        )
                        printed += 1
                        if printed == count:
                            return 0
    if time.cancelled_caught:
        over = TimedOut(time_is_over(arguments.timeout, printed, count, passed_over))
        refuse("tocsin listen", over, as_json=arguments.json)
        return _TIME_IS_OVER
    return 0 if count is None else 130


async def _subscribed(
    manager: PushNotificationManager, sender: str | Literal[True] | None, output: Output
) -> PushNotificationChannel:
    """Request and print what is listened to: a channel, or a subscription for a sender of Web Push, or for any (True)."""
    registration = manager.registration
    assert registration is not None  # noqa: S101  # the service is our own
    if sender is not None:
        subscription = await manager.create_web_push_subscription(sender if isinstance(sender, str) else None)
        output.subscription(subscription)
        return subscription
    result = await manager.create_channel(registration.remote_id)
    if result.channel is None:
        raise PlatformUnavailable(str(result), result.extended_error)
    output.channel(result.channel, registration)
    return result.channel


def time_is_over(seconds: float, came: int, wanted: int | None, passed_over: int) -> str:
    """Say what has come before it was over."""
    of = "" if wanted is None else f" of {wanted}"
    plural = "s have" if (came if wanted is None else wanted) != 1 else " has"
    others = f", and {passed_over} that {'was' if passed_over == 1 else 'were'} not asked for" if passed_over else ""
    return f"{came}{of} payload{plural} come in {seconds:g} s{others}"


async def _succeeds(command: PayloadCommand, args: PushNotificationReceivedEventArgs, output: Output) -> bool:
    code = await command.run(args)
    output.command(args.id, code)
    return code == 0


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
