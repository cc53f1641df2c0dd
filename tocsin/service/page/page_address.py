"""Where the page is seen, and by whom, for who has started the service."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from tocsin.protocol.network.addresses import is_loopback
from tocsin.service.operations.settings import ServiceSettings

SEEN_BY: Final = "this user on this machine" if sys.platform == "linux" else "this machine"
"""Who sees a page that has no token: where the system does not tell whose a connection is, each user of the machine."""


@frozen
class PageAddress:
    """A URL for a browser, and who sees the page there."""

    url: str
    seen_by: str


def page_address(
    settings: ServiceSettings, url: str, url_here: str, is_proxy: Callable[[str], bool]
) -> PageAddress | None:
    """Return where the page is; None where it is turned off, or no browser is one that may see it.

    :param url: the service's URL.
    :param url_here: the one by which it is reached from this machine.
    :param is_proxy: tells whether an address is that of a proxy, which is none of ours.
    """
    if not settings.page:
        return None
    if settings.page_token:
        return PageAddress(f"{url}/", "who has its token")
    here = urlsplit(url_here).hostname or ""
    if not is_loopback(here) or is_proxy(here):
        return None
    return PageAddress(f"{url_here}/", SEEN_BY)
