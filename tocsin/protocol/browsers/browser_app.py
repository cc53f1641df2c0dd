"""In whose name a browser's push subscription is kept: that of no app, since the browser knows it by its ``channelID``."""

from __future__ import annotations

from typing import Final

_BROWSER: Final = "browser:"


def app_of(channel_id: str) -> str:
    """Return what stands in the place of an app's name."""
    return f"{_BROWSER}{channel_id}"


def channel_id_of(app: str) -> str | None:
    """Return the browser's name of a subscription; None where it is an app's."""
    return app.removeprefix(_BROWSER) if app.startswith(_BROWSER) else None
