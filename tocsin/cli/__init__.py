"""The ``tocsin`` command, one file a verb."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

VERBS = ("listen", "send", "serve", "app", "status", "dead-letters")

DESCRIPTION = """\
Push notifications that wake async Python apps.

  tocsin listen        run a push service and a device here, print the channel, then each payload as it comes
  tocsin send URI ...  send a notification to a channel, as a server would
  tocsin serve         run a push service for senders and devices elsewhere
  tocsin app add NAME  let an app use it, and print its credentials
  tocsin status        say how it is, and what it has counted
  tocsin dead-letters  list the payloads that ended without being handled, and why

Try 'tocsin listen' in one terminal, and paste the lines that it prints into another.
'tocsin VERB --help' says more about each.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 it failed for a reason that was printed, 2 wrong usage."""
    from tocsin.protocol.errors import PushError  # noqa: PLC0415  # --help should not wait for it

    arguments = _parser().parse_args(argv)
    try:
        code: int = _module(arguments.verb).run(arguments)
    except PushError as failure:
        print(f"tocsin {arguments.verb}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has left; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _module(verb: str) -> Any:
    return import_module(f"tocsin.cli.{verb.replace('-', '_')}")


def _parser() -> argparse.ArgumentParser:
    from tocsin import __version__  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="tocsin", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"tocsin {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        _module(verb).add_parser(verbs)
    return parser
