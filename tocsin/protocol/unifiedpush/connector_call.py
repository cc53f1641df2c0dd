"""What a distributor calls of a connector, in both versions of the interface.

Source: UnifiedPush, D-Bus specification 0.2 and 0.3.
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from tocsin.protocol.unifiedpush.names import connector_interface


@frozen
class ConnectorCall:
    """A call of a method; dictionaries in its body are as in ``tocsin.protocol.unifiedpush.distributor_call``."""

    interface: str
    member: str
    signature: str
    body: list[Any] = field(repr=False)
    """Has the token."""


def message_call(version: int, token: str, message: bytes, message_id: str) -> ConnectorCall:
    """Return the call that brings a push; ``message`` is what its sender has posted, still encrypted."""
    if version == 1:
        return _call(version, "Message", "says", [token, message, message_id])
    return _call(
        version, "Message", "a{sv}", [{"token": ("s", token), "message": ("ay", message), "id": ("s", message_id)}]
    )


def endpoint_call(version: int, token: str, endpoint: str) -> ConnectorCall:
    """Return the call that tells where senders push to."""
    if version == 1:
        return _call(version, "NewEndpoint", "ss", [token, endpoint])
    return _call(version, "NewEndpoint", "a{sv}", [{"token": ("s", token), "endpoint": ("s", endpoint)}])


def unregistered_call(version: int, token: str, *, confirms: bool) -> ConnectorCall:
    """Return the call that tells of a registration that is no more.

    :param confirms: whether the app has asked for that; version 1 is told no token then.
    """
    if version == 1:
        return _call(version, "Unregistered", "s", ["" if confirms else token])
    return _call(version, "Unregistered", "a{sv}", [{"token": ("s", token)}])


def _call(version: int, member: str, signature: str, body: list[Any]) -> ConnectorCall:
    return ConnectorCall(connector_interface(version), member, signature, body)
