"""Where the settings come from: the command line, then the environment, then a TOML file, then the defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tocsin.protocol.addresses import is_loopback
from tocsin.protocol.errors import InvalidArgument
from tocsin.service.settings import ServiceSettings

PREFIX = "TOCSIN_"
"""What the name of a setting begins with in the environment."""

_DEFAULTS: Mapping[str, Any] = {each.name: each.default for each in attrs.fields(ServiceSettings)}
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def option(name: str) -> str:
    """Return the command line's option of a setting."""
    return "--" + name.replace("_", "-")


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
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as failure:
        raise InvalidArgument(f"the settings in {path} cannot be read: {failure}") from None
    for name, value in values.items():
        if name not in _DEFAULTS:
            raise InvalidArgument(f"{path}: there is no setting {name!r}")
        if not _is_like(value, _DEFAULTS[name]):
            kind = "a list of texts" if isinstance(_DEFAULTS[name], tuple) else type(_DEFAULTS[name]).__name__
            raise InvalidArgument(f"{path}: {name} is {kind}, not {value!r}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if isinstance(default, float):
        return type(value) in {int, float}
    return type(value) is type(default)


def _parse(name: str, text: str, origin: str) -> Any:
    """Turn a text into a value of the kind that the setting has."""
    default = _DEFAULTS[name]
    try:
        if isinstance(default, bool):
            return _WORDS[text.lower()]
        if isinstance(default, tuple):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return type(default)(text)
    except (ValueError, KeyError):
        kind = {bool: "true or false", int: "a whole number", float: "a number"}[type(default)]
        raise InvalidArgument(f"{origin} is {kind}, not {text!r}") from None


def described() -> list[tuple[str, Any, str]]:
    """Return of each setting its name, its default and its meaning."""
    return [(each.name, each.default, each.metadata["meaning"]) for each in attrs.fields(ServiceSettings)]


def check_exposure(settings: ServiceSettings) -> None:
    """Refuse to speak to other machines without TLS, unless that is wanted.

    :raises InvalidArgument: it is not; the sentence says what to do.
    """
    if not settings.tls_cert and not settings.insecure and not is_loopback(settings.host):
        raise InvalidArgument(
            f"others can reach {settings.host}, and would see tokens and channels: give --tls-cert and --tls-key,"
            " or --insecure if something in front of it speaks TLS"
        )
