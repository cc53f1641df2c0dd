"""Who sends a message of Web Push: the tokens that senders show, of which each is verified once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from tocsin.protocol.service.web_push import WebPushRefusal
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.protocol.webpush.vapid import VapidRefusal, VapidToken, fault_of
from tocsin.webpush.vapid_keys import verify

_ANY: Final = web_push_sender(None)
_REMEMBERED: Final = 16_384  # a sender has one for some hours
_LONGEST: Final = (
    1_024  # characters of what is remembered: a longer one, of which there need be none, is verified each time
)

_MISSING: Final = WebPushRefusal(
    401,
    "The subscription is for one application server alone: send Authorization: vapid t=..., k=... (RFC 8292)",
    reason="vapid_missing",
)
_OTHER_KEY: Final = WebPushRefusal(
    403, "The VAPID key is another than the subscription was made for", reason="vapid_of_another"
)
_FORGED: Final = WebPushRefusal(403, "The VAPID token was not signed by its key", reason="vapid_forged")


class VapidTokens:
    """Judges the tokens of senders.

    :param origin: that of the push resources, such as ``https://push.example``.
    :param now: seconds since the epoch, by the machine's clock: senders know no other.
    """

    def __init__(self, origin: str, now: Callable[[], float]) -> None:
        self._origins = (origin,)
        self._now = now
        self._verified: dict[VapidToken, float] = {}  # with their ends
        self._sender = lru_cache(_REMEMBERED)(web_push_sender)
        self.verifications = 0
        """How often a signature was looked at."""

    def refusal(self, client_id: str, said: VapidToken | VapidRefusal | None) -> WebPushRefusal | None:
        """Return why a sender may not use a push subscription; None where it may.

        :param client_id: what stands for the senders of the subscription.
        :param said: what the sender says of itself; None where that is nothing.
        """
        if said is None:
            return None if client_id == _ANY else _MISSING
        if isinstance(said, VapidRefusal):
            return _wrong(said.words, "vapid_malformed")
        if client_id not in {_ANY, self._sender(said.key)}:
            return _OTHER_KEY
        ends = self._verified.get(said)
        return None if ends is not None and ends > self._now() else self._verify(said)

    def _verify(self, said: VapidToken) -> WebPushRefusal | None:
        self._verified.pop(said, None)
        self.verifications += 1
        claims = verify(said)
        if claims is None:
            return _FORGED
        fault = fault_of(claims, self._origins, self._now())
        if fault is not None:
            return _wrong(fault, "vapid_claims")
        if len(said.token) <= _LONGEST:
            if len(self._verified) >= _REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[said] = float(claims["exp"])  # type: ignore[arg-type]  # a number, as was judged
        return None


def _wrong(words: str, reason: str) -> WebPushRefusal:
    return WebPushRefusal(403, f"{words[:1].upper()}{words[1:]}", reason=reason)
