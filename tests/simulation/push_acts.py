"""The acts of Web Push: apps subscribe, and senders post to what they were told, with topics, and take back what waits."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from tests.simulation.acts import Acts, pick
from tests.simulation.script import APPS
from tocsin.protocol.messages import Payload
from tocsin.protocol.toast_label import LabelText
from tocsin.protocol.values import NotificationType
from tocsin.webpush.message_encryption import encrypt
from tocsin.webpush.points import CURVE, read_private, write_public

SENDER: Final = read_private(bytes(31) + b"\1")
"""The key of all messages: making one for each takes longer than all that happens to it."""

SERVER_KEYS: Final = (None, write_public(ec.derive_private_key(2, CURVE).public_key()))
"""For whom an app subscribes: for all senders, or for one."""


class PushActs(Acts):
    """Acts of the senders of Web Push, and of the apps that they post to."""

    def subscribe(self, app: int, key: int) -> None:
        """An app asks for its push subscription; when it has it, senders hear of it."""
        self._spawn(self._subscribe, APPS[app], SERVER_KEYS[key])

    async def post(self, which: int, count: int, ttl: int, priority: int, topic: str | None) -> None:
        """Messages are posted to a subscription, some of them in vain; a topic takes the place of what waits with the same."""
        for endpoint, keys in pick(list(self.record.keys.items()), which):
            for number in range(count):
                if self.service.has_ended(endpoint):
                    self.record.counts["posts answered with 410"] += 1
                    continue
                plaintext = b"message %d" % len(self.pushed)
                coding = "aesgcm" if number % 2 else "aes128gcm"
                sealed = encrypt(keys[:-16], keys[-16:], plaintext, coding, ephemeral=SENDER)
                payload = Payload(
                    f"id{len(self.pushed)}",
                    endpoint,
                    NotificationType.PUSH,
                    sealed.pack(),
                    self.service.now() + ttl,
                    priority,
                    label=LabelText(topic or ""),
                )
                if topic is not None:
                    self._replace(payload)
                self.record.counts["posts answered with 201"] += 1
                await self._send(payload, plaintext, ttl)

    def take_back(self, which: int) -> None:
        """A sender deletes a message that waits, which may have been sent by then."""
        messages = [each for each in self.service.waiting.values() if each.type is NotificationType.PUSH]
        for payload in pick(messages, which):
            self.service.withdraw(payload.id)
            self.record.counts["messages taken back"] += 1

    def _replace(self, new: Payload) -> None:
        like = [
            each for each in self.service.waiting.values() if (each.channel, each.label) == (new.channel, new.label)
        ]
        for each in like:
            self.service.withdraw(each.id)
            self.record.counts["messages replaced"] += 1

    async def _subscribe(self, app: str, key: bytes | None) -> None:
        subscription = await self.life.managers[app].create_web_push_subscription(key)
        keys = subscription.p256dh + subscription.auth
        if self.record.keys.setdefault(subscription.endpoint, keys) != keys:
            self.record.offend("subscriptions_keep_their_keys", f"{subscription.endpoint} has others than before")
