"""How the command line is read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from tocsin.cli.terminal import harmless


class Parser(argparse.ArgumentParser):
    """Reads the arguments of the command, or of a verb."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)
        self.mixed = False
        """Whether options may stand between the positional arguments, of which one may be missing."""
        self._mixing = False

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end the process with 2."""
        super().error(harmless(message))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read the arguments as :mod:`argparse` does, and options anywhere where they are ``mixed``.

        A verb's parser is called here. Before Python 3.13.1 an optional positional argument that comes behind an option
        is found by ``parse_known_intermixed_args`` only, which calls this again.
        """
        if not self.mixed or self._mixing:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number within these limits."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"a whole number from {least} to {most}, not {text!r}")
        return number

    return read


def add_verb(verbs: Any, name: str, words: str, description: str, epilog: str) -> Parser:
    """Add a verb; ``words`` say in the list of verbs what it does."""
    parser: Parser = verbs.add_parser(name, help=words, description=description, epilog=epilog)
    return parser
