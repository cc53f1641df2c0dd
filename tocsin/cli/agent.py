"""``tocsin agent``: the per-user process that owns channels, inbox and activators, so that pushes wake apps."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import socket as sockets
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from tocsin.cli import agent_forget
from tocsin.cli.command_line import add_verb, whole
from tocsin.cli.state_choice import add_state_option, path
from tocsin.cli.terminal import complain, show
from tocsin.collector import collect_rarely
from tocsin.protocol.errors import InvalidArgument, NotSupported
from tocsin.protocol.platform.idleness import ON_DEMAND
from tocsin.protocol.unifiedpush.names import DISTRIBUTOR
from tocsin.tasks import task_group
from tocsin.transport.agent_socket import default_socket

if TYPE_CHECKING:
    from tocsin.agent.open_agent import Agent
    from tocsin.transport.service_manager import ServiceManager

DESCRIPTION = """\
Run the agent of this user until SIGTERM or Ctrl-C: it holds the channels of apps, stores what is pushed to them, and
starts an app that is not running.

Apps reach it by 'async with tocsin.connect("contoso.mail") as manager'. Without --service it runs a push service of
its own on this machine, as 'tocsin listen' does. Apps that are running go on when it ends, and come back to the next.

It takes the socket that systemd, or what starts programs as it does, passes to it (LISTEN_FDS).
"""

EPILOG = """\
examples:
  tocsin agent                                       with a push service of its own, on 127.0.0.1
  tocsin agent --service https://push.example        with the push service of your organisation
  tocsin agent install                               from now on systemd starts it, when an app needs it
  tocsin agent --replace                             after an upgrade: the one that runs ends, apps come to this one
  tocsin agent --idle-exit 5                         started on demand: it ends itself when no app needs it
  tocsin agent --unifiedpush                         apps of the desktop register with it, too
  tocsin agent forget contoso.mail                   remove an app from the agent that runs
  tocsin agent --state ./mine --socket ./mine.sock   a second one, for a try; apps find it by TOCSIN_SOCKET
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    words = "hold the channels of this user's apps, and start those that are not running"
    parser = add_verb(verbs, "agent", words, DESCRIPTION, EPILOG)
    _add_choices(parser, "agent")
    words = "have the agent that runs on this state folder end first; apps go on, and come to this one"
    parser.add_argument("--replace", action="store_true", help=words)
    parser.add_argument("--json", action="store_true", help="print where it listens as one JSON object")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="instead of running one")
    agent_forget.add_action(actions)
    words = "let this user's systemd start it, for the first app that connects and at each log-on"
    installing = actions.add_parser("install", help=words, description=f"{words.capitalize()}.")
    _add_choices(installing, "agent", argparse.SUPPRESS)
    installing.add_argument("--force", action="store_true", help="overwrite units that were written by hand")
    words = "undo what 'install' has done; state and what is registered stay"
    undoing = actions.add_parser("uninstall", help=words, description=f"{words.capitalize()}.")
    for each in (installing, undoing):
        words = "print what was done as one JSON object"
        each.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=words)


def _add_choices(parser: argparse.ArgumentParser, verb: str, default: str | None = None) -> None:
    """Add what an agent is run with, and a unit may have it run with; ``SUPPRESS`` leaves what was chosen before the action."""
    words = "the push service to use (default: one runs here)"
    parser.add_argument("--service", default=default, metavar="URL", help=words)
    add_state_option(parser, verb, default)
    words = f"the socket for apps (default: what it is started with, or TOCSIN_SOCKET, here {default_socket()})"
    words = words.replace("%", "%%")
    parser.add_argument("--socket", type=path("a socket"), default=default, metavar="PATH", help=words)
    words = "the port of the service that runs here (default: any, kept)"
    parser.add_argument("--port", type=whole(0, 65_535), default=default or 0, metavar="P", help=words)
    words = "show no toasts: only handlers of apps get them"
    parser.add_argument("--no-desktop", action="store_true", default=default or False, help=words)
    words = (
        "serve apps of the desktop that know UnifiedPush: they register over the session bus (needs the extra desktop)"
    )
    parser.add_argument("--unifiedpush", action="store_true", default=default or False, help=words)
    words = "a folder whose pictures toasts may show; may be given more than once (default: no picture is shown)"
    parser.add_argument(
        "--pictures", type=path("a folder"), action="append", default=default, metavar="DIR", help=words
    )
    words = "end S seconds after the last app has left, once none holds a channel or a trigger, or has a toast that may be clicked, or 'never' "
    words += f"(default: {ON_DEMAND:g} where it is started with its socket, else never; never with --unifiedpush)"
    parser.add_argument("--idle-exit", type=_seconds_or_never, default=default, metavar="S", help=words)


