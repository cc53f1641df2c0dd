"""Messages of Web Push on the device: they are opened here, by keys that never leave it, and are raw payloads to the app."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from attrs import evolve

from tocsin.protocol.errors import NotSupported
from tocsin.protocol.messages import Arrivals
from tocsin.protocol.platform.power import is_unified_push
from tocsin.protocol.toast_label import NO_LABEL
from tocsin.protocol.values import NotificationType

if TYPE_CHECKING:
    from tocsin.webpush.device_secrets import DeviceSecrets

SEED_KEY: Final = "push_seed"
"""The setting that has the device's secret."""

_PUSH, _RAW = NotificationType.PUSH, NotificationType.RAW

logger = logging.getLogger(__name__)


class PushMessages:
    """The device's secret, and what is opened by it; the router and the channel requester share it."""

    def __init__(self) -> None:
        self._secrets: DeviceSecrets | None = None
        self._unkept: str | None = None  # what the store has not shown yet that it keeps
        self._doubted: set[str] = set()  # channels of which it was said that something cannot be read

    def recall(self, kept: str | None) -> None:
        """Take over the secret that the store has kept; None where it has none.

        :raises NotSupported: there is one, and no cryptography to use it.
        """
        if kept is not None:
            self._unkept = None
            if self._secrets is None:
                self._hold(b64decode(kept))

    def begin(self) -> str | None:
        """Make a secret, unless there is one, and return what the store is to keep; None where it was read from there.

        It is returned again each time, for one that was made in this life: what was to be written before may have failed.

        :raises NotSupported: there is no cryptography.
        """
        if self._secrets is None:
            from tocsin.webpush.device_secrets import new_seed  # noqa: PLC0415  # an extra

            seed = new_seed()
            self._hold(seed)
            self._unkept = b64encode(seed).decode()
        return self._unkept

    def _hold(self, seed: bytes) -> None:
        from tocsin.webpush.device_secrets import DeviceSecrets  # noqa: PLC0415  # an extra

        self._secrets = DeviceSecrets(seed)

    def public(self, channel: str) -> bytes:
        """Return what senders to a subscription need: its public key, and behind it the secret ``auth``; empty where there is no secret yet."""
        if self._secrets is None:
            return b""
        keys = self._secrets.keys(channel)
        return keys.p256dh + keys.auth

    def open(self, arrivals: Arrivals, app_of: Mapping[str, str]) -> tuple[Arrivals, dict[str, str]]:
        """Open the messages among what has come: each is a raw payload then, with the plaintext.

        What goes to an app of UnifiedPush stays as it is: that opens it itself.

        :param app_of: the app of each channel.
        :return: the payloads, and why some cannot be read, by their ids; these stay as they were.
        """
        if _PUSH not in arrivals.types:
            return arrivals, {}
        types, bodies, labels = list(arrivals.types), list(arrivals.bodies), list(arrivals.labels)
        unreadable: dict[str, str] = {}
        for place, (kind, channel, body) in enumerate(zip(types, arrivals.channels, bodies, strict=True)):
            if kind != _PUSH:
                continue
            labels[place] = NO_LABEL  # its topic, which the service has made use of
            app = app_of.get(channel)
            if app is None:
                continue  # that there is no such channel is said elsewhere
            if not is_unified_push(app):
                opened = self._open(channel, body)
                if isinstance(opened, str):
                    unreadable[arrivals.ids[place]] = opened
                    continue
                bodies[place] = opened
            types[place] = _RAW
        return evolve(arrivals, types=tuple(types), bodies=tuple(bodies), labels=tuple(labels)), unreadable

    def _open(self, channel: str, packed: bytes) -> bytes | str:
        """Return the plaintext, or why there is none, which is said in the log once for each channel."""
        if self._secrets is None:
            return self._doubt(channel, "this device has no secret to read it by, since its state was lost")
        opened = self._secrets.open(channel, packed)
        return opened if isinstance(opened, bytes) else self._doubt(channel, opened)

    def _doubt(self, channel: str, words: str) -> str:
        if channel not in self._doubted:
            self._doubted.add(channel)
            logger.warning(
                "a message for the push subscription %s cannot be read, and is a dead letter: %s", channel, words
            )
        return words


def refusal_words() -> str:
    """Say why there are no push subscriptions on this device; nothing where there may be."""
    try:
        import tocsin.webpush  # noqa: F401, PLC0415  # an extra
    except NotSupported as missing:
        return str(missing)
    return ""
