"""How the command line is read."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import harmless, quoted
from tocsin.service.operations.settings_reader import LIKELY, nearest

_WHOLE = re.compile("-?[0-9]{1,20}")
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_LONGEST = 1_000_000_000
_MARK = "\0"  # no argument of a process can have one


class WrongUsage(Exception):
    """The command line is none; its text says why."""

    def __init__(self, parser: argparse.ArgumentParser, message: str) -> None:
        super().__init__(harmless(message))
        self.parser = parser


class Parser(argparse.ArgumentParser):
    """Reads the arguments of the command, or of a verb."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)
        self.mixed = False
        """Whether options may stand between the positional arguments, of which one may be missing."""
        self._mixing = False

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        :raises WrongUsage: always.
        """
        raise WrongUsage(self, message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse what is no choice; where one of them was probably meant, name that and not all."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError:
            meant = nearest(str(value), map(str, action.choices or ()), LIKELY)
            if meant is None:
                raise
            words = f"there is no {quoted(value)}; did you mean {quoted(meant)}?"
            raise argparse.ArgumentError(action, words) from None

    def _strange(self, words: list[str]) -> str:
        """Say which words have no meaning here, and which option each was probably to be."""
        options = [word.partition("=")[0] for word in words if word.startswith("-")]
        known = [option for option in self._option_string_actions if option.startswith("--")]
        near = dict.fromkeys(filter(None, (nearest(option, known, LIKELY) for option in options)))
        meant = f"; did you mean {' '.join(near)}?" if near else ""
        if near and set(near) <= set(options):
            meant = "; options stand before --"
        return f"unrecognized arguments: {' '.join(words)}{meant}"

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]  # its overloads are one here
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Read all arguments as :mod:`argparse` does, and options anywhere where they are ``mixed``.

        A verb's parser is called here. Before Python 3.13.1 an optional positional argument that comes behind an option
        is found by ``parse_known_intermixed_args`` only, which calls this again, and forgets where a ``--`` stood. So
        what stands behind it is marked as no option.
        """
        if self._mixing:
            return super().parse_known_args(args, namespace)
        found, more = (self._parse_mixed if self.mixed else super().parse_known_args)(args, namespace)
        if more:  # here, where the options are known that may have been meant
            self.error(self._strange(more))
        return found, more

    def _parse_mixed(self, args: Any, namespace: Any) -> tuple[Any, list[str]]:
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


def span(text: str) -> float:
    """Read a span of time in seconds, which may have a fraction."""
    seconds = float(text) if _DECIMAL.fullmatch(text) else 0.0
    if not 0 < seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"seconds above 0, {_LONGEST:,} at most, not {quoted(text)}")
    return seconds


def by_rule(check: Callable[[str], object]) -> Callable[[str], str]:
    """Return what takes a text as it is, if it is right by a rule that raises ``InvalidArgument`` else."""

    def read(text: str) -> str:
        try:
            check(text)
        except InvalidArgument as wrong:
            raise argparse.ArgumentTypeError(str(wrong)) from None
        return text

    return read


def add_verb(verbs: Any, name: str, words: str, description: str, epilog: str) -> Parser:
    """Add a verb; ``words`` say in the list of verbs what it does."""
    parser: Parser = verbs.add_parser(name, help=words, description=description, epilog=epilog)
    return parser