def _seconds_or_never(text: str) -> float:
    return math.inf if text == "never" else whole(0, 86_400)(text)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes, or see to it that systemd lets an agent do so."""
    if sys.platform == "win32":
        raise NotSupported("the agent runs on POSIX systems only, so far; tocsin.embedded() runs here")
    if arguments.action is not None:
        from tocsin.cli.agent_service import install, uninstall  # noqa: PLC0415  # an agent does not pay for it

        acts = {"forget": agent_forget.forget, "install": install, "uninstall": uninstall}
        return acts[arguments.action](arguments)
    from tocsin.transport.service_manager import ServiceManager  # noqa: PLC0415  # the other verbs do not pay for it

    with ServiceManager.take(os.environ) as manager:
        socket = _socket(arguments.socket, manager.inherited)
        collect_rarely()
        return anyio.run(_serve, Path(arguments.state).absolute(), socket, manager, arguments)


def _socket(named: Path | None, inherited: sockets.socket | None) -> Path:
    """Return where apps connect: where the socket is that this process was started with, else where the user says."""
    if inherited is None:
        return (named or default_socket()).absolute()
    path = Path(inherited.getsockname()).absolute()
    if named is not None and named.absolute() != path:
        raise InvalidArgument(f"this agent was started with the socket {path}; --socket {named} is another one")
    return path


async def _serve(state: Path, socket: Path, manager: ServiceManager, arguments: argparse.Namespace) -> int:
    from tocsin.agent.open_agent import open_agent  # noqa: PLC0415  # as above
    from tocsin.host.default_sensors import default_sensors  # noqa: PLC0415  # as above
    from tocsin.host.policy_files import default_policy  # noqa: PLC0415  # as above
    from tocsin.host.promises import HostParts  # noqa: PLC0415  # as above
    from tocsin.shell.choice import default_desktop  # noqa: PLC0415  # as above

    service, inherited = arguments.service, manager.inherited
    idle_exit: float | None = arguments.idle_exit
    if idle_exit is None:
        idle_exit = math.inf if inherited is None or arguments.unifiedpush else ON_DEMAND
    with anyio.open_signal_receiver(*_signals()) as signals:
        desktop = None if arguments.no_desktop else default_desktop()
        async with open_agent(
            state,
            socket,
            service,
            port=arguments.port,
            replace=arguments.replace,
            inherited=inherited,
            desktop=desktop,
            pictures=arguments.pictures or (),
            host=HostParts(default_sensors(), default_policy()),
            unifiedpush=arguments.unifiedpush,
        ) as agent:
            where = {"socket": str(agent.socket), "state": str(state), "service": service}
            where["service"] = where["service"] or (agent.service.url if agent.service else None)
            where["unifiedpush"] = DISTRIBUTOR if arguments.unifiedpush else None
            show(json.dumps(where) if arguments.json else _words(where))
            manager.tell_ready(f"apps connect to {agent.socket}")
            async with task_group() as tasks:
                tasks.start_soon(_until_signal, signals, agent, tasks.cancel_scope)
                tasks.start_soon(_until_replaced, agent, tasks.cancel_scope)
                tasks.start_soon(agent.watch, manager)
                await (anyio.sleep_forever() if idle_exit == math.inf else agent.idle(idle_exit))
                tasks.cancel_scope.cancel()
            manager.tell_stopping()
    return 0


def _signals() -> list[signal.Signals]:
    """Return those that end an agent; SIGHUP, which tells of the end of the user's session, unless it was started to ignore it."""
    logging_off = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *logging_off]


async def _until_signal(signals: AsyncIterator[signal.Signals], agent: Agent, serving: anyio.CancelScope) -> None:
    """End it with the first signal; SIGHUP lets work come to its end before, which the next signal cuts short."""
    logging_off = False
    async with task_group() as tasks:
        async for number in signals:
            if number != signal.SIGHUP or logging_off:
                serving.cancel()
                return
            logging_off = True
            tasks.start_soon(_log_off, agent, serving)


async def _log_off(agent: Agent, serving: anyio.CancelScope) -> None:
    complain("tocsin agent", "the session of the user ends: work is cancelled, and has 5 s to end")
    await agent.log_off()
    serving.cancel()


async def _until_replaced(agent: Agent, serving: anyio.CancelScope) -> None:
    await agent.replaced.wait()
    complain("tocsin agent", "another agent takes over")
    serving.cancel()


def _words(where: dict[str, str | None]) -> str:
    lines = [f"apps connect to {where['socket']}", f"the push service is {where['service']}"]
    if name := where["unifiedpush"]:
        lines.append(f"apps of UnifiedPush register with {name} on the session bus")
    return "\n".join([*lines, "Ctrl-C ends it"])
