"""Who asks for what is not for every client: a program of this machine, or one from elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import HTTPConnection

from tocsin.protocol.network.addresses import is_loopback, is_of_a_proxy


def is_from_here(request: HTTPConnection, is_proxy: Callable[[str], bool]) -> bool:
    """Tell whether a request is from this machine: what a proxy on it passes on is not.

    :param is_proxy: tells whether an address is that of a proxy, behind which all others are.
    """
    host = request.client.host if request.client else ""
    return is_loopback(host) and not is_proxy(host) and not any(map(is_of_a_proxy, request.headers))
