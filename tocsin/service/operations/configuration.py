"""Where the settings come from: the command line, then the environment, then a TOML file, then the defaults."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import attrs

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.addresses import is_loopback
from tocsin.protocol.text import quoted
from tocsin.service.operations.settings import ServiceSettings

PREFIX = "TOCSIN_"
"""What the name of a setting begins with in the environment."""

OTHERS = ("TOCSIN_STATE", "TOCSIN_CONFIG", "TOCSIN_CLIENT_ID", "TOCSIN_CLIENT_SECRET")
"""The variables of the command that are no settings."""

_NEAR = 0.8  # how alike two names are, from 0 to 1, where one is meant to be the other

_DEFAULTS: Mapping[str, Any] = {each.name: each.default for each in attrs.fields(ServiceSettings)}
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
_READ: Mapping[type, Callable[[str], Any]] = {
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


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def option(name: str) -> str:
    """Return the command line's option of a setting."""
    return "--" + name.replace("_", "-")


def check_environment(environ: Mapping[str, str]) -> list[str]:
    """Look for variables that are meant for us and are none of ours; return those that may be for another program.

    :raises InvalidArgument: one is spelled nearly as one of ours, so its value would be missed.
    """
    known = [*OTHERS, *map(variable, _DEFAULTS)]
    strange = [name for name in environ if name.upper().startswith(PREFIX) and name not in known]
    for name in strange:
        meant = nearest(name.upper().removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known])
        if meant is not None:
            raise InvalidArgument(f"{name} has no meaning; if it is to be {PREFIX}{meant}, it has to be called so")
    return sorted(strange)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, or None."""
    return next(iter(get_close_matches(name, known, 1, _NEAR)), None)


def load_settings(options: Mapping[str, str], environ: Mapping[str, str], config: Path | None) -> ServiceSettings:
    """Put the settings together; the options' values are texts, as those of the environment.

    :raises InvalidArgument: a value cannot be right, or the file cannot be read; the sentence says which and where.
    """
    choices = {} if config is None else _read_file(config)
    for name in _DEFAULTS:
        text = environ.get(variable(name))
        if text is not None:
            choices[name] = _parse(name, text, variable(name))
    choices |= {name: _parse(name, text, option(name)) for name, text in options.items()}
    return ServiceSettings(**choices)


def _read_file(path: Path) -> dict[str, Any]:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InvalidArgument(f"the settings in {path} cannot be read: it is no regular file")
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except (OSError, ValueError) as failure:  # no file, no TOML, no UTF-8
        raise InvalidArgument(f"the settings in {path} cannot be read: {failure}") from None
    except RecursionError:
        raise InvalidArgument(f"the settings in {path} cannot be read: too many brackets") from None
    for name in values:
        if name not in _DEFAULTS:
            meant = nearest(name, _DEFAULTS)
            raise InvalidArgument(
                f"{path}: there is no setting {quoted(name)}{f'; {quoted(meant)} is one' if meant else ''}"
            )
    choices: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    try:
        ServiceSettings(**choices)
    except InvalidArgument as wrong:
        raise InvalidArgument(f"{path}: {wrong}") from None
    return choices


def _parse(name: str, text: str, origin: str) -> Any:
    """Turn a text into a value of the kind that the setting has, and see that it can be right."""
    value: Any = text
    with suppress(ValueError, KeyError):  # what stays a text is not of that kind
        value = _READ.get(type(_DEFAULTS[name]), str)(text)
    try:
        ServiceSettings(**{name: value})
    except InvalidArgument as wrong:
        raise InvalidArgument(f"{origin}{str(wrong).removeprefix(name)}") from None
    return value


def described() -> list[tuple[str, Any, str]]:
    """Return of each setting its name, its default and its meaning."""
    return [(each.name, each.default, each.metadata["meaning"]) for each in attrs.fields(ServiceSettings)]


def check_exposure(settings: ServiceSettings) -> None:
    """Refuse to speak to other machines without TLS, unless that is wanted.

    :raises InvalidArgument: it is not; the sentence says what to do.
    """
    check_dev_tls(settings)
    if not settings.tls_cert and not settings.insecure and not is_loopback(settings.host):
        raise InvalidArgument(
            f"others can reach {settings.host}, and would see tokens and channels: give --tls-cert and --tls-key,"
            " or --insecure if something in front of it speaks TLS"
        )


def check_dev_tls(settings: ServiceSettings) -> None:
    """Refuse a certificate for development where it is of no use.

    :raises InvalidArgument: there is another, or other machines are to be reached; the sentence says what to do.
    """
    if settings.dev_tls and (settings.tls_cert or settings.tls_key):
        raise InvalidArgument(
            "dev_tls makes a certificate, and tls_cert and tls_key name another: give --dev-tls for tests on this"
            " machine, or --tls-cert for what others reach"
        )
    if settings.dev_tls and not is_loopback(settings.host):
        raise InvalidArgument(
            f"the certificate of dev_tls is for this machine only, and others can reach {settings.host}: give --host"
            " 127.0.0.1, ::1 or localhost, or a certificate of its own by --tls-cert"
        )
