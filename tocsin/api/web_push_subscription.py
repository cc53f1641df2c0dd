"""A push subscription of an app: a channel whose URI every sender of Web Push can push to, and only this device can decrypt."""

from __future__ import annotations

from typing import Any, Final

from tocsin.api.channel import ChannelHolder, PushNotificationChannel
from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.webpush.subscription import PushSubscription
from tocsin.protocol.webpush.vapid import POINT, is_point, read_key

_WRONG: Final = f"an application server key is an uncompressed point on P-256, of {POINT} bytes, or these in base64url"


class WebPushSubscription(PushNotificationChannel):
    """What a sender needs to push to the app, and the channel that it pushes to (``PushSubscription`` of the web).

    Example::

        subscription = await manager.create_web_push_subscription()
        print(json.dumps(subscription.as_json()))  # for the sender
        with subscription.push_received(lambda args: print("got", args.text)):
            await asyncio.sleep(1)  # or whatever the program does
    """

    def __init__(  # noqa: PLR0913, PLR0917  # all that was granted
        self,
        session: ChannelHolder,
        app: str,
        name: str,
        uri: str,
        expires: float,
        keys: bytes,
        server_key: bytes | None,
    ) -> None:
        super().__init__(session, app, name, uri, expires)
        self._keys = keys
        self._server_key = server_key

    @property
    def endpoint(self) -> str:
        """Where messages are posted. A secret: whom no key was named for, it lets push."""
        return self.uri

    @property
    def application_server_key(self) -> bytes | None:
        """The public key of the one sender that may push, 65 bytes; None where any may."""
        return self._server_key

    @property
    def p256dh(self) -> bytes:
        """The public key that senders encrypt by, 65 bytes."""
        return self._keys[:POINT]

    @property
    def auth(self) -> bytes:
        """The secret that senders encrypt by, 16 bytes."""
        return self._keys[POINT:]

    def as_json(self) -> dict[str, Any]:
        """Return what libraries of senders, and ``tocsin webpush send``, take as it is; ``json.dumps`` makes a text of it."""
        return PushSubscription.of(self).as_json()


def parse_server_key(key: bytes | str | None) -> bytes | None:
    """Read the public key of a sender, as bytes or in base64url, padded or not.

    :raises InvalidArgument: it is none.
    """
    check_kind(key, "an application server key", bytes, str, type(None))
    try:
        point = read_key(key) if isinstance(key, str) else key
    except ValueError:
        raise InvalidArgument(_WRONG) from None
    if point is not None and not is_point(point):
        raise InvalidArgument(_WRONG)
    return point
