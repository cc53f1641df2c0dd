"""How ``tocsin status`` says what an agent knows of its machine."""

from __future__ import annotations

from typing import Any

_GROUPS = (("told", "told by sensors"), ("said", "said by apps"), ("assumed", "assumed"))


def host_lines(host: Any) -> list[tuple[str, str]]:
    """Return lines of a name and words each; none where nothing is said of a machine.

    :raises LookupError: what is said has another form. TypeError says so too.
    """
    if not isinstance(host, dict):
        raise TypeError
    if not host:
        return []
    lines = [(f"sensor {each['name']}", _sensor(each)) for each in host["sensors"]]
    if not lines:
        lines = [("sensors", "none")]
    lines += [(name, _values(host[group])) for group, name in _GROUPS if host[group]]
    if host["unknown"]:
        lines.append(("unknown", ", ".join(_words(each) for each in host["unknown"])))
    return lines


def _sensor(sensor: dict[str, Any]) -> str:
    tells = _values(sensor["tells"])
    return f"{sensor['standing']}; tells {tells}" if tells else f"{sensor['standing']}; tells nothing"


def _values(values: Any) -> str:
    if not isinstance(values, dict):
        raise TypeError
    return ", ".join(f"{_words(name)}: {'yes' if value else 'no'}" for name, value in values.items())


def _words(name: Any) -> str:
    return str(name).replace("_", " ")
