"""How the command line is read."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn

from tocsin.protocol.text import harmless, quoted

_WHOLE = re.compile("-?[0-9]{1,20}")
_MARK = "\0"  # no argument of a process can have one


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

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]  # its overloads are one here
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Read the arguments as :mod:`argparse` does, and options anywhere where they are ``mixed``.

        A verb's parser is called here. Before Python 3.13.1 an optional positional argument that comes behind an option
        is found by ``parse_known_intermixed_args`` only, which calls this again, and forgets where a ``--`` stood. So
        what stands behind it is marked as no option.
        """
        if not self.mixed or self._mixing:
            return super().parse_known_args(args, namespace)
        head, tail = (args[: args.index("--")], args[args.index("--") + 1 :]) if "--" in args else (args, [])
        self._mixing = True
        try:
            found, more = self.parse_known_intermixed_args([*head, *(_MARK + each for each in tail)], namespace)
        finally:
            self._mixing = False
        for name, value in vars(found).items():
            if isinstance(value, str):
                setattr(found, name, value.removeprefix(_MARK))
        return found, [each.removeprefix(_MARK) for each in more]


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number within these limits."""

    def read(text: str) -> int:
        number = int(text) if _WHOLE.fullmatch(text) else least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"a whole number from {least} to {most}, not {quoted(text)}")
        return number

    return read


def add_verb(verbs: Any, name: str, words: str, description: str, epilog: str) -> Parser:
    """Add a verb; ``words`` say in the list of verbs what it does."""
    parser: Parser = verbs.add_parser(name, help=words, description=description, epilog=epilog)
    return parser
