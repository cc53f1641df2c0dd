"""How the command is run: by its verb, whose module alone is loaded."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tocsin import __version__
from tocsin.cli import DESCRIPTION, VERBS
from tocsin.cli.command_line import Parser, WrongUsage
from tocsin.cli.terminal import discard_output, open_streams, refuse
from tocsin.protocol.errors import PushError
from tocsin.service.operations.configuration import check_environment

_OF_VERBS = ("--json", "--state")
"""Options that nearly every verb has, so that they are often written before it."""


def perform(argv: Sequence[str] | None) -> int:
    """Do what the command line says, by default that of this process, and return the exit code."""
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
    except BrokenPipeError:  # the reader of our output has left
        discard_output()
        return 1
    return code


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = command_parser(words[0] if words else "")
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


def command_parser(verb: str = "") -> Parser:
    """Return what reads the command line, as far as one verb needs it: the modules of the others cost time and memory."""
    parser = Parser(prog="tocsin", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"tocsin {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for each in (verb,) if verb in VERBS else VERBS:
        _module(each).add_parser(verbs)
    return parser
