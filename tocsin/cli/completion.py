"""``tocsin completion``: what lets a shell complete the command's verbs, options and choices."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from tocsin.cli.command_line import add_verb
from tocsin.cli.terminal import show

DESCRIPTION = """\
Print a script by which a shell completes verbs, options, choices and the names of files and folders.

It is made of the command as it is installed: print it anew after an upgrade. The shell alone looks at it, so completing
costs no start of Python.
"""

EPILOG = """\
examples:
  tocsin completion bash
  tocsin completion zsh

where the shells read it:
  bash         ~/.local/share/bash-completion/completions/tocsin, with the package bash-completion; else source it in ~/.bashrc
  zsh          a file _tocsin in a folder of $fpath, before compinit is run
  fish         ~/.config/fish/completions/tocsin.fish
  tcsh         source it in ~/.tcshrc
  powershell   dot-source it in $PROFILE
"""

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")

_FILES = ("FILE", "PATH")
_FILE_SETTINGS = ("setting_tls_cert", "setting_tls_key", "setting_hub_connection_file", "setting_client_secret_file")


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "completion", "print what lets a shell complete the command", DESCRIPTION, EPILOG)
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to complete it")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab  # noqa: PLC0415  # only who sets up a shell pays

    from tocsin.cli.performing import command_parser  # noqa: PLC0415  # the command has read its verb, and is whole by now

    parser = command_parser()
    for action in _actions(parser):
        if action.metavar == "DIR":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # that is how shtab is told
        elif action.metavar in _FILES or action.dest in _FILE_SETTINGS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # as above
    show(shtab.complete(parser, arguments.shell).rstrip("\n"))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Find what a parser and those of its verbs read."""
    for action in parser._actions:  # noqa: SLF001  # argparse has no other way to them
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as above
            for each in action.choices.values():
                yield from _actions(each)
