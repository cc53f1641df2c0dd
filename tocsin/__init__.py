"""Push notifications that wake async Python apps.

:func:`embedded` runs the platform inside a program and gives its :class:`PushNotificationManager`; a server that pushes
uses :class:`WnsClient`, or :class:`WebPushClient` for browsers. All errors are in :mod:`tocsin.protocol.errors` and are
found here too.

A name is loaded when it is first used: a program that imports this and does not push pays nothing for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.api.activated import ActivatedEventArgs, ExtendedActivationKind, get_activated_event_args
    from tocsin.api.args import CanceledHandler, PushNotificationReceivedEventArgs
    from tocsin.api.background_activated import (
        BackgroundActivatedEventArgs,
        BackgroundActivatedHandler,
        BackgroundTaskInstance,
    )
    from tocsin.api.channel import PushNotificationChannel
    from tocsin.api.conditions import Conditions
    from tocsin.api.connect import connect
    from tocsin.api.deferral import Deferral
    from tocsin.api.embedded import embedded
    from tocsin.api.held_channels import ChannelRevoked
    from tocsin.api.identity import Identity
    from tocsin.api.manager import PushNotificationManager
    from tocsin.api.network_usage import NetworkUsage
    from tocsin.api.operation import (
        CreateChannelOperation,
        PushNotificationCreateChannelResult,
        PushNotificationCreateChannelStatus,
    )
    from tocsin.api.program import run
    from tocsin.api.registration import Registration
    from tocsin.api.subscription import PushHandler
    from tocsin.api.tiles_and_badge import Badge, KeptTile, Tiles
    from tocsin.api.toast_activated import ToastActivatedHandler, ToastNotificationActivatedEventArgs
    from tocsin.api.toast_notifier import (
        AppNotificationProgressResult,
        AppNotificationSetting,
        KeptToast,
        ToastDismissedEventArgs,
        ToastNotifier,
    )
    from tocsin.api.web_push_subscription import WebPushSubscription
    from tocsin.client.notification_hub import HubRegistration, NotificationHub
    from tocsin.client.web_push_client import WebPushClient, WebPushResult
    from tocsin.client.wns_client import WnsClient
    from tocsin.mailbox import MailboxStatistics
    from tocsin.platform_status import ConnectionStatus, PlatformStatus
    from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
    from tocsin.protocol.errors import (
        Busy,
        ChannelClosed,
        ChannelGone,
        ChannelNotGranted,
        FrameError,
        IllegalCall,
        InvalidArgument,
        NotEntered,
        NotFound,
        NotificationRefused,
        NotShown,
        NotSupported,
        OperationCanceled,
        PlatformUnavailable,
        ProtocolViolation,
        PushError,
        SenderNotAllowed,
        SendFailed,
        ServiceUnavailable,
        StateUnavailable,
        Throttled,
        TimedOut,
        UnreadableContent,
    )
    from tocsin.protocol.hresult import HResult
    from tocsin.protocol.messages.toasts import ToastActivationType, ToastDismissalReason
    from tocsin.protocol.network.causes import ConnectionCause
    from tocsin.protocol.platform.activation import (
        Activators,
        CancellationReason,
        PushNotificationActivationInfo,
        SystemConditionType,
    )
    from tocsin.protocol.platform.conditions import AppSettings, HostState
    from tocsin.protocol.platform.retry_schedule import RetryPolicy
    from tocsin.protocol.platform.usage import AttributedNetworkUsage
    from tocsin.protocol.send_result import SendResult
    from tocsin.protocol.sending.attempts import SendPolicy
    from tocsin.protocol.toasts.notifier import HasXml, ShownToast, ToastData
    from tocsin.protocol.toasts.toast_arguments import ToastArguments
    from tocsin.protocol.toasts.toast_builder import ToastContentBuilder
    from tocsin.protocol.toasts.toast_button import ToastButton
    from tocsin.protocol.toasts.toast_content import (
        SystemAction,
        ToastAction,
        ToastAudio,
        ToastContent,
        ToastDuration,
        ToastHeader,
        ToastImage,
        ToastInput,
        ToastProgress,
        ToastScenario,
    )
    from tocsin.protocol.values import (
        DropReason,
        NotificationStatus,
        NotificationType,
        Outcome,
        PushNotificationChannelStatus,
    )
    from tocsin.protocol.webpush.subscription import HasPushKeys, PushSubscription
    from tocsin.protocol.xml_tree import XmlElement
    from tocsin.webpush.vapid_keys import VapidKey

__version__ = "0.1.0"

__all__ = [
    "ActivatedEventArgs",
    "Activators",
    "AppNotificationProgressResult",
    "AppNotificationSetting",
    "AppSettings",
    "AttributedNetworkUsage",
    "BackgroundActivatedEventArgs",
    "BackgroundActivatedHandler",
    "BackgroundTaskInstance",
    "Badge",
    "Busy",
    "CanceledHandler",
    "CancellationReason",
    "ChannelClosed",
    "ChannelGone",
    "ChannelNotGranted",
    "ChannelRevoked",
    "Conditions",
    "ConnectionCause",
    "ConnectionStatus",
    "CreateChannelOperation",
    "DeadLetterPolicy",
    "Deferral",
    "DropReason",
    "ExtendedActivationKind",
    "FrameError",
    "HResult",
    "HasPushKeys",
    "HasXml",
    "HostState",
    "HubRegistration",
    "Identity",
    "IllegalCall",
    "InvalidArgument",
    "KeptTile",
    "KeptToast",
    "MailboxStatistics",
    "NetworkUsage",
    "NotEntered",
    "NotFound",
    "NotShown",
    "NotSupported",
    "NotificationHub",
    "NotificationRefused",
    "NotificationStatus",
    "NotificationType",
    "OperationCanceled",
    "Outcome",
    "PlatformStatus",
    "PlatformUnavailable",
    "ProtocolViolation",
    "PushError",
    "PushHandler",
    "PushNotificationActivationInfo",
    "PushNotificationChannel",
    "PushNotificationChannelStatus",
    "PushNotificationCreateChannelResult",
    "PushNotificationCreateChannelStatus",
    "PushNotificationManager",
    "PushNotificationReceivedEventArgs",
    "PushSubscription",
    "Registration",
    "RetryPolicy",
    "SendFailed",
    "SendPolicy",
    "SendResult",
    "SenderNotAllowed",
    "ServiceUnavailable",
    "ShownToast",
    "StateUnavailable",
    "SystemAction",
    "SystemConditionType",
    "Throttled",
    "Tiles",
    "TimedOut",
    "ToastAction",
    "ToastActivatedHandler",
    "ToastActivationType",
    "ToastArguments",
    "ToastAudio",
    "ToastButton",
    "ToastContent",
    "ToastContentBuilder",
    "ToastData",
    "ToastDismissalReason",
    "ToastDismissedEventArgs",
    "ToastDuration",
    "ToastHeader",
    "ToastImage",
    "ToastInput",
    "ToastNotificationActivatedEventArgs",
    "ToastNotifier",
    "ToastProgress",
    "ToastScenario",
    "UnreadableContent",
    "VapidKey",
    "WebPushClient",
    "WebPushResult",
    "WebPushSubscription",
    "WnsClient",
    "XmlElement",
    "connect",
    "embedded",
    "get_activated_event_args",
    "run",
]

_HOMES = {
    "tocsin.api.activated": ("ActivatedEventArgs", "ExtendedActivationKind", "get_activated_event_args"),
    "tocsin.api.args": ("CanceledHandler", "PushNotificationReceivedEventArgs"),
    "tocsin.api.background_activated": (
        "BackgroundActivatedEventArgs",
        "BackgroundActivatedHandler",
        "BackgroundTaskInstance",
    ),
    "tocsin.api.channel": ("PushNotificationChannel",),
    "tocsin.api.conditions": ("Conditions",),
    "tocsin.api.connect": ("connect",),
    "tocsin.api.deferral": ("Deferral",),
    "tocsin.api.embedded": ("embedded",),
    "tocsin.api.held_channels": ("ChannelRevoked",),
    "tocsin.api.identity": ("Identity",),
    "tocsin.api.manager": ("PushNotificationManager",),
    "tocsin.api.network_usage": ("NetworkUsage",),
    "tocsin.api.operation": (
        "CreateChannelOperation",
        "PushNotificationCreateChannelResult",
        "PushNotificationCreateChannelStatus",
    ),
    "tocsin.api.program": ("run",),
    "tocsin.api.registration": ("Registration",),
    "tocsin.api.subscription": ("PushHandler",),
    "tocsin.api.toast_activated": ("ToastActivatedHandler", "ToastNotificationActivatedEventArgs"),
    "tocsin.api.web_push_subscription": ("WebPushSubscription",),
    "tocsin.client.notification_hub": ("HubRegistration", "NotificationHub"),
    "tocsin.client.web_push_client": ("WebPushClient", "WebPushResult"),
    "tocsin.client.wns_client": ("WnsClient",),
    "tocsin.mailbox": ("MailboxStatistics",),
    "tocsin.platform_status": ("ConnectionStatus", "PlatformStatus"),
    "tocsin.protocol.platform.activation": (
        "Activators",
        "CancellationReason",
        "PushNotificationActivationInfo",
        "SystemConditionType",
    ),
    "tocsin.protocol.send_result": ("SendResult",),
    "tocsin.protocol.messages.toasts": ("ToastActivationType", "ToastDismissalReason"),
    "tocsin.protocol.network.causes": ("ConnectionCause",),
    "tocsin.protocol.platform.conditions": ("AppSettings", "HostState"),
    "tocsin.protocol.delivery.dead_letter_policy": ("DeadLetterPolicy",),
    "tocsin.protocol.errors": (
        "Busy",
        "ChannelClosed",
        "ChannelGone",
        "ChannelNotGranted",
        "FrameError",
        "IllegalCall",
        "InvalidArgument",
        "NotEntered",
        "NotFound",
        "NotShown",
        "NotSupported",
        "NotificationRefused",
        "OperationCanceled",
        "PlatformUnavailable",
        "ProtocolViolation",
        "PushError",
        "SendFailed",
        "SenderNotAllowed",
        "ServiceUnavailable",
        "StateUnavailable",
        "Throttled",
        "TimedOut",
        "UnreadableContent",
    ),
    "tocsin.protocol.hresult": ("HResult",),
    "tocsin.protocol.platform.retry_schedule": ("RetryPolicy",),
    "tocsin.protocol.platform.usage": ("AttributedNetworkUsage",),
    "tocsin.protocol.sending.attempts": ("SendPolicy",),
    "tocsin.protocol.values": (
        "DropReason",
        "NotificationStatus",
        "NotificationType",
        "Outcome",
        "PushNotificationChannelStatus",
    ),
    "tocsin.api.toast_notifier": (
        "AppNotificationProgressResult",
        "AppNotificationSetting",
        "KeptToast",
        "ToastDismissedEventArgs",
        "ToastNotifier",
    ),
    "tocsin.protocol.toasts.notifier": ("HasXml", "ShownToast", "ToastData"),
    "tocsin.api.tiles_and_badge": ("Badge", "KeptTile", "Tiles"),
    "tocsin.protocol.toasts.toast_builder": ("ToastContentBuilder",),
    "tocsin.protocol.toasts.toast_button": ("ToastButton",),
    "tocsin.protocol.toasts.toast_arguments": ("ToastArguments",),
    "tocsin.protocol.toasts.toast_content": (
        "SystemAction",
        "ToastAction",
        "ToastAudio",
        "ToastContent",
        "ToastDuration",
        "ToastHeader",
        "ToastImage",
        "ToastInput",
        "ToastProgress",
        "ToastScenario",
    ),
    "tocsin.protocol.webpush.subscription": ("HasPushKeys", "PushSubscription"),
    "tocsin.protocol.xml_tree": ("XmlElement",),
    "tocsin.webpush.vapid_keys": ("VapidKey",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a name from the module that it is defined in (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
