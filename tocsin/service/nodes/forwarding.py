"""What goes from node to node: a notification for one connection of a device, and what has become of it."""

from __future__ import annotations

from enum import Enum, auto, unique
from functools import lru_cache
from typing import Final

from tocsin.protocol.messages import Payload, codec
from tocsin.protocol.messages.base import light
from tocsin.protocol.messages.node_protocol import Forward
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.toast_label import ToastLabel
from tocsin.protocol.values import NotificationType
from tocsin.service.devices.outbox import PushResult
from tocsin.service.registry.service_store import ChannelRow


@unique
class NotPushed(Enum):
    """Why there is no :class:`PushResult` of a forward."""

    NOT_HERE = auto()
    """The node does not have this connection any more, and has not handed it over."""
    UNAVAILABLE = auto()
    """The node has no lease just now, or cannot use the store; it may have handed it over or not."""
    UNREACHABLE = auto()
    """There is no connection to the node; nothing was sent."""
    UNANSWERED = auto()
    """It was sent, and there is no answer: the node may have handed it over or not."""


ForwardResult = PushResult | NotPushed


@light
class ForwardedPost:
    """A notification on its way to the connection that a lease and an epoch name."""

    lease: int
    epoch: int
    channel: ChannelRow
    payload: Payload
    notification: Notification


def encode(request: int, post: ForwardedPost) -> bytes:
    """Make a frame of a notification, with the number that its answer has."""
    channel, payload = post.channel, post.payload
    return codec.encode(
        Forward(
            *(
                request,
                post.lease,
                post.epoch,
                channel.hash,
                channel.name,
                channel.client_id,
                channel.app,
                channel.device,
            ),
            *(channel.expires, payload.id, payload.type, payload.body, payload.expires, payload.priority, payload.sent),
            *(payload.label, post.notification.cache, post.notification.ttl),
        )
    )


def read(forward: Forward) -> ForwardedPost:
    """Return what the other node has encoded."""
    return ForwardedPost(
        forward.lease,
        forward.epoch,
        ChannelRow(
            *(forward.hash, forward.channel, forward.client_id, forward.app, forward.device, forward.ends),
            revoked=False,
        ),
        Payload(
            *(forward.id, forward.channel, forward.type, forward.body, forward.expires, forward.priority, forward.sent),
            forward.label,
        ),
        _notification(forward.type, forward.cache, forward.label, forward.ttl, forward.priority),
    )


@lru_cache(1_024)  # few senders have many wishes
def _notification(kind: NotificationType, cache: bool, label: str, ttl: int | None, priority: int) -> Notification:  # noqa: FBT001  # its field
    found = ToastLabel.read(label)
    return Notification(
        *(kind, cache, found.tag or None, found.group or None, ttl, priority), suppress_popup=found.suppress_popup
    )


_TOLD: Final[tuple[ForwardResult, ...]] = (*PushResult, NotPushed.NOT_HERE, NotPushed.UNAVAILABLE)
_WORDS: Final[dict[ForwardResult, str]] = {result: result.name.lower() for result in _TOLD}
_MEANINGS: Final = {word: result for result, word in _WORDS.items()}


def word_of(result: ForwardResult) -> str:
    """Return what another node is told; what only the node that forwards can know is told as unavailable."""
    return _WORDS.get(result, "unavailable")


def meaning_of(word: str) -> ForwardResult:
    """Return what another node has told; a word of a later version says only that there is an answer."""
    return _MEANINGS.get(word, NotPushed.UNANSWERED)
