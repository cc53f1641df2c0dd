"""``tocsin calling``: a calling service, its users, and calls to them.

What agents and the service say to each other is ``tocsin.protocol.messages.calling``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import anyio

from tocsin.calling_service.calling_settings import READER
from tocsin.cli.command_line import Parser, add_verb, whole
from tocsin.cli.service_options import add_service_options
from tocsin.cli.state_choice import add_state_option
from tocsin.cli.table import ago, aligned
from tocsin.cli.terminal import show
from tocsin.protocol.errors import NotSupported
from tocsin.protocol.text import harmless

DESCRIPTION = """\
Run a calling service, which rings the apps of its users: those that are connected at once, the others by a push that
starts them. It says who calls, who has answered, and why a call has ended; sound and pictures it does not carry.

  tocsin calling serve       run it, and print where agents reach it
  tocsin calling users       list, add and remove users
  tocsin calling token NAME  print a token, by which an app is the agent of a user
  tocsin calling ring USER   call a user from this terminal
  tocsin calling calls       list the calls that are open, and those that have ended

All work on the state folder of 'tocsin calling serve'; all but ring also where it does not run.
"""

EPILOG = """\
examples:
  tocsin calling serve                           for tests on this machine, at port 8090; rings connected apps only
  tocsin calling users add ann                   prints ann's raw id, and a token for her app
  tocsin calling ring ann                        rings ann's devices, and says what became of it
  tocsin calling calls --json

'tocsin calling ACTION --help' says more about each.
"""

_SERVE: Final = """\
Run a calling service until SIGTERM or Ctrl-C, and print where it listens.

It listens on 127.0.0.1 unless told otherwise, and on an address that others reach only with TLS; SIGHUP reads the
certificate anew. What it has been told is on disk before it is told on: open calls go on after a restart, and after a kill.

An app that is connected rings at once. For those that are not, give one of two ways to push: --hub with the connection
string in TOCSIN_CALLING_HUB_CONNECTION or in a file, or --client-id and --token-url with the secret in
TOCSIN_CALLING_CLIENT_SECRET or in a file. Secrets are no options, since other users can read the command line.
"""
_SERVE_EXAMPLES: Final = """\
examples:
  tocsin calling serve                           rings connected apps only
  tocsin calling serve --hub contoso-hub --hub-connection-file send.txt     'tocsin hub add' prints the string, as send
  tocsin calling serve --client-id SID --client-secret-file secret.txt --token-url URL     those of 'tocsin app add'
  tocsin calling serve --port 443 --host :: --tls-cert fullchain.pem --tls-key privkey.pem --public-url https://calls.example
  TOCSIN_CALLING_RING_TIME=45 tocsin calling serve     each setting may come from the environment

An option goes before the environment, the environment before the file.
"""
_USERS: Final = """\
List the users of a calling service; add one, or remove one.

A user has a name, for this command, and a raw id, for calls and for apps. Who is added gets a token, which is shown once
and is good for a day: give it to the user's app. Who is removed: the tokens are good for nothing, and all calls end.
"""
_USERS_EXAMPLES: Final = """\
examples:
  tocsin calling users
  tocsin calling users add ann --display-name 'Ann Lee'
  tocsin calling users add tom --teams --json    with a raw id such as those of Microsoft Teams
  tocsin calling users remove ann
"""
_ISSUE: Final = """\
Print a token of a user. By it an app is an agent of the user: it rings, and calls. It is kept nowhere.
"""
_ISSUE_EXAMPLES: Final = """\
examples:
  tocsin calling token ann
  tocsin calling token ann --lifetime 3600 --json
"""
_RING: Final = """\
Call a user from this terminal, and print each state, and why the call has ended. Ctrl-C hangs up: the bell stops.

The service has to run. It is a call as an app makes it, with neither sound nor picture: answer, decline, or let it ring.
Exit code 0 means that the call was connected, or declined; 1, that no device rang, or none answered.
"""
_RING_EXAMPLES: Final = """\
examples:
  tocsin calling ring ann
  tocsin calling ring ann --from bob --video     bob is added to the users if need be
  tocsin calling ring ann --json                 one object a line
"""
_CALLS: Final = """\
List the calls that are open, and those that have ended within a day, the latest first.
"""
_CALLS_EXAMPLES: Final = """\
examples:
  tocsin calling calls
  tocsin calling calls --json                    one object, with every time
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "calling", "run a calling service, and call its users", DESCRIPTION, EPILOG)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    serve = _action(actions, "serve", "run a calling service", _SERVE, _SERVE_EXAMPLES)
    config = os.environ.get("TOCSIN_CALLING_CONFIG") or None
    add_service_options(serve, config, "TOCSIN_CALLING_CONFIG", READER.described(options=True))
    _add_users(_action(actions, "users", "list, add and remove users", _USERS, _USERS_EXAMPLES))
    token = _action(actions, "token", "print a token of a user", _ISSUE, _ISSUE_EXAMPLES)
    token.add_argument("name", metavar="NAME", help="the user's name")
    words = "seconds for which it is good, from 3600 to 86400 (default: 86400)"
    token.add_argument("--lifetime", type=whole(3_600, 86_400), default=86_400, metavar="S", help=words)
    ring = _action(actions, "ring", "call a user from this terminal", _RING, _RING_EXAMPLES)
    ring.add_argument("name", metavar="USER", help="the name of a user, or a raw id such as 8:acs:contoso_ann")
    words = "the user that calls, added where it is missing (default: tocsin)"
    ring.add_argument("--from", dest="caller", default="tocsin", metavar="NAME", help=words)
    ring.add_argument("--video", action="store_true", help="announce a call with video")
    calls = _action(actions, "calls", "list the calls that are open or have ended", _CALLS, _CALLS_EXAMPLES)
    for each in (token, ring, calls):
        each.add_argument("--json", action="store_true", help="print JSON, for scripts")


