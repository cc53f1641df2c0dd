"""A push subscription: where to send, and by which keys to encrypt. One to payloads in an app is ``tocsin.api.subscription``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, Self

from attrs import field, frozen

from tocsin.protocol.arguments import check_kind, check_text
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.json_text import parse_json_text
from tocsin.protocol.webpush import base64url
from tocsin.protocol.webpush.vapid import POINT, is_point

AUTH: Final = 16
"""Bytes of the secret that a subscription's senders know."""

_WHAT: Final = "a push subscription"
_MOST: Final = 16 * 1024  # bytes of JSON


class HasPushKeys(Protocol):
    """What a sender needs, wherever it comes from: :class:`PushSubscription` says what each is."""

    @property
    def endpoint(self) -> str:
        """Where messages are posted."""
        ...

    @property
    def p256dh(self) -> bytes:
        """The key that they are encrypted by."""
        ...

    @property
    def auth(self) -> bytes:
        """The secret that they are encrypted by."""
        ...


@frozen
class PushSubscription:
    """Who may be pushed to: what a browser's ``PushSubscription`` says, or what a device of Tocsin got.

    The endpoint lets all that know it send, so keep it as you keep a password; it is not shown.

    :param endpoint: the URL that messages are posted to.
    :param p256dh: the key that they are encrypted by, 65 bytes.
    :param auth: the secret that they are encrypted by, 16 bytes.
    :raises InvalidArgument: one of them is something else; the sentence does not show it.
    """

    endpoint: str = field(repr=False)
    p256dh: bytes
    auth: bytes = field(repr=False)

    def __attrs_post_init__(self) -> None:
        check_text(self.endpoint, "the endpoint of a subscription")
        check_kind(self.p256dh, "the key p256dh of a subscription", bytes)
        check_kind(self.auth, "the secret auth of a subscription", bytes)
        if not is_point(self.p256dh):
            raise InvalidArgument(
                f"the key p256dh of a subscription is an uncompressed point on P-256, of {POINT} bytes"
            )
        if len(self.auth) != AUTH:
            raise InvalidArgument(f"the secret auth of a subscription has {AUTH} bytes, not {len(self.auth)}")

    @classmethod
    def of(cls, subscription: HasPushKeys | Mapping[str, Any] | str | bytes) -> Self:
        """Return what is sent to, of any object that says so, or of its JSON.

        :raises InvalidArgument: it is something else; the sentence says what is missing, and shows nothing of it.
        """
        if isinstance(subscription, str | bytes | Mapping):
            return cls.from_json(subscription)
        try:
            return cls(subscription.endpoint, subscription.p256dh, subscription.auth)
        except AttributeError:
            raise InvalidArgument(
                f"{_WHAT} is its JSON, or an object with endpoint, p256dh and auth, not {type(subscription).__name__}"
            ) from None

    @classmethod
    def from_json(cls, subscription: str | bytes | Mapping[str, Any]) -> Self:
        """Read what ``JSON.stringify(subscription)`` has made in a browser; more in it is passed over.

        :param subscription: its text, the bytes of that as the body of a request has them, or what was read from it.

        :raises InvalidArgument: it is something else; the sentence says what is missing, and shows nothing of it.
        """
        if isinstance(subscription, str | bytes):
            subscription = parse_json_text(subscription, _WHAT, _MOST)
        keys = subscription.get("keys") if isinstance(subscription, Mapping) else None
        if not isinstance(subscription, Mapping) or not isinstance(keys, Mapping):
            raise InvalidArgument(
                f'{_WHAT} is a JSON object such as {{"endpoint": "https://...", "keys": {{"p256dh": "...", "auth": "..."}}}}'
            )
        return cls(subscription.get("endpoint"), _key(keys, "p256dh"), _key(keys, "auth"))  # type: ignore[arg-type]  # is checked

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` and the libraries of senders read; ``json.dumps`` makes a text of it."""
        keys = {"p256dh": base64url.encode(self.p256dh), "auth": base64url.encode(self.auth)}
        return {"endpoint": self.endpoint, "keys": keys}


def _key(keys: Mapping[str, object], name: str) -> bytes:
    value = keys.get(name)
    check_kind(value, f"{name} of the keys of a subscription", str)
    try:
        return base64url.decode(str(value))
    except ValueError as wrong:
        raise InvalidArgument(f"{name} of the keys of a subscription cannot be read: {wrong}") from None
