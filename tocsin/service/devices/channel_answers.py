"""Answers to devices about their channels: granted, refused, revoked, or ended because an app was removed."""

from __future__ import annotations

import logging

from attrs import frozen

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import (
    ChannelGranted,
    ChannelRefused,
    ChannelsRevoked,
    Message,
    RequestChannel,
    RevokeChannels,
)
from tocsin.protocol.service.tally import Asked, MinuteTally
from tocsin.service.devices.offline_queues import OfflineQueues
from tocsin.service.operations.limits import Limits
from tocsin.service.registry.channels import Channels, Denial

_NAMES = 1_024  # channels that one message names
_TOO_OFTEN = "too many channels are requested from this address"

logger = logging.getLogger(__name__)


@frozen
class ChannelAnswers:
    """Answers the channel requests of all devices; it keeps nothing of a device."""

    _channels: Channels
    _offline: OfflineQueues
    _limits: Limits
    _tally: MinuteTally

    async def answer(self, device: str, address: str, question: RequestChannel | RevokeChannels) -> Message:
        """Do what a device asks for, and return the message that answers it; a store that fails refuses the request.

        :param address: where the device is, as the limits count.
        """
        answer = await self._answer(device, address, question)
        if isinstance(answer, ChannelRefused):
            client_id = None
            if isinstance(question, RequestChannel):
                client_id = self._channels.client_of(question.app, question.remote_id)
            self._tally.refuse(Asked.CHANNEL, HResult(answer.hresult).name, client_id or "", address)
        return answer

    async def _answer(self, device: str, address: str, question: RequestChannel | RevokeChannels) -> Message:
        try:
            if isinstance(question, RevokeChannels):
                names = await self._channels.revoke(device, question.app)
                await self._offline.end_channels(device, names)
                return ChannelsRevoked(question.request, names)
            wait = self._limits.grant(address)
            if wait:
                return ChannelRefused(question.request, HResult.WNP_E_BIND_USER_BUSY, _TOO_OFTEN, wait)
            granted = await self._channels.grant(device, question.app, question.remote_id, question.known_uri)
        except StateUnavailable as failure:
            text = "requests of devices fail: %s"
            self._offline.recurring.log(logger, logging.ERROR, "request", text, failure)
            return ChannelRefused(question.request, failure.hresult, "the service cannot use its store", None)
        if isinstance(granted, Denial):
            return ChannelRefused(question.request, granted.hresult, granted.text, None)
        return ChannelGranted(question.request, granted.name, granted.uri, granted.expires, self._offline.now())

    def may_have_ended(self, device: str) -> bool:
        """Tell whether the device may have channels of apps that were removed."""
        return self._channels.may_have_orphans(device)

    async def ended(self, device: str) -> list[ChannelsRevoked]:
        """Return the messages that name the device's channels of removed apps; none while the store cannot be read."""
        try:
            names = await self._channels.orphans(device)
        except StateUnavailable as failure:  # then at its next connection
            text = "devices are not told yet which of their channels have ended: %s"
            self._offline.recurring.log(logger, logging.WARNING, "orphans", text, failure)
            return []
        return [ChannelsRevoked(0, tuple(names[start : start + _NAMES])) for start in range(0, len(names), _NAMES)]
