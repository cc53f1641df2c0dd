"""What device and service say to each other, and the device connection of itself."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.messages.base import Columns, Message, light, tagged
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.toast_label import NO_LABEL, LabelText
from tocsin.protocol.values import NotificationType


@tagged(1)
@frozen
class Hello(Message):
    """The device opens the conversation; its key is a secret that only it and a hash in the service know."""

    version: int
    device_key: str


@tagged(2)
@frozen
class Welcome(Message):
    """The service accepts the device; ``window`` is how many payloads may be unacknowledged at a time.

    ``now`` is the service's time. This, and all moments that the service sets, are seconds since the epoch on its clock.
    """

    version: int
    window: int
    now: float


@tagged(3)
@frozen
class RequestChannel(Message):
    """The device asks for a channel of an app; ``known_uri`` is the one it holds, or empty.

    ``remote_id`` is the GUID of a registration, or ``family:`` and a package family name, of which the service finds it.
    """

    request: int
    app: str
    remote_id: str
    known_uri: str


@tagged(4)
@frozen
class ChannelGranted(Message):
    """The service gives a channel; ``channel`` is its name, which is not secret, ``uri`` the capability.

    ``expires`` and ``now``, the moment of the grant, are in the service's time.
    """

    request: int
    channel: str
    uri: str
    expires: float
    now: float


@tagged(5)
@frozen
class ChannelRefused(Message):
    """The service refuses a channel, or the closing of one."""

    request: int
    hresult: int
    text: str
    retry_after: float | None


@tagged(6)
@frozen
class RevokeChannels(Message):
    """The device gives up all channels of an app."""

    request: int
    app: str


@tagged(7)
@frozen
class ChannelsRevoked(Message):
    """The service has revoked these channels; ``request`` is 0 where the device has not asked for it."""

    request: int
    channels: tuple[str, ...]


@tagged(8)
@light
class Payload(Message):
    """A notification on its way to the device; ``expires`` is None for one that does not expire.

    ``priority`` goes from 1, high, to 4, very low. One that expires says when it was ready to be sent: ``expires`` and
    ``sent`` are in the service's time, so that the device need not know more than how they differ.
    """

    id: str
    channel: str
    type: NotificationType
    body: bytes
    expires: float | None
    priority: int
    sent: float | None = None
    label: LabelText = NO_LABEL


@tagged(27)
@frozen
class Arrivals(Columns):
    """Payloads that came one after the other, checked at the door: what the router takes."""

    ids: tuple[str, ...]
    channels: tuple[str, ...]
    types: tuple[NotificationType, ...]
    bodies: tuple[bytes, ...]
    expires: tuple[float | None, ...]
    priorities: tuple[int, ...]
    sent: tuple[float | None, ...]
    labels: tuple[LabelText, ...]


@tagged(9)
@light
class Acknowledge(Message):
    """The device has committed these payloads."""

    ids: tuple[str, ...]


@tagged(10)
@frozen
class Suspended(Message):
    """The device can store nothing for now, or can again; what it has was not acknowledged, and may come late."""

    suspended: bool


@tagged(11)
@frozen
class PowerState(Message):
    """The device's power state, whole; fields as in ``tocsin.protocol.platform.power.Power``."""

    screen_on_or_plugged: bool
    battery_saver: bool
    exempt: tuple[str, ...]


@tagged(12)
@frozen
class WithdrawToasts(Message):
    """A sender has deleted the toasts of a channel that have this tag and this group, None for any; nothing answers it."""

    channel: str
    tag: str | None
    group: str | None


@tagged(13)
@frozen
class ToastsWithdrawn(Message):
    """The same within the device, of the app whose channel it is, behind the payloads that have come before."""

    app: str
    tag: str | None
    group: str | None


@tagged(14)
@frozen
class UnwantedChanged(Message):
    """What the device does not want to be sent, whole; the service remembers it while the device is away."""

    unwanted: Unwanted


@tagged(20)
@frozen
class ConnectionUp(Message):
    """The service has welcomed the device, and said what time it is there."""

    window: int
    now: float


@tagged(21)
@frozen
class ConnectionDown(Message):
    """The connection was lost, or could not be made; the next attempt is ``wait`` seconds from now."""

    cause: ConnectionCause
    text: str
    wait: float
