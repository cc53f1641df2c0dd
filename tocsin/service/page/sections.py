"""The parts of the page that change: each is what stands in one element, by the element's id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from tocsin.protocol.values import CHANNEL_LIFETIME
from tocsin.service.page.markup import Child, Markup, el, together
from tocsin.service.page.picture import MOST, Picture
from tocsin.service.page.plots import plot

CHANNELS: Final = ("Channel", "App", "Device", "Granted", "Expires", "Connection")
APPS: Final = ("App", "Client id", "Remote id", "Secrets")
DEVICES: Final = ("Device", "Connection", "Channels", "On the way")

_SHORT: Final = 8  # characters of a channel's name, and of a device's hash


def sections(picture: Picture, url: str, since: float) -> dict[str, Markup]:
    """Write all of them.

    :param since: when the service was started, in seconds since the epoch.
    """
    return {
        "standing": _standing(picture, url, since),
        "plots": together(*map(plot, picture.curves)),
        "channel": choices(picture, ""),
        "channel-rows": _channels(picture),
        "channel-note": _note(
            len(picture.channels), picture.channels_kept, "Channels that are kept, ended ones included"
        ),
        "app-rows": _apps(picture),
        "device-rows": _devices(picture),
        "device-note": _note(len(picture.devices), picture.devices_connected, "Devices that are connected"),
    }


def moment(seconds: float) -> Markup:
    """Write a moment, to the minute."""
    at = datetime.fromtimestamp(seconds, UTC)
    return el("time", f"{at:%Y-%m-%d %H:%M}", datetime=f"{at:%Y-%m-%dT%H:%MZ}")


def choices(picture: Picture, chosen: str) -> Markup:
    """Write the channels that can be sent to, as options.

    :param chosen: the name of the one that is chosen.
    """
    return together(
        *(
            el(
                "option",
                f"{each.app}, {each.row.name[:_SHORT]} on {each.row.device[:_SHORT]}"
                f" ({_connection(connected=each.connected)})",
                value=each.row.name,
                selected=each.row.name == chosen,
            )
            for each in sorted(picture.channels, key=lambda each: not each.connected)
        )
    )


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
    return rows(
        (
            el("code", each.row.name[:_SHORT]),
            each.app,
            el("code", each.row.device[:_SHORT]),
            moment(each.row.expires - CHANNEL_LIFETIME),
            moment(each.row.expires),
            _state(connected=each.connected),
        )
        for each in picture.channels
    ) or none(CHANNELS, "No app has a channel: it asks for one with its remote id.")


def _apps(picture: Picture) -> Markup:
    return rows(
        (app.name, el("code", app.client_id), el("code", app.remote_id), secrets) for app, secrets in picture.apps
    ) or none(APPS, "No app is registered: 'tocsin app add NAME' lets one in.")


def _devices(picture: Picture) -> Markup:
    return rows(
        (
            el("code", each.key[:_SHORT]),
            _state(connected=each.on_the_way is not None),
            each.channels,
            each.on_the_way or 0,
        )
        for each in picture.devices
    ) or none(DEVICES, "No device is known.")


def rows(cells: Iterable[Sequence[Child]]) -> Markup:
    """Write the rows of a table."""
    return together(*(el("tr", *(_cell(value) for value in row)) for row in cells))


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
