"""Reads settings: the command line goes before the environment, that before a TOML file, and that before the defaults."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import attrs

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

S = TypeVar("S", bound=attrs.AttrsInstance)

OURS: Final = "TOCSIN_"
"""What the name of every variable of ours begins with."""

LIKELY: Final = 0.6
"""How alike two names are, from 0 to 1, where one was probably meant: enough for a question behind a refusal."""

_SURELY: Final = 0.8  # where it is refused for that

_WORDS: Final = {
    word: yes for yes, words in ((True, "true 1 yes on"), (False, "false 0 no off")) for word in words.split()
}
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
_READ: Final[Mapping[type, Callable[[str], Any]]] = {
    bool: lambda text: _WORDS[text.lower()],
    int: lambda text: int(_number(text)),
    float: lambda text: float(_number(text)),
    tuple: lambda text: tuple(part.strip() for part in text.split(",") if part.strip()),
}


def _number(text: str) -> str:
    """Return a text that is a number as people write it; Python's own readers take more, such as ``1_0``."""
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return text


def option(name: str) -> str:
    """Return the command line's option of a setting."""
    return "--" + name.replace("_", "-")


def nearest(name: str, known: Iterable[str], alike: float) -> str | None:
    """Return the known name that was meant, if one is as much alike as that, from 0 to 1."""
    return next(iter(get_close_matches(name, list(known), 1, alike)), None)


class SettingsReader(Generic[S]):
    """Reads the settings of one kind of service.

    :param kind: the class of the settings.
    :param prefix: what their variables begin with.
    :param others: variables of ours that are none of these settings.
    :param apart: what variables of ours begin with that are not looked at.
    """

    def __init__(self, kind: type[S], prefix: str, others: Iterable[str], apart: tuple[str, ...] = ()) -> None:
        self._kind = kind
        self._prefix = prefix
        self._defaults: dict[str, Any] = {each.name: each.default for each in attrs.fields(kind)}
        self._known = [*others, *map(self.variable, self._defaults)]
        self._apart = apart

    def variable(self, name: str) -> str:
        """Return the environment variable of a setting."""
        return self._prefix + name.upper()

    def described(self, *, options: bool = False) -> list[tuple[str, Any, str]]:
        """Return of each setting its name, its default and its meaning.

        :param options: only of those that may be given on the command line.
        """
        return [
            (each.name, each.default, each.metadata["meaning"])
            for each in attrs.fields(self._kind)
            if not options or each.metadata["option"]
        ]

    def check_environment(self, environ: Mapping[str, str]) -> list[str]:
        """Look for variables that are meant for us and are none of ours; return those that may be for another program.

        :raises InvalidArgument: one is spelled nearly as one of ours, so its value would be missed.
        """
        strange = [
            name
            for name in environ
            if name.upper().startswith(OURS) and not name.startswith(self._apart) and name not in self._known
        ]
        for name in strange:
            meant = nearest(name.upper().removeprefix(OURS), [each.removeprefix(OURS) for each in self._known], _SURELY)
            if meant is not None:
                raise InvalidArgument(f"{name} has no meaning; did you mean {OURS}{meant}?")
        return sorted(strange)

    def load(self, options: Mapping[str, str], environ: Mapping[str, str], config: Path | None) -> S:
        """Put the settings together; the options' values are texts, as those of the environment.

        :raises InvalidArgument: a value cannot be right, or the file cannot be read; the sentence says which and where.
        """
        choices = {} if config is None else self._read_file(config)
        for name in self._defaults:
            text = environ.get(self.variable(name))
            if text is not None:
                choices[name] = self._parse(name, text, self.variable(name))
        choices |= {name: self._parse(name, text, option(name)) for name, text in options.items()}
        return self._kind(**choices)

    def _read_file(self, path: Path) -> dict[str, Any]:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise InvalidArgument(f"the settings in {path} cannot be read: it is no regular file")
        try:
            with path.open("rb") as file:
                values = tomllib.load(file)
        except OSError as failure:
            raise InvalidArgument(f"the settings in {path} cannot be read: {failure.strerror or failure}") from None
        except ValueError as failure:  # no TOML, no UTF-8
            raise InvalidArgument(f"the settings in {path} cannot be read: {failure}") from None
        except RecursionError:
            raise InvalidArgument(f"the settings in {path} cannot be read: too many brackets") from None
        for name in values:
            if name not in self._defaults:
                meant = nearest(name.replace("-", "_"), self._defaults, LIKELY)
                raise InvalidArgument(
                    f"{path}: there is no setting {quoted(name)}{f'; did you mean {quoted(meant)}?' if meant else ''}"
                )
        choices: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        try:
            self._kind(**choices)
        except InvalidArgument as wrong:
            raise InvalidArgument(f"{path}: {wrong}") from None
        return choices

    def _parse(self, name: str, text: str, origin: str) -> Any:
        """Turn a text into a value of the kind that the setting has, and see that it can be right."""
        value: Any = text
        with suppress(ValueError, KeyError):  # what stays a text is not of that kind
            value = _READ.get(type(self._defaults[name]), str)(text)
        try:
            self._kind(**{name: value})
        except InvalidArgument as wrong:
            raise InvalidArgument(f"{origin}{str(wrong).removeprefix(name)}") from None
        return value
