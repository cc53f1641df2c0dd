"""What browsers ask about their push subscriptions, and the answers: granted, refused, ended."""

from __future__ import annotations

import hmac
import logging
from typing import Final

from attrs import frozen

from tocsin.protocol.browsers import browser_answers as answers
from tocsin.protocol.browsers.browser_messages import BrowserRegister, BrowserUnregister
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.protocol.service.tally import Asked
from tocsin.protocol.webpush.base64url import encode
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.service.devices.offline_queues import OfflineQueues
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.channels import Channels, Denial

NO_STORE: Final = "the service cannot use its store"
"""Why a browser is refused what it asks for, or is not let in."""

_TOO_OFTEN = "too many subscriptions are asked for from this address"

logger = logging.getLogger(__name__)


@frozen
class BrowserSubscriptions:
    """Answers the questions of all browsers; it keeps nothing of a browser."""

    _channels: Channels
    _offline: OfflineQueues
    _limits: Limits
    _counters: Counters

    async def register(self, device: str, address: str, uaid: str, asked: BrowserRegister) -> tuple[bool, bytes]:
        """Give a browser a subscription; return whether it was given, and the answer.

        :param address: where the browser is, as the limits count.
        """
        app, client_id = asked.app, web_push_sender(asked.key)
        denied: Denial | None = None
        try:
            if self._limits.grant(address):
                denied = Denial(HResult.WNP_E_BIND_USER_BUSY, _TOO_OFTEN)
            else:
                granted = await self._channels.grant(device, app, client_id, "", _token(uaid, app, client_id))
                if not isinstance(granted, Denial):
                    return True, answers.register_answer(asked.channel_id, granted.uri)
                denied = granted
        except StateUnavailable as failure:
            self._log_failure(failure)
            status, words, name = answers.NO_STORE, NO_STORE, HResult(failure.hresult).name
        else:
            status, words, name = answers.status_of(denied.hresult), denied.text, HResult(denied.hresult).name
        self._counters.tally.refuse(Asked.CHANNEL, name, client_id, address)
        return False, answers.refusal("register", asked.channel_id, status, words)

    async def unregister(self, device: str, asked: BrowserUnregister) -> bytes:
        """End a subscription, and what is stored for it; return the answer."""
        try:
            names = await self._channels.revoke(device, asked.app)
            await self._offline.end_channels(device, names)
        except StateUnavailable as failure:
            self._log_failure(failure)
            return answers.refusal("unregister", asked.channel_id, answers.NO_STORE, NO_STORE)
        self._counters.browser_ended[asked.code] += 1
        return answers.unregister_answer(asked.channel_id)

    async def are_known(self, device: str) -> bool | None:
        """Tell whether any subscription of a browser is known here; None where the store cannot say."""
        try:
            return await self._channels.has_subscriptions(device)
        except StateUnavailable as failure:
            self._log_failure(failure)
            return None

    async def prolong(self, device: str) -> None:
        """Put off the ends of a browser's subscriptions, since it is there; where that fails, it is done when it comes again."""
        try:
            await self._channels.prolong(device)
        except StateUnavailable as failure:
            self._log_failure(failure)

    def _log_failure(self, failure: StateUnavailable) -> None:
        text = "requests of browsers fail: %s"
        self._offline.recurring.log(logger, logging.ERROR, "browser", text, failure)


def _token(uaid: str, app: str, client_id: str) -> str:
    """Make the token of a subscription: the same each time that a browser asks for it, and for others as good as a random one."""
    return encode(hmac.digest(uaid.encode(), f"{app}\n{client_id}".encode(), "sha256"))
