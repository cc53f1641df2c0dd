"""Which page of the web a request is from, as its browser says: what is asked by pages of others is refused.

A page of another site may let a browser ask this machine, and a name of its own may lead here (DNS rebinding): the browser
then takes the answer for one of that site. Both are seen by what the browser says, which no page can change.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from tocsin.protocol.text import quoted

_PORTS: Final = {"http": 80, "https": 443}
_OWN_SITES: Final = frozenset({"same-origin", "none"})  # "none": it was typed, or is a bookmark


def why_foreign(host: str | None, origin: str | None, url: str) -> str | None:
    """Return why a request is not for a page of the service's own, as a sentence; None where it may be answered.

    :param host: the value of ``Host``; None where there is none, or not one.
    :param origin: the value of ``Origin``; None where there is none.
    :param url: the service's own URL.
    """
    if host is None or not _is_ours(host, url):
        return (
            f"The service is not called {quoted(host or '')}: ask by its address, as localhost, or by the name of its"
            " public_url"
        )
    if origin is not None and not _same(origin, host) and _authority(origin) != _authority(url):
        return f"This was asked by a page of {quoted(origin)}: only the service's own pages may do that"
    return None


def is_by_own_page(origin: str | None, fetch_site: str | None) -> bool:
    """Tell whether a browser says that a form or a script of a page has sent this, and not of another site.

    Ask :func:`why_foreign` before. What no browser has sent says neither, and is not from a page.

    :param fetch_site: the value of ``Sec-Fetch-Site``; None where there is none.
    """
    return (origin is not None or fetch_site is not None) and (fetch_site is None or fetch_site in _OWN_SITES)


def _is_ours(host: str, url: str) -> bool:
    """Tell whether a ``Host`` is an address, which no name of others stands for, this machine's name, or the service's."""
    name = _name(f"//{host}")
    if name is None:
        return False
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost") or name == _name(url)
    return True


def _name(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # one that is no number is refused here
    except ValueError:
        return None
    if parts.path not in {"", "/"} and not parts.scheme:  # a Host is no more than a name and a port
        return None
    return (parts.hostname or "").rstrip(".") or None


def _same(origin: str, host: str) -> bool:
    """Tell whether an origin is where a request went to; its scheme may be that of a proxy before the service."""
    parts = _authority(origin)
    return parts is not None and parts[1:] == (_authority(f"{parts[0]}://{host}") or ())[1:]


def _authority(url: str) -> tuple[str, str, int] | None:
    """Return scheme, name and port of a URL; None where it is none of the web."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname.rstrip("."), port) if parts.hostname else None
