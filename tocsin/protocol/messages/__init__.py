"""Every message that crosses a mailbox, a socket or the device connection.

A message is frozen, and encoded as one msgpack array ``[tag, field, ...]``. Tags are never reused. The modules go by who
speaks of what; ``tocsin/actors/topology.py`` says which actor takes each.

Times are seconds since the epoch, durations are seconds, ``request`` numbers a question so that its answer finds back.
"""

from tocsin.protocol.messages.activators import (
    ActivatorChanged,
    AppReady,
    AttachSink,
    DetachSink,
    LeaveSession,
    RegisterActivator,
    SinkClosed,
    SinkOpened,
    UnregisterActivators,
)
from tocsin.protocol.messages.base import MESSAGES, Message
from tocsin.protocol.messages.channels import (
    CancelCreateChannel,
    ChannelLost,
    ChannelOpened,
    CloseChannel,
    CreateChannel,
    CreateChannelDone,
    CreateChannelProgress,
    Done,
    Failed,
    ForgetRetry,
    PlanRetry,
    RetryDenied,
    RetryDue,
    RetryPlanned,
)
from tocsin.protocol.messages.deliveries import (
    AbortDelivery,
    Activation,
    CancelDelivery,
    Delivery,
    NoSink,
    Parked,
    Returned,
    Settled,
)
from tocsin.protocol.messages.device import (
    Acknowledge,
    ChannelGranted,
    ChannelRefused,
    ChannelsRevoked,
    ConnectionDown,
    ConnectionUp,
    Hello,
    Payload,
    RequestChannel,
    RevokeChannels,
    Welcome,
)
from tocsin.protocol.messages.host import AppSettingsChanged, CancelWork, HostChanged
from tocsin.protocol.messages.kernel import ActorRestarted, AlarmRang, Quiesce

__all__ = [
    "MESSAGES",
    "AbortDelivery",
    "Acknowledge",
    "Activation",
    "ActivatorChanged",
    "ActorRestarted",
    "AlarmRang",
    "AppReady",
    "AppSettingsChanged",
    "AttachSink",
    "CancelCreateChannel",
    "CancelDelivery",
    "CancelWork",
    "ChannelGranted",
    "ChannelLost",
    "ChannelOpened",
    "ChannelRefused",
    "ChannelsRevoked",
    "CloseChannel",
    "ConnectionDown",
    "ConnectionUp",
    "CreateChannel",
    "CreateChannelDone",
    "CreateChannelProgress",
    "Delivery",
    "DetachSink",
    "Done",
    "Failed",
    "ForgetRetry",
    "Hello",
    "HostChanged",
    "LeaveSession",
    "Message",
    "NoSink",
    "Parked",
    "Payload",
    "PlanRetry",
    "Quiesce",
    "RegisterActivator",
    "RequestChannel",
    "RetryDenied",
    "RetryDue",
    "RetryPlanned",
    "Returned",
    "RevokeChannels",
    "Settled",
    "SinkClosed",
    "SinkOpened",
    "UnregisterActivators",
    "Welcome",
]
