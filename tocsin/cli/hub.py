"""``tocsin hub``: the notification hubs of a push service, and the connection strings of their clients."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

import anyio

from tocsin.cli.command_line import add_verb
from tocsin.cli.state_choice import add_service_state_option, service_state
from tocsin.cli.terminal import complain, show
from tocsin.protocol.errors import NotSupported
from tocsin.protocol.hub.rights import Right
from tocsin.protocol.text import harmless

DESCRIPTION = """\
Make notification hubs: apps register their channels there under tags, and servers send to tags, by the clients of
Azure Notification Hubs in any language. A client is given the hub's name and a connection string.

It works on the state folder of 'tocsin serve', whether that runs or not. The connection strings are shown once.
"""

EPILOG = """\
examples:
  tocsin hub add contoso-hub --endpoint https://push.example
  tocsin hub add mail-hub --app contoso.mail --json     for the channels of one app; else of all that are registered
  tocsin hub rotate contoso-hub --right send            another key to send with; the one before stays valid for 24 hours
  tocsin hub list
  tocsin hub remove contoso-hub                         with its registrations; nothing more is sent

The clients turn sb:// into https:// whatever the service speaks: start it with --dev-tls (this machine) or --tls-cert.
Some take no host without a dot: let the endpoint name 127.0.0.1, not localhost.
"""

_VERBS: Final = {
    "add": "make a hub, and print its connection strings",
    "rotate": "give a hub other keys, and print the connection strings with them",
    "remove": "forget a hub, its registrations and what it has still to send",
    "list": "list the hubs",
}
_USES: Final = {
    Right.LISTEN: "for apps: registers channels",
    Right.SEND: "for servers: sends",
    Right.MANAGE: "may do all, and list registrations: keep it to yourself",
}


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    words = "make notification hubs, by which servers send to tags"
    parser = add_verb(verbs, "hub", words, DESCRIPTION, EPILOG)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, words in _VERBS.items():
        each = actions.add_parser(action, help=words, description=f"{words.capitalize()}.")
        if action != "list":
            each.add_argument("name", metavar="NAME", help="the hub's name: letters, digits, dots, dashes, underscores")
        if action == "add":
            what = "the app to whose channels it sends (default: all registered apps)"
            each.add_argument("--app", default=None, metavar="APP", help=what)
        if action == "rotate":
            what = "listen, send or manage: only the key for this (default: all three)"
            each.add_argument("--right", choices=[right.value for right in Right], metavar="R", help=what)
        if action in {"add", "rotate"}:
            what = "where clients reach the service (default: as the hub was added with, or where it runs, or ran last)"
            each.add_argument("--endpoint", default="", metavar="URL", help=what)
        add_service_state_option(each)
        each.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Add, rotate, list or remove hubs, and print the result."""
    try:
        from tocsin.service.control import ask_or_perform  # noqa: PLC0415  # the plain install has no service
    except ModuleNotFoundError as missing:
        raise NotSupported(f"this needs the package {missing.name}: pip install 'tocsin[service]'") from missing
    values = {name: getattr(arguments, name, None) for name in ("name", "app", "right", "endpoint")}
    given = {name: value for name, value in values.items() if value is not None}
    state = service_state(arguments.state, "tocsin hub")
    answer = anyio.run(ask_or_perform, state, given | {"verb": f"hub-{arguments.action}"})
    if arguments.json:
        show(json.dumps(answer))
    else:
        _print(arguments.action, answer, state)
    if answer.get("endpoint", "").startswith("http://"):
        complain(
            "tocsin hub",
            f"at {answer['endpoint']} no TLS is spoken, and most clients speak nothing else: start the service with"
            " --dev-tls or --tls-cert, and write sb:// for http:// in the connection strings",
        )
    return 0


def _print(action: str, answer: dict[str, Any], state: Path) -> None:
    if action == "list":
        for hub in answer["hubs"]:
            show(harmless(_line(hub)))
        if not answer["hubs"]:
            print("There is no hub; 'tocsin hub add NAME' makes one.", file=sys.stderr)
    elif action == "remove":
        show(harmless(f"{answer['removed']} is removed"))
    else:
        for right, text in answer["connection_strings"].items():
            show(f"{right:<6}  {harmless(text)}")
        for right in answer["connection_strings"]:
            print(f"{right:<6}  {_USES[Right(right)]}", file=sys.stderr)
        print(harmless(f"Kept in {state}, for the service there. They are not shown again."), file=sys.stderr)


def _line(hub: dict[str, Any]) -> str:
    app = "of every app" if hub["every_app"] else "of an app that was removed" if hub["app"] is None else hub["app"]
    old = [right for right, count in hub["keys"].items() if count > 1]
    rotated = f"  with an earlier key to {', '.join(old)}" if old else ""
    return (
        f"{hub['name']}  {app}  registrations {hub['registrations']}  installations {hub['installations']}"
        f"  messages waiting {hub['waiting']}{rotated}"
    )
