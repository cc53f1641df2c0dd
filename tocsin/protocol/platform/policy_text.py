"""How a group policy is written: TOML, of which each setting counts by itself.

What cannot be read of it is a fault with its line, and the rest counts. ``docs/policy.md`` explains every setting.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import Factory, define, frozen

from tocsin.protocol.arguments import check_app_name
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.policy import DAY, QuietHours
from tocsin.protocol.text import MAX_SENTENCE, harmless, quoted

MAX_POLICY_SIZE: Final = 256 * 1024
"""Bytes of a policy at most, in UTF-8."""

MAX_POLICY_LINE: Final = 2_000
"""Characters of a line at most: what reads TOML takes quadratic time for a key of many parts."""

MAX_APPS: Final = 1_024
"""Apps that a policy may have rules for."""

MAX_FAULTS: Final = 20
"""Faults that are told of a policy at most."""

MAX_SIZE: Final = 10**15
"""Bytes of a budget at most."""

PolicyValue = bool | int | QuietHours
"""The value of a setting: a switch, bytes a day, or a time of the day."""


@frozen(order=True)
class PolicyKey:
    """A setting: of all apps, or of one."""

    app: str
    """Empty for what is for all."""
    name: str

    def __str__(self) -> str:
        """Return it as it may be written in one line."""
        if not self.app:
            return self.name
        escaped = self.app.replace("\\", "\\\\").replace('"', '\\"')
        return f'apps."{escaped}".{self.name}'


@frozen
class WrittenPolicy:
    """What a policy says, and what of it is passed over."""

    rules: Mapping[PolicyKey, PolicyValue] = Factory(dict)
    faults: tuple[str, ...] = ()
    """A sentence each, with the line."""


def read_policy(text: str) -> WrittenPolicy:
    """Read a policy.

    :raises InvalidArgument: it is no TOML, or too long; the sentence says where.
    """
    if len(text) > MAX_POLICY_SIZE:
        raise InvalidArgument(f"it has {len(text)} characters, and a policy has at most {MAX_POLICY_SIZE}")
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_POLICY_LINE:
            raise InvalidArgument(f"line {number} has more than {MAX_POLICY_LINE} characters")
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as failure:
        why = harmless(failure, MAX_SENTENCE) if isinstance(failure, ValueError) else "it is too deep"
        raise InvalidArgument(f"it is no TOML: {why}") from None
    reading = _Reading(text)
    reading.read(tree)
    return WrittenPolicy(reading.rules, tuple(reading.faults))


def sized(size: int) -> str:
    """Write a number of bytes as a policy does, such as ``5 MB``."""
    for unit in ("TB", "GB", "MB", "kB"):
        whole, rest = divmod(size * 10, _UNITS[unit.lower()])
        if whole >= 10 and not rest:
            return f"{whole / 10:.15g} {unit}"
    return f"{size} B"


def clock_time(minute: int) -> str:
    """Write a minute of the day as a policy does, such as ``22:00``."""
    return f"{minute // 60:02}:{minute % 60:02}"


class _Wrong(Exception):
    """A value that no setting of that kind has; the words say what would be right."""


@define
class _Reading:
    text: str
    rules: dict[PolicyKey, PolicyValue] = Factory(dict)
    faults: list[str] = Factory(list)
    _lines: dict[tuple[str, ...], int] | None = None

    def read(self, tree: dict[str, Any]) -> None:
        apps = tree.pop("apps", {})
        self._take("", tree, (), OF_ALL)
        if not isinstance(apps, dict):
            self._fault(("apps",), 'the rules of an app stand under [apps."its name"]')
            return
        for number, (app, rules) in enumerate(apps.items()):
            place = ("apps", app)
            if number == MAX_APPS:
                self._fault(
                    place, f"a policy has rules for {MAX_APPS} apps at most; these and those behind are passed over"
                )
                return
            try:
                check_app_name(app, "the name of an app")
            except InvalidArgument as wrong:
                self._fault(place, str(wrong))
                continue
            if isinstance(rules, dict):
                self._take(app, rules, place, OF_APP)
            else:
                self._fault(place, f'the rules of an app are a table: [apps."its name"], not {quoted(rules)}')

    def _take(
        self,
        app: str,
        table: dict[str, Any],
        place: tuple[str, ...],
        settings: Mapping[str, Callable[[Any], PolicyValue]],
    ) -> None:
        for name, value in table.items():
            reader = settings.get(name)
            if reader is None:
                whose = "of one app" if app else "of a policy"
                self._fault((*place, name), f"there is no such setting {whose}; there are {', '.join(settings)}")
                continue
            try:
                self.rules[PolicyKey(app, name)] = reader(value)
            except _Wrong as wrong:
                self._fault((*place, name), str(wrong))

    def _fault(self, place: tuple[str, ...], words: str) -> None:
        if len(self.faults) == MAX_FAULTS:
            return
        if self._lines is None:
            self._lines = _lines_of(self.text)
        known = [place[:length] for length in range(len(place), 0, -1) if place[:length] in self._lines]
        where = f"line {self._lines[known[0]]}: " if known else ""
        key = ".".join(each if _BARE.fullmatch(each) else quoted(each) for each in place)
        self.faults.append(f"{where}{harmless(key, MAX_SENTENCE)}: {words}")


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(f"it is true or false, not {quoted(value)}")
    return value


def _size(value: Any) -> int:
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _Wrong(f'a size is a number with its unit, such as "5 MB" or "512 KiB", not {quoted(value)}')
    whole, part, unit = found.groups(default="")
    thousandths = int(whole + part.ljust(3, "0"))
    size = thousandths * _UNITS[unit.lower()] // 1_000
    if size > MAX_SIZE:
        raise _Wrong(f"a size is {sized(MAX_SIZE)} at most, not {quoted(value)}")
    return size


def _quiet_hours(value: Any) -> QuietHours:
    if not isinstance(value, dict) or value.keys() != {"begin", "end"}:
        raise _Wrong(f'quiet hours are a table with begin = "22:00" and end = "07:00", not {quoted(value)}')
    begin, end = (_minute(name, value[name]) for name in ("begin", "end"))
    if begin == end:
        raise _Wrong("quiet hours end at another time than they begin")
    return QuietHours(begin, end)


def _minute(name: str, value: Any) -> int:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _Wrong(f'{name} is a time from "00:00" to "23:59", in quotes, not {quoted(value)}')
    minute = int(found[1]) * 60 + int(found[2])
    assert minute < DAY  # noqa: S101  # the pattern sees to it
    return minute


_UNITS: Final = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SIZE: Final = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,3}))? ?([kmgt]i?b|b)", re.ASCII | re.IGNORECASE)
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

OF_ALL: Final[Mapping[str, Callable[[Any], PolicyValue]]] = {
    "cloud_notifications": _switch,
    "toasts": _switch,
    "tiles": _switch,
    "badges": _switch,
    "quiet_hours": _quiet_hours,
    "daily_data": _size,
    "daily_metered_data": _size,
}
"""The settings for the whole machine; beside them stands ``apps``."""

OF_APP: Final[Mapping[str, Callable[[Any], PolicyValue]]] = {
    "notifications": _switch,
    "background": _switch,
    "toasts": _switch,
    "tiles": _switch,
    "badges": _switch,
    "exempt_from_energy_saver": _switch,
    "daily_data": _size,
    "daily_metered_data": _size,
}
"""The settings for one app."""

BUDGETS: Final = ("daily_data", "daily_metered_data")
"""Those that an app has from what is for all, where it has none of its own."""


def _lines_of(text: str) -> dict[tuple[str, ...], int]:
    """Find the line of each key and table of a text that is TOML: its reader tells none.

    Where a text of several lines has one that looks like a key, that line may be taken for it.
    """
    lines, table = dict[tuple[str, ...], int](), tuple[str, ...]()
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = _path(stripped) or table
            lines.setdefault(table, number)
        elif stripped and not stripped.startswith("#"):
            path = _path(stripped) or _path(f"{stripped.partition('=')[0]} = 0")
            if path:
                lines.setdefault((*table, *path), number)
    return lines


def _path(line: str) -> tuple[str, ...]:
    """Return the key of a line; empty where it is none by itself."""
    try:
        return tuple(_keys(tomllib.loads(line)))
    except (ValueError, RecursionError):
        return ()


def _keys(tree: Any) -> Iterator[str]:
    while isinstance(tree, dict) and len(tree) == 1:
        ((key, tree),) = tree.items()
        yield key
