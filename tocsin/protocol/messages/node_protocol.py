"""Between two nodes of one service, over a connection that both have proved by certificates of the service's own authority.

The node that dials begins with :class:`NodeHello`; the other answers with :class:`NodeWelcome`, or with :class:`NodeRefused` and the end of
the connection. Then the one that has dialled sends :class:`Forward`, :class:`LookInto`, :class:`WithdrawThere`,
:class:`AcknowledgeThere`, :class:`NodePing`, and the other :class:`ForwardsAnswered`, :class:`NodePong`, :class:`NodeGoodbye`. A node
that has something for the other way dials by itself.

A message grows at its end only, and fields behind those that a node knows are passed over (``codec.decode_known``): so neighbouring
versions understand each other. What a version knows that the agreed one does not have is not sent.

Only nodes import this: devices and apps, which a push may start, do not wait for it.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from tocsin.protocol.messages.base import Columns, Message, light, tagged
from tocsin.protocol.toast_label import LabelText
from tocsin.protocol.values import NotificationType

NODE_VERSION: Final = 1
"""The version of the protocol."""

OLDEST_NODE_VERSION: Final = 1
"""The oldest version that a node still speaks."""


@tagged(160)
@frozen
class NodeHello(Message):
    """A node opens the conversation: it speaks the versions from ``oldest`` to ``version``.

    ``node`` is the name that its certificate has, ``lease`` the number of its lease, and ``program`` the version of its Tocsin.
    """

    version: int
    oldest: int
    node: str
    lease: int
    program: str


@tagged(161)
@frozen
class NodeWelcome(Message):
    """The other accepts it; ``version`` is what both speak, ``window`` how many forwards may be unanswered at a time."""

    version: int
    node: str
    lease: int
    program: str
    window: int


@tagged(162)
@frozen
class NodeRefused(Message):
    """The other does not accept it, and says why; the connection ends."""

    text: str


@tagged(163)
@light
class Forward(Message):
    """A notification for the connection of a device that ``lease`` and ``epoch`` name, and for no other.

    ``request`` numbers it, from 1, so that its answer finds back. Channel and payload are whole: the node that has the device need not
    know the channel. ``cache`` and ``ttl`` are what its sender allows, as in ``tocsin.protocol.service.notification``.
    """

    request: int
    lease: int
    epoch: int
    hash: bytes
    channel: str
    client_id: str
    app: str
    device: str
    ends: float
    id: str
    type: NotificationType
    body: bytes
    expires: float | None
    priority: int
    sent: float | None
    label: LabelText
    cache: bool
    ttl: int | None


@tagged(164)
@light
class ForwardsAnswered(Columns):
    """What became of forwards, by their numbers; each ``end`` is a word of ``tocsin.service.nodes.forwarding``."""

    requests: tuple[int, ...]
    ends: tuple[str, ...]


@tagged(165)
@frozen
class LookInto(Message):
    """The queues or the rows of these devices have changed, and the other node may have their connections; nothing answers it."""

    devices: tuple[str, ...]


@tagged(166)
@frozen
class NodePing(Message):
    """Are you there? Sent where an answer is awaited and nothing has come for a while, and by a node that has no lease."""


@tagged(167)
@frozen
class NodePong(Message):
    """Yes; ``serves`` tells whether the node has a lease just now."""

    serves: bool


@tagged(168)
@frozen
class NodeGoodbye(Message):
    """The node that was dialled leaves: it answers what it was sent, and is to be sent no more."""


@tagged(169)
@frozen
class WithdrawThere(Message):
    """Toasts of a channel were deleted that the device may have, if the other node has its connection; nothing answers it.

    ``tag`` and ``group`` are those of ``ToastMatch``.
    """

    device: str
    channel: str
    tag: str | None
    group: str | None


@tagged(170)
@frozen
class AcknowledgeThere(Message):
    """The device has these payloads: it has said so on an older connection, at the node that sends this; nothing answers it."""

    device: str
    ids: tuple[str, ...]


Told = WithdrawThere | AcknowledgeThere
"""What a node is told of a device that it may have, one by one and in order."""
