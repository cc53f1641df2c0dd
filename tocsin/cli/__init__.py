"""The ``tocsin`` command, one file a verb."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tocsin import __version__
from tocsin.cli.command_line import Parser, WrongUsage
from tocsin.cli.terminal import discard_output, open_streams, refuse
from tocsin.protocol.errors import PushError
from tocsin.service.operations.configuration import check_environment

VERBS = (
    "listen",
    "send",
    "serve",
    "agent",
    "app",
    "hub",
    "migrate",
    "calling",
    "status",
    "open",
    "channels",
    "activators",
    "tiles",
    "dead-letters",
    "tail",
    "policy",
    "usage",
    "completion",
)

DESCRIPTION = """\
Push notifications that wake async Python apps.

  tocsin listen         run a push service and a device here, print the channel, then each payload as it comes
  tocsin send URI ...   send a notification to a channel, as a server would
  tocsin serve          run a push service for senders and devices elsewhere
  tocsin agent          hold the channels of this user's apps, and start those that are not running
  tocsin app add NAME   let an app use it, and print its credentials
  tocsin hub add NAME   make a notification hub of it, and print its connection strings
  tocsin migrate --to URL  move a service from its folder into a database
  tocsin calling serve  run a calling service, which rings the apps of its users
  tocsin status         say how an agent or a service is, and what it has counted
  tocsin open           open the page of what runs in a browser
  tocsin channels       list the channels that apps have
  tocsin activators     list what a push wakes apps by, and the commands that it starts
  tocsin tiles          list what the tiles and badges of apps show
  tocsin dead-letters   list the payloads that ended without being handled, and why
  tocsin tail           follow what happens to payloads, stage by stage
  tocsin policy show    say what the group policy says, where from, and what a payload would meet
  tocsin usage          list what apps have sent and received over the network
  tocsin completion bash  print what lets a shell complete all of this

Try 'tocsin listen' in one terminal, and paste the lines that it prints into another.
'tocsin VERB --help' says more about each.

Exit code 0 means that it was done; 1, that it was not, for the reason that is printed; 2, that the command line is none of ours.
With --json the reason is an object, too, the last line of standard error: {"event": "error", "command", "kind", "sentence", "hresult"}.
"""

_OF_VERBS = ("--json", "--state")
"""Options that nearly every verb has, so that they are often written before it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 it failed for a reason that was printed, 2 wrong usage."""
    open_streams()
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = _read(words)
    except WrongUsage as wrong:
        return _correct(wrong, as_json="--json" in words)
    speaker = f"tocsin {arguments.verb}"
    try:
        check_environment(os.environ)
        code: int = _module(arguments.verb).run(arguments)
    except PushError as failure:
        refuse(speaker, failure, as_json=getattr(arguments, "json", False))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has left
        discard_output()
        return 1
    return code


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = _parser(words[0] if words else "")
    if words and words[0] in _OF_VERBS:
        parser.error(f"{words[0]} is an option of the verbs, so it stands behind the verb")
    return parser.parse_args(words)


def _correct(wrong: WrongUsage, *, as_json: bool) -> int:
    """Say how the command is used, where a person reads that, and what was wrong; return the exit code."""
    speaker = wrong.parser.prog
    if not as_json:
        if sys.stderr is not None:
            wrong.parser.print_usage(sys.stderr)
        speaker = f"{speaker}: error"
    refuse(speaker, wrong, as_json=as_json)
    return 2


def _module(verb: str) -> Any:
    return import_module(f"tocsin.cli.{verb.replace('-', '_')}")


def _parser(verb: str = "") -> Parser:
    """Return what reads the command line, as far as one verb needs it: the modules of the others cost time and memory."""
    parser = Parser(prog="tocsin", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"tocsin {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for each in (verb,) if verb in VERBS else VERBS:
        _module(each).add_parser(verbs)
    return parser
