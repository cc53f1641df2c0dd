"""The register of messages: what each tag means, for ever."""

from __future__ import annotations

import inspect

import pytest

from tocsin.protocol import messages as m
from tocsin.protocol.messages import MESSAGES, Message, calling, node_protocol
from tocsin.protocol.messages.base import tagged

TAGS = {
    **dict(enumerate(["Hello", "Welcome", "RequestChannel", "ChannelGranted", "ChannelRefused"], 1)),
    **dict(enumerate(["RevokeChannels", "ChannelsRevoked", "Payload", "Acknowledge", "Suspended", "PowerState"], 6)),
    12: "WithdrawToasts",
    13: "ToastsWithdrawn",
    14: "UnwantedChanged",
    **dict(enumerate(["ConnectionUp", "ConnectionDown", "ActorRestarted", "AlarmRang", "Quiesce"], 20)),
    26: "Fence",
    27: "Arrivals",
    **dict(enumerate(["CreateChannel", "CancelCreateChannel", "CloseChannel", "CreateChannelProgress"], 30)),
    **dict(enumerate(["CreateChannelDone", "Done", "Failed", "ChannelLost", "ChannelOpened", "ChannelRenewed"], 34)),
    **dict(
        enumerate(
            [
                "PlanRetry",
                "RetryPlanned",
                "RetryDenied",
                "RetryDue",
                "ForgetRetry",
                "ResumeRetry",
                "ChannelList",
                "ClosedByApp",
            ],
            40,
        )
    ),
    **dict(
        enumerate(
            ["ChannelSubscribed", "ChannelUnsubscribed", "Subscribe", "Unsubscribe", "Activation", "Deliveries"], 52
        )
    ),
    58: "Handled",
    64: "Parked",
    66: "CancelDelivery",
    67: "AbortDelivery",
    **dict(enumerate(["RegisterActivator", "UnregisterActivators", "ActivatorChanged", "AppReady"], 70)),
    **dict(enumerate(["LeaveSession", "Outcomes", "Settlements"], 74)),
    78: "HandledLate",
    79: "Holding",
    **dict(enumerate(["HostChanged", "AppSettingsChanged", "CancelWork", "ChangeHost", "ChangeAppSettings"], 80)),
    **dict(enumerate(["StopWork", "ForgetApp", "ReportUsage", "AskUsage", "UsageFound"], 85)),
    **dict(
        enumerate(
            [
                "Launch",
                "LaunchEnded",
                "StopLaunch",
                "ClaimPayload",
                "Claimed",
                "EndProcess",
                "AppReturned",
                "CallOffLaunch",
            ],
            90,
        )
    ),
    **dict(enumerate(["Stamped", "SessionHello", "SessionWelcome", "SessionRefused", "OwnService"], 100)),
    **dict(enumerate(["PlatformStanding", "SessionRestored", "SessionEnded", "SessionLost", "SessionDismissed"], 105)),
    110: "SettleDeadLetter",
    111: "Resumed",
    **dict(
        enumerate(
            [
                "ShellOutcomes",
                "ShowToast",
                "ToastShown",
                "UpdateToast",
                "ToastUpdated",
                "RemoveToasts",
                "ListToasts",
                "ToastList",
                "TakeActivations",
                "LeaveActivations",
                "ToastActivated",
                "ActivationDone",
                "ToastDismissed",
                "SetBadge",
                "SetTile",
                "AskTiles",
                "TileList",
            ],
            120,
        )
    ),
    137: "ShellOpened",
    138: "DesktopStirred",
    **dict(
        enumerate(
            [
                "CallHello",
                "RenewCallToken",
                "RegisterForCallPush",
                "UnregisterFromCallPush",
                "StartCall",
                "AttendCall",
                "AcceptCall",
                "CallReady",
                "RejectCall",
                "HangUpCall",
                "SetCallMedia",
                "CallWelcome",
                "CallRefused",
                "CallDone",
                "CallPushRegistered",
                "CallReport",
                "CallGoodbye",
            ],
            140,
        )
    ),
    **dict(enumerate(["NodeHello", "NodeWelcome", "NodeRefused", "Forward", "ForwardsAnswered"], 160)),
    **dict(enumerate(["LookInto", "NodePing", "NodePong", "NodeGoodbye", "WithdrawThere", "AcknowledgeThere"], 165)),
}
"""What each tag has always meant. New messages are added; nothing is ever changed."""

RETIRED = {25, 50, 51, *range(60, 64), 65, 68, 69, 77}
"""Tags that meant something once, and mean nothing any more: payloads went one by one, or by the channel, or to the
registry, or came in as rows."""


class TestMessages:
    """The register of messages."""

    def test_a_tag_means_what_it_always_meant(self) -> None:
        """An older peer understands the same frames in the same way."""
        assert {tag: cls.__name__ for tag, cls in MESSAGES.items()} == TAGS
        assert not MESSAGES.keys() & set(RETIRED)

    def test_every_message_has_a_tag(self) -> None:
        """No class is a message that cannot be sent."""
        named = [*vars(m).values(), *vars(calling).values(), *vars(node_protocol).values()]
        classes = {cls for cls in named if inspect.isclass(cls) and issubclass(cls, Message)}
        assert classes - {Message, m.Columns} == set(MESSAGES.values())
        assert all(tag == cls.TAG for tag, cls in MESSAGES.items())

    def test_a_tag_cannot_be_taken_twice(self) -> None:
        """Declaring a message with a used tag fails at once, and the register stays as it was."""
        with pytest.raises(ValueError, match="tag 1 is taken by Hello"):
            tagged(1)(m.Welcome)
        assert MESSAGES[1] is m.Hello
        assert m.Welcome.TAG == 2
