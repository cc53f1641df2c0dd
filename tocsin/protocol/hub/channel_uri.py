"""What a hub takes for a channel's URI: a URL of the web, kept and given back byte by byte."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from tocsin.protocol.hub.descriptions import MAX_CHANNEL_URI
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused

_PLAIN: Final = re.compile(r"[!-~]+")


def check_channel_uri(uri: str, what: str = "ChannelUri") -> str:
    """Return a channel's URI as it is.

    :param what: how the request calls it.
    :raises HubRefused: 400; it is none. The sentence does not show it, since what is sent to it arrives.
    """
    if len(uri) > MAX_CHANNEL_URI:
        raise HubRefused(
            HubReason.WRONG_CHANNEL, f"{what} has {len(uri)} characters; {MAX_CHANNEL_URI} are taken at most."
        )
    try:
        parts = urlsplit(uri)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or not _PLAIN.fullmatch(uri):
        raise HubRefused(
            HubReason.WRONG_CHANNEL, f"{what} is the URI of a channel, which begins with https:// and has no blank."
        )
    return uri