def _action(actions: Any, name: str, words: str, description: str, epilog: str) -> Parser:
    """Add an action, with the option for the state folder."""
    parser: Parser = actions.add_parser(name, help=words, description=description, epilog=epilog)
    add_state_option(parser, "calling-service")
    return parser


def _add_users(users: Parser) -> None:
    users.add_argument("--json", action="store_true", help="print one JSON object")
    changes = users.add_subparsers(dest="change", metavar="[CHANGE]")
    for change, words in (("add", "add a user, and print a token"), ("remove", "remove a user")):
        each = changes.add_parser(change, help=words, description=f"{words.capitalize()}.")
        each.add_argument("name", metavar="NAME", help="the user's name: 1 to 128 printable characters")
        if change == "add":
            shown = "what other users are shown, where the user's app says nothing else"
            each.add_argument("--display-name", default="", metavar="N", help=shown)
            each.add_argument("--teams", action="store_true", help="a user with a raw id such as those of Teams")
        # What is given before the change is kept: a default here would be put in its place.
        add_state_option(each, "calling-service", argparse.SUPPRESS)
        each.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked, and print the result."""
    READER.check_environment(os.environ)
    try:
        return _run(arguments)
    except ModuleNotFoundError as missing:
        extra = "client" if missing.name == "aiohttp" else "service"
        raise NotSupported(f"this needs the package {missing.name}: pip install 'tocsin[{extra}]'") from missing


def _run(arguments: argparse.Namespace) -> int:
    if arguments.action == "serve":
        from tocsin.cli.calling_serve import serve  # noqa: PLC0415  # the plain install has no service

        return serve(arguments)
    if arguments.action == "ring":
        from tocsin.cli.calling_ring import ring  # noqa: PLC0415  # few pay for it

        return ring(arguments)
    from tocsin.calling_service.calling_control import ask_or_perform_calling  # noqa: PLC0415  # the plain install has no service

    action = arguments.action if arguments.action != "users" else arguments.change or "list"
    answer = anyio.run(ask_or_perform_calling, arguments.state, _request(action, arguments))
    if arguments.json:
        show(json.dumps(answer))
    else:
        _PRINT[action](answer)
    return 0


def _request(action: str, arguments: argparse.Namespace) -> dict[str, Any]:
    match action:
        case "add":
            kind = "teams" if arguments.teams else "acs"
            shown = arguments.display_name
            return {"verb": "calling-user-add", "name": arguments.name, "display_name": shown, "kind": kind}
        case "remove":
            return {"verb": "calling-user-remove", "name": arguments.name}
        case "token":
            return {"verb": "calling-token", "name": arguments.name, "lifetime": arguments.lifetime}
        case "calls":
            return {"verb": "calling-calls"}
        case _:
            return {"verb": "calling-user-list"}


def _print_users(answer: dict[str, Any]) -> None:
    users = answer["users"]
    if not users:
        print("There is no user; 'tocsin calling users add NAME' adds one.", file=sys.stderr)
        return
    rows = [[user["name"], user["display_name"] or "-", user["kind"], user["raw_id"]] for user in users]
    show("\n".join(aligned(("name", "shown as", "kind", "raw id"), rows)))


def _print_added(answer: dict[str, Any]) -> None:
    show(f"raw id  {harmless(answer['raw_id'])}\ntoken   {harmless(answer['token'])}")
    name = harmless(answer["name"])
    until = _until(answer)
    print(
        f"The token is good until {until}, and is not shown again: 'tocsin calling token {name}' prints another.",
        file=sys.stderr,
    )


def _print_removed(answer: dict[str, Any]) -> None:
    show(harmless(f"{answer['removed']} is removed"))


def _print_token(answer: dict[str, Any]) -> None:
    show(harmless(answer["token"]))
    print(f"It is good until {_until(answer)}, for {harmless(answer['raw_id'])}.", file=sys.stderr)


def _print_calls(answer: dict[str, Any]) -> None:
    calls = answer["calls"]
    if not calls:
        print("No call is open, and none has ended within a day.", file=sys.stderr)
        return
    show("\n".join(aligned(("state", "from", "to", "since", "reason"), map(_row, calls))))
    if answer["left_out"]:
        print(f"{answer['left_out']} earlier ones are left out.", file=sys.stderr)


def _row(call: dict[str, Any]) -> list[object]:
    since = ago(time.time() - datetime.fromisoformat(call["since"]).timestamp())
    reason = "" if call["reason"] is None else f"{call['code']}/{call['subcode']}  {call['reason']}"
    state = f"{call['state']}, video" if call["video"] else call["state"]
    return [state, _side(call["caller"]), _side(call["callee"]), f"{since} ago", reason]


def _side(side: dict[str, Any]) -> str:
    return str(side["name"] or side["display_name"] or side["raw_id"])


def _until(answer: dict[str, Any]) -> str:
    return f"{datetime.fromisoformat(answer['expires']).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


_PRINT: Final[Mapping[str, Callable[[dict[str, Any]], None]]] = {
    "list": _print_users,
    "add": _print_added,
    "remove": _print_removed,
    "token": _print_token,
    "calls": _print_calls,
}
