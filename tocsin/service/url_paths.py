"""The paths of the service's URL, and the token in a channel URI."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

CHANNEL_PATH: Final = "/w/"
"""Where channel URIs point; their query is ``token=`` and the token."""

PUSH_PATH: Final = "/p/"
"""Where push subscriptions point; behind it are the token, and where a message is meant, a slash and its id."""

DEVICE_PATH: Final = "/device"
"""Where devices connect."""

BROWSER_PATH: Final = "/browsers"
"""Where browsers connect, where they may."""

PAGE_PATH: Final = "/_tocsin/page/"
"""What the paths of the page begin with, but for the page itself, which is ``/``. No hub is called so: its name begins with a letter or digit."""

PAGE_FILES: Final = PAGE_PATH.lstrip("/")
"""The same as seen from the page: a proxy may have it under a path of its own."""

RESERVED: Final = frozenset({"w", "p", "device", "browsers", "accesstoken.srf", "healthz", "readyz", "metrics"})
"""What a path of the service begins with: no hub is called so."""


def token_of(query: bytes) -> str | None:
    """Take the token out of a channel URI's query, which may be percent-encoded; None if there is not exactly one."""
    text = query.decode("latin-1")
    if text.startswith("token=") and not ("&" in text or "%" in text or "+" in text):
        return text[6:]
    try:
        values = [value for name, value in parse_qsl(text, max_num_fields=16) if name == "token"]
    except ValueError:
        return None
    return values[0] if len(values) == 1 else None


def token_of_uri(uri: str) -> str | None:
    """Take the token out of a channel URI; None if there is not exactly one."""
    try:
        return token_of(urlsplit(uri).query.encode())
    except ValueError:
        return None


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, the port where it is named."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
