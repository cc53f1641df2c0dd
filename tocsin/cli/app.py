"""``tocsin app``: who may use the push service, and with which credentials."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import anyio

from tocsin.cli.command_line import add_verb
from tocsin.cli.state_choice import add_service_state_option, service_state
from tocsin.cli.terminal import show
from tocsin.protocol.errors import NotSupported
from tocsin.protocol.text import harmless

DESCRIPTION = """\
Register the apps that may use a push service: each gets a client id and secret, with which its server signs in, and
a remote id, with which its devices ask for channels. What Microsoft does by e-mail, this does at once.

It works on the state folder of 'tocsin serve', whether that runs or not, and on that of what runs with a push service of
its own: 'tocsin listen', 'tocsin agent', or tocsin.embedded() without service=. The secret is shown once: the service keeps only
its hash.
"""

EPILOG = """\
examples:
  tocsin app add contoso.mail
  tocsin app add contoso.mail --family Contoso.Mail_8wekyb3d8bbwe --json
  tocsin app add contoso.mail --env   lines for a .env file; a shell takes them by: set -a; . ./.env; set +a
  tocsin app rotate contoso.mail      another secret; the one before stays valid for 24 hours
  tocsin app list
  tocsin app list --state ./push-state      of a program with tocsin.embedded(state="./push-state")
  tocsin app remove contoso.mail      its tokens and channels are good for nothing from now on
"""

_VERBS = {
    "add": "register an app",
    "rotate": "give an app another secret",
    "remove": "forget an app",
    "list": "list the apps",
}

_CREDENTIALS = ("client_id", "client_secret", "remote_id")


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "app", "register the apps that may use a push service", DESCRIPTION, EPILOG)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, words in _VERBS.items():
        each = actions.add_parser(action, help=words, description=f"{words.capitalize()}.")
        if action != "list":
            each.add_argument("name", metavar="NAME", help="the app's name, such as contoso.mail")
        if action == "add":
            each.add_argument("--family", default="", metavar="F", help="its package family name, if it has one")
        add_service_state_option(each)
        form = each.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="print one JSON object")
        if action in {"add", "rotate"}:
            lines = "print lines for a shell or a .env file, with the names that 'tocsin send' reads"
            form.add_argument("--env", action="store_true", help=lines)


def run(arguments: argparse.Namespace) -> int:
    """Add, rotate, list or remove apps, and print the result."""
    try:
        from tocsin.service.control import ask_or_perform  # noqa: PLC0415  # the plain install has no service
    except ModuleNotFoundError as missing:
        raise NotSupported(f"this needs the package {missing.name}: pip install 'tocsin[service]'") from missing
    request = {"verb": arguments.action, "name": getattr(arguments, "name", "")}
    request["family"] = getattr(arguments, "family", "")
    state = service_state(arguments.state, "tocsin app")
    answer = anyio.run(ask_or_perform, state, request)
    if arguments.json:
        show(json.dumps(answer))
    elif getattr(arguments, "env", False):
        show("\n".join(f"TOCSIN_{name.upper()}={shlex.quote(answer[name])}" for name in _CREDENTIALS))
    else:
        _print(arguments.action, answer, state)
    return 0


def _print(action: str, answer: dict[str, Any], state: Path) -> None:
    if action == "list":
        for app in answer["apps"]:
            family = f"  family {app['family']}" if app["family"] else ""
            show(harmless(f"{app['name']}  client id {app['client_id']}  remote id {app['remote_id']}{family}"))
        if not answer["apps"]:
            print("No app is registered; 'tocsin app add NAME' registers one.", file=sys.stderr)
    elif action == "remove":
        show(harmless(f"{answer['removed']} is removed"))
    else:
        show(
            f"client id      {harmless(answer['client_id'])}\nclient secret  {harmless(answer['client_secret'])}\n"
            f"remote id      {harmless(answer['remote_id'])}"
        )
        print(harmless(f"Kept in {state}, for the service there. The secret is not shown again."), file=sys.stderr)
