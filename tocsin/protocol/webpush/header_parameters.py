"""The parameters that the headers of Web Push have: ``name=value``, quoted or not, with semicolons and commas between them."""

from __future__ import annotations

import re
from typing import Final

MAX_PARAMETERS: Final = 64
"""Parameters of a header at most; those of real senders have some four."""

# No two repetitions of blanks are neighbours, not even around a value that is empty: what does not fit is seen in one go.
_PARAMETER: Final = re.compile(
    r"""
    [ \t]* (?P<name>[A-Za-z0-9_-]+) [ \t]* =
    [ \t]* (?: "(?P<quoted>[^"\\]*)" [ \t]* | (?P<plain>[^\s",;]+) [ \t]* )?
    (?P<end>[,;]|\Z)
    """,
    re.VERBOSE | re.ASCII,
)


def read_parameters(value: str) -> list[dict[str, str]]:
    """Read a header's value: the parameters of each entry, in their order; names are lower-cased.

    Commas stand between entries, semicolons within one.

    :raises ValueError: it is written otherwise, has a name twice in an entry, or more than ``MAX_PARAMETERS``.
    """
    entries: list[dict[str, str]] = [{}]
    position = count = 0
    while position < len(value):
        count += 1
        if count > MAX_PARAMETERS:
            raise ValueError(f"a header has {MAX_PARAMETERS} parameters at most")
        found = _PARAMETER.match(value, position)
        if found is None:
            raise ValueError("parameters are written name=value, with commas or semicolons between them")
        name = found["name"].lower()
        if name in entries[-1]:
            raise ValueError("a parameter is given twice")
        entries[-1][name] = found["quoted"] or found["plain"] or ""
        if found["end"] == ",":
            entries.append({})
        position = found.end()
    return entries
