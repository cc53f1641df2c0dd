"""Text from outside on its way to a person: one line, and nothing in it that a terminal takes for an order."""

from __future__ import annotations


def harmless(text: object) -> str:
    """Return a text as one line in which what is not printable is shown as an escape.

    So neither control sequences, nor line ends, nor marks that turn the direction of writing reach a terminal or a log.
    """
    shown = str(text)
    return shown if shown.isprintable() else "".join(map(_escaped, shown))


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
