"""Which payloads ``tocsin listen`` is asked for: those of some types, whose text has a pattern."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from attrs import frozen

from tocsin.cli.terminal import complain
from tocsin.protocol.text import harmless, quoted
from tocsin.protocol.values import WNS_TYPES, NotificationType

SEARCH_TIME = 0.25
"""Seconds that a pattern may be looked for in one payload: some patterns take longer than the world stands."""

_LONGEST_PATTERN = 1_000


@frozen
class PayloadChoice:
    """What is asked for; nothing given asks for all.

    :param types: the types, of which one is enough; none for all.
    :param search: looks for the pattern in a text; None where there is none.
    """

    types: tuple[str, ...]
    search: Callable[[str], bool] | None

    def takes(self, id: str, kind: NotificationType, body: bytes) -> bool:  # noqa: A002  # WNS has one
        """Return whether a payload is asked for; one in which the search takes too long is not, and that is said."""
        if self.types and str(kind) not in self.types:
            return False
        if self.search is None:
            return True
        try:
            return self.search(body.decode("utf-8", "replace"))
        except TimeoutError:
            complain("tocsin listen", f"--grep takes too long in payload {harmless(id)}, which is passed over")
            return False


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that :func:`choice_of` reads."""
    parser.add_argument(
        "--type",
        dest="types",
        action="append",
        choices=[str(kind) for kind in WNS_TYPES],
        default=[],
        help="take payloads of this type only; may be given more than once",
    )
    words = f"take payloads only in whose text the pattern is found, within {SEARCH_TIME:g} s"
    parser.add_argument("--grep", type=_pattern, metavar="REGEX", help=words)


def choice_of(arguments: argparse.Namespace) -> PayloadChoice:
    """Return what the command line asks for."""
    return PayloadChoice(tuple(arguments.types), arguments.grep)


def _pattern(text: str) -> Callable[[str], bool]:
    """Return what looks for a pattern; the module re has no limit of time, so a sender could stop the listener."""
    try:
        import regex  # noqa: PLC0415  # only who searches pays
    except ModuleNotFoundError as missing:
        raise argparse.ArgumentTypeError(
            f"this needs the package {missing.name}: pip install 'tocsin[service]'"
        ) from None
    if len(text) > _LONGEST_PATTERN:
        raise argparse.ArgumentTypeError(f"a pattern has {_LONGEST_PATTERN} characters at most, not {len(text)}")
    try:
        pattern: Any = regex.compile(text)
    except regex.error as wrong:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no pattern: {wrong}") from None
    return lambda body: pattern.search(body, timeout=SEARCH_TIME) is not None
