"""Where a sender sends to: which hosts it trusts, for URLs of channels and of subscriptions come from outside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult

from attrs import frozen

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.addresses import is_loopback
from tocsin.protocol.sending.sign_in import LOOPBACK, WNS_DOMAIN, covers, is_written_well, split_url, wrong_url
from tocsin.protocol.text import quoted

PUSH_HOSTS: Final = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    ".push.apple.com",
    WNS_DOMAIN,
    LOOPBACK,
)
"""Where the subscriptions of browsers are, of Chrome, Firefox, Safari and Edge; and the own machine."""

_HOST = re.compile(r"\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")
_ORIGIN = re.compile("[^/?]*//[^/?]*")  # scheme, host and port, of a URL without a fragment


@frozen
class _Place:
    """What a sender posts to: what it is called, whose it is, and what to do where its host is not trusted."""

    what: str
    owner: str
    remedy: str


_CHANNEL: Final = _Place(
    "a channel's URI",
    "channel",
    "token_url= says where the tokens of another service come from, and hosts= which channels may get them",
)
_ENDPOINT: Final = _Place("the endpoint of a subscription", "subscription", "hosts= names those of another service")


def read_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    """Read the hosts that a sender trusts.

    :raises InvalidArgument: one of them can never be a channel's; the sentence says what would be right.
    """
    if isinstance(hosts, (str, bytes)) or not isinstance(hosts, Iterable):
        raise InvalidArgument(f"hosts is a list, such as ['push.example'], not {type(hosts).__name__}")
    read = tuple(hosts)
    for host in read:
        check_kind(host, "a host", str)
        if not _HOST.fullmatch(host) and not _is_address(host):
            raise InvalidArgument(
                f"a host is a name or an address without scheme and port, or '.example' for all that end so, not {quoted(host)}"
            )
    return read


def check_channel(uri: str, hosts: tuple[str, ...], *, plain: bool = False) -> SplitResult:
    """Take the origin of a channel's URI apart, if it leads to one of the hosts; one with a dot in front covers what ends so.

    :param plain: whether http:// will do for other machines too: the token can then be read on the way.
    :return: scheme, host and port of the URI, without what is secret in it.
    :raises InvalidArgument: it does not, or is no such URI; the sentence does not show it.
    """
    return _check_place(uri, hosts, _CHANNEL, plain=plain)


def check_endpoint(url: str, hosts: tuple[str, ...]) -> SplitResult:
    """Take the origin of a push subscription's endpoint apart, as :func:`check_channel` does that of a channel."""
    return _check_place(url, hosts, _ENDPOINT, plain=False)


def _check_place(url: str, hosts: tuple[str, ...], place: _Place, *, plain: bool) -> SplitResult:
    try:
        begin = _ORIGIN.match(url) if is_written_well(url) else None
    except TypeError:  # it is no text at all
        begin = None
    if begin is None:
        raise wrong_url(url, place.what)
    return _check_origin(begin[0], hosts, place, plain=plain)


@lru_cache(1_024)  # a sender has many channels of few hosts
def _check_origin(url: str, hosts: tuple[str, ...], place: _Place, *, plain: bool) -> SplitResult:
    parts = split_url(url, place.what)
    host = parts.hostname or ""
    if not any(covers(pattern.lower(), host) for pattern in hosts):
        raise InvalidArgument(
            f"the {place.owner}'s host {host} is not one that is trusted here: {', '.join(hosts)}; {place.remedy}"
        )
    if parts.scheme != "https" and not is_loopback(host) and (not plain or covers(WNS_DOMAIN, host)):
        raise InvalidArgument(f"a {place.owner} of {host} begins with https://")
    return parts


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
