"""Push notifications that wake async Python apps.

:func:`embedded` runs the platform inside a program and gives its :class:`PushNotificationManager`. All errors are in
:mod:`tocsin.protocol.errors` and are found here too.
"""

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.embedded import embedded
from tocsin.api.manager import PushNotificationManager, Registration
from tocsin.api.operation import (
    CreateChannelOperation,
    PushNotificationCreateChannelResult,
    PushNotificationCreateChannelStatus,
)
from tocsin.protocol.errors import (
    Busy,
    ChannelClosed,
    FrameError,
    IllegalCall,
    InvalidArgument,
    NotFound,
    NotSupported,
    OperationCanceled,
    PlatformUnavailable,
    ProtocolViolation,
    PushError,
    StateUnavailable,
    TimedOut,
)
from tocsin.protocol.hresult import HResult
from tocsin.protocol.values import DropReason, NotificationType, PushNotificationChannelStatus

__version__ = "0.1.0"

__all__ = [
    "Busy",
    "ChannelClosed",
    "CreateChannelOperation",
    "DropReason",
    "FrameError",
    "HResult",
    "IllegalCall",
    "InvalidArgument",
    "NotFound",
    "NotSupported",
    "NotificationType",
    "OperationCanceled",
    "PlatformUnavailable",
    "ProtocolViolation",
    "PushError",
    "PushNotificationChannel",
    "PushNotificationChannelStatus",
    "PushNotificationCreateChannelResult",
    "PushNotificationCreateChannelStatus",
    "PushNotificationManager",
    "PushNotificationReceivedEventArgs",
    "Registration",
    "StateUnavailable",
    "TimedOut",
    "embedded",
]
