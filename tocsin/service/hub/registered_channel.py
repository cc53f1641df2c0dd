"""The channel that a client registers: one of this service, which has not ended."""

from __future__ import annotations

from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.service.registry.channel_directory import ChannelDirectory, ChannelFault
from tocsin.service.url_paths import token_of_uri


def token_in(uri: str, what: str) -> str:
    """Return the token in a channel's URI.

    :param what: how the request calls it.
    :raises HubRefused: 400; the URI has no token, or several.
    """
    token = token_of_uri(uri)
    if token is None:
        raise HubRefused(
            HubReason.WRONG_CHANNEL, f"{what} is the URI of a channel of this service, with its token: .../w/?token=..."
        )
    return token


async def end_of_channel(
    channels: ChannelDirectory, uri: str, what: str, *, may_have_ended: bool = False
) -> float | None:
    """Return when a channel ends; None for one that the service does not know, which the next message finds out.

    :param what: how the request calls it.
    :param may_have_ended: whether one that has ended is taken, too.
    :raises HubRefused: 400; the URI has no token, or the channel has ended.
    :raises StateUnavailable: the channel cannot be looked up.
    """
    channel = await channels.kept(token_in(uri, what))
    if channel is None:
        return None
    if not may_have_ended and channels.fault_of(channel) in {ChannelFault.REVOKED, ChannelFault.EXPIRED}:
        raise HubRefused(
            HubReason.CHANNEL_ENDED, f"The channel of {what} has ended: let the app request another, and register that."
        )
    return channel.expires
