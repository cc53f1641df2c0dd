"""The arguments of a toast: pairs of text in one text, as ``ToastArguments`` of the Windows Community Toolkit writes them.

The toolkit decodes ``%25`` first and so reads ``%253B`` as ``;``. Here each code is decoded once, as the Windows App SDK does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from enum import Enum
from math import isfinite
from typing import Any, Final

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument, NotFound
from tocsin.protocol.text import quoted

_CODES: Final = {"%25": "%", "%3B": ";", "%3D": "="}
_CODE: Final = re.compile("|".join(_CODES))
_ENCODE: Final = str.maketrans({value: code for code, value in _CODES.items()})

ArgumentValue = str | bool | int | float | Enum | None


class ToastArguments(MutableMapping[str, str | None]):
    """Arguments by name, in the order in which they were first set; None is the value of a name without one.

    True and False are written as 1 and 0, an enumeration as its value, a number as Python writes it, on every machine.

    Example::

        arguments = tocsin.ToastArguments.parse("action=open;id=7")
        print(arguments["action"], arguments.get_int("id"))
    """

    def __init__(self, /, **values: ArgumentValue) -> None:
        self._values: dict[str, str | None] = {}
        for name, value in values.items():
            self[name] = value

    @classmethod
    def parse(cls, text: str | None) -> ToastArguments:
        """Read arguments; of a name that comes twice the last value counts, at the place of the first."""
        check_kind(text, "arguments", str, type(None))
        arguments = cls()
        for pair in (text or "").split(";"):
            name, separator, value = pair.partition("=")
            if pair.strip():
                arguments._values[_decoded(name)] = _decoded(value) if separator else None
        return arguments

    def add(self, name: str, value: ArgumentValue = None) -> ToastArguments:
        """Set an argument, and return these arguments.

        :raises InvalidArgument: the name is empty, or the value is none that can be written.
        """
        self[name] = value
        return self

    def get_text(self, name: str) -> str:
        """Return the value of an argument.

        :raises NotFound: there is no such argument, or it has no value.
        """
        value = self._values.get(name)
        if value is None:
            raise NotFound(f"there is no argument {quoted(name)} with a value")
        return value

    def get_bool(self, name: str) -> bool:
        """Return whether an argument is ``1``.

        :raises NotFound: there is no such argument.
        """
        return self.get_text(name) == "1"

    def get_int(self, name: str) -> int:
        """Return an argument as a whole number.

        :raises NotFound: there is no such argument.
        :raises InvalidArgument: it is no whole number.
        """
        text = self.get_text(name)
        try:
            return int(text)
        except ValueError:
            raise InvalidArgument(f"the argument {quoted(name)} is no whole number: {quoted(text)}") from None

    def get_float(self, name: str) -> float:
        """Return an argument as a number; errors as for :meth:`get_int`."""
        text = self.get_text(name)
        try:
            return float(text)
        except ValueError:
            raise InvalidArgument(f"the argument {quoted(name)} is no number: {quoted(text)}") from None

    def __setitem__(self, name: str, value: Any) -> None:
        check_kind(name, "the name of an argument", str)
        if not name.strip():
            raise InvalidArgument("the name of an argument must not be empty, nor blanks alone")
        self._values[name] = _written(value)

    def __getitem__(self, name: str) -> str | None:
        return self._values[name]

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __str__(self) -> str:
        pairs = self._values.items()
        return ";".join(
            _encoded(name) if value is None else f"{_encoded(name)}={_encoded(value)}" for name, value in pairs
        )

    def __repr__(self) -> str:
        return f"ToastArguments.parse({str(self)!r})"


def _written(value: Any) -> str | None:
    if isinstance(value, Enum):
        value = value.value
    check_kind(value, "the value of an argument", str, bool, int, float, type(None))
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and not isfinite(value):
        raise InvalidArgument("the value of an argument must be a finite number")
    return value if value is None or isinstance(value, str) else str(value)


def _encoded(text: str) -> str:
    return text.translate(_ENCODE)


def _decoded(text: str) -> str:
    return _CODE.sub(lambda code: _CODES[code[0]], text)
