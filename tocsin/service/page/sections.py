"""The parts of the page that change: each is what stands in one element, by the element's id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from tocsin.protocol.values import CHANNEL_LIFETIME
from tocsin.service.page.markup import Child, Markup, el, together
from tocsin.service.page.picture import MOST, Picture, ShownChannel, ShownDevice
from tocsin.service.page.plots import plot

CHANNELS: Final = ("Channel", "App", "Device", "Granted", "Expires", "Connection")
APPS: Final = ("App", "Client id", "Remote id", "Secrets")
DEVICES: Final = ("Device", "Connection", "Channels", "On the way")

_LAST: Final = datetime.max.replace(tzinfo=UTC).timestamp() - 1.0
_ROWS: Final = 2 * MOST  # that are kept written: from one picture to the next hardly any is another
_SHORT: Final = 8  # characters of a channel's name, and of a device's hash


def sections(picture: Picture, url: str, since: float) -> dict[str, Markup]:
    """Write all of them.

    :param since: when the service was started, in seconds since the epoch.
    """
    return {
        "standing": _standing(picture, url, since),
        "plots": together(*map(plot, picture.curves)),
        "channel": choices(picture.channels, ""),
        "channel-rows": _channels(picture),
        "channel-note": _note(
            len(picture.channels), picture.channels_kept, "Channels that are kept, ended ones included"
        ),
        "app-rows": _apps(picture),
        "device-rows": _devices(picture),
        "device-note": _note(len(picture.devices), picture.devices_connected, "Devices that are connected"),
    }


def moment(seconds: float) -> Markup:
    """Write a moment, to the minute; one that no calendar has, as of a clock of a test that was set ahead, as the last of all."""
    at = datetime.fromtimestamp(min(seconds, _LAST), UTC)
    return el("time", f"{at:%Y-%m-%d %H:%M}", datetime=f"{at:%Y-%m-%dT%H:%MZ}")


def choices(channels: Iterable[ShownChannel], chosen: str) -> Markup:
    """Write the channels that can be sent to, as options.

    :param chosen: the name of the one that is chosen.
    """
    return together(
        *(
            _option(each, is_chosen=each.row.name == chosen)
            for each in sorted(channels, key=lambda each: not each.connected)
        )
    )


@lru_cache(_ROWS)
def _option(shown: ShownChannel, *, is_chosen: bool) -> Markup:
    row, connection = shown.row, _connection(connected=shown.connected)
    words = f"{shown.app}, {row.name[:_SHORT]} on {row.device[:_SHORT]} ({connection})"
    return el("option", words, value=row.name, selected=is_chosen)


def _standing(picture: Picture, url: str, since: float) -> Markup:
    well = together(*(el("p", f"{name}: {why}", class_="cause") for name, why in picture.causes.items()))
    state = el("span", "not well" if picture.causes else "well", class_=f"state {'ill' if picture.causes else 'well'}")
    return el(
        "dl",
        pair("State", together(state, well)),
        pair("Version", installed_version()),
        pair("Reached at", url),
        pair("Up since", together(moment(since), " UTC")),
        pair("Kept for devices that are away", f"{picture.stored:,}"),
    )


@cache
def installed_version() -> str:
    """Return the version of Tocsin."""
    try:
        return version("tocsin")
    except PackageNotFoundError:  # a checkout that is not installed
        return "of a checkout"


def pair(term: str, value: Child) -> Markup:
    """Write a term, and what is said of it."""
    return el("div", el("dt", term), el("dd", value))


def _channels(picture: Picture) -> Markup:
    return together(*map(_channel, picture.channels)) or none(
        CHANNELS, "No app has a channel: it asks for one with its remote id."
    )


@lru_cache(_ROWS)
def _channel(shown: ShownChannel) -> Markup:
    row = shown.row
    granted, expires = moment(row.expires - CHANNEL_LIFETIME), moment(row.expires)
    name, device = el("code", row.name[:_SHORT]), el("code", row.device[:_SHORT])
    return _row(name, shown.app, device, granted, expires, _state(connected=shown.connected))


def _apps(picture: Picture) -> Markup:
    return rows(
        (app.name, el("code", app.client_id), el("code", app.remote_id), secrets) for app, secrets in picture.apps
    ) or none(APPS, "No app is registered: 'tocsin app add NAME' lets one in.")


def _devices(picture: Picture) -> Markup:
    return together(*map(_device, picture.devices)) or none(DEVICES, "No device is known.")


@lru_cache(_ROWS)
def _device(shown: ShownDevice) -> Markup:
    connection = _state(connected=shown.on_the_way is not None)
    return _row(el("code", shown.key[:_SHORT]), connection, shown.channels, shown.on_the_way or 0)


def rows(cells: Iterable[Sequence[Child]]) -> Markup:
    """Write the rows of a table."""
    return together(*(_row(*row) for row in cells))


def _row(*cells: Child) -> Markup:
    return el("tr", *map(_cell, cells))


def _cell(value: Child) -> Markup:
    return el("td", value, class_="number" if isinstance(value, int) else None)


def none(columns: Sequence[str], words: str) -> Markup:
    """Write what a table without rows has."""
    return el("tr", el("td", words, colspan=len(columns), class_="none"))


def _state(*, connected: bool) -> Markup:
    words = _connection(connected=connected)
    return el("span", words, class_=f"state {words}")


def _connection(*, connected: bool) -> str:
    return "connected" if connected else "away"


def _note(shown: int, there: int, what: str) -> Markup:
    most = f"The newest {MOST} are shown. " if shown == MOST else ""
    return together(f"{most}{what}: {there:,}.")
