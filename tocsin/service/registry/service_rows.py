"""Channels, stored notifications and what devices do not want, as rows of a database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.service.offline_queue import Entry
from tocsin.protocol.values import NotificationType
from tocsin.service.registry.service_store import ChannelRow


def channel_of_row(row: tuple[Any, ...]) -> ChannelRow:
    """Read a channel."""
    token_hash, name, client_id, app, device, expires, revoked = row
    return ChannelRow(token_hash, name, client_id, app, device, expires, revoked=bool(revoked))


def unwanted_of_text(text: str) -> Unwanted:
    """Read what a device does not want to be sent."""
    what = json.loads(text)
    types = tuple(NotificationType(kind) for kind in what.pop("types"))
    everything = what.pop("everything")
    return Unwanted(everything, types, **{name: tuple(apps) for name, apps in what.items()})


def entry_to_row(entry: Entry) -> tuple[Any, ...]:
    """Return a stored notification as it is kept, without its device and its body."""
    return (
        *(entry.sequence, entry.id, entry.channel, entry.app, entry.type, entry.tag, entry.group, entry.priority),
        *(entry.received, entry.expires, entry.ends, entry.suppress_popup),
    )


def entry_of_row(row: Sequence[Any]) -> Entry:
    """Read a stored notification, without its device and its body."""
    sequence, name, channel, app, kind, tag, group, *rest, ends, suppress = row
    priority, received, expires = rest
    return Entry(
        *(sequence, name, channel, app, NotificationType(kind), tag, group, priority, received, expires, ends),
        suppress_popup=bool(suppress),
    )
