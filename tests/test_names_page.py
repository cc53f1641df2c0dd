"""``docs/names.md``: all that it names exists, and no name of the push API is without its row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tocsin
import tocsin.calling
import tocsin.testing

PAGE = (Path(__file__).parents[1] / "docs" / "names.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"(?<![\w./])tocsin(?:\.\w+)+", PAGE)) - {"tocsin.toml", "tocsin.calling"})
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| (.*?) ?\|$", PAGE, re.MULTILINE)

API = {
    "PushNotificationReceivedEventArgs": (
        "CreateFromBackgroundTaskInstance CreateFromPushNotificationReceivedEventArgs Payload GetDeferral Canceled Handled"
    ),
    "PushNotificationRegistrationActivators": "Undefined PushTrigger ComActivator ProtocolActivator",
    "PushNotificationActivationInfo": "TaskClsid Activators GetConditions SetConditions",
    "PushNotificationChannelStatus": "InProgress InProgressRetry CompletedSuccess CompletedFailure",
    "PushNotificationCreateChannelStatus": "extendedError status retryCount",
    "PushNotificationChannel": "Uri ExpirationTime Close PushReceived",
    "PushNotificationCreateChannelResult": "Channel ExtendedError Status",
    "PushNotificationManager": (
        "RegisterActivator UnregisterActivator UnregisterAllActivators CreateChannelAsync IsActivatorSupported"
    ),
}
"""The specification's classes, each with its members."""

CALLING = (
    "CreatePushNotificationChannelForApplicationAsync PushNotificationReceived PushNotificationType NotificationHub "
    "RegisterNativeAsync ChannelUri CallClient CreateCallAgentAsync tokenCredential CallAgentOptions CallAgent CommonCallAgent "
    "TeamsCallAgent RegisterForPushNotificationAsync CallsUpdated HandlePushNotificationAsync PushNotificationDetails Parse "
    "IncomingCallReceived IncomingCallReceivedEventArgs IncomingCall IsVideoEnabled CallerDetails DisplayName Identifier RawId "
    "AcceptAsync RejectAsync AcceptCallOptions IncomingVideoOptions StreamKind VideoStreamKind RemoteIncoming Call StateChanged "
    "RemoteParticipantsUpdated ToastContentBuilder SetToastScenario ToastScenario AddText AddButton ToastButton SetContent "
    "AddArgument Show ToastArguments OnLaunched LaunchActivatedEventArgs OnActivated IActivatedEventArgs "
    "ToastNotificationActivatedEventArgs"
)
"""The names of the SDKs on the calling page."""

MODULES = {"testing": tocsin.testing, "calling": tocsin.calling}
"""Those whose names are public besides those of the package itself."""


def resolve(name: str) -> object:
    """Find what a dotted name stands for.

    :raises AttributeError: nothing.
    """
    value: object = tocsin
    for part in name.split(".")[1:]:
        value = MODULES[part] if value is tocsin and part in MODULES else getattr(value, part)
    return value


@pytest.mark.parametrize("name", NAMED)
def test_what_the_page_names_exists(name: str) -> None:
    """A class, a member of one, or a function; and the class itself is public."""
    assert resolve(name) is not None
    parts = name.split(".")
    module = MODULES.get(parts[1])
    if module is None:
        assert parts[1] in tocsin.__all__
    else:
        assert parts[2] in module.__all__


def test_a_name_that_is_not_there_is_noticed() -> None:
    """Of a class and of a member."""
    for name in (
        "tocsin.PushManager",
        "tocsin.PushNotificationChannel.uris",
        "tocsin.testing.made_up",
        "tocsin.calling.made_up",
    ):
        with pytest.raises(AttributeError):
            resolve(name)


@pytest.mark.parametrize("class_name", API)
def test_every_member_of_the_api_has_its_row(class_name: str) -> None:
    """Under the heading of its class, the class itself included."""
    (section,) = re.findall(rf"^### {class_name}\n(.*?)^##", PAGE, re.MULTILINE | re.DOTALL)
    there = " ".join(row.split(" | ")[0] for row in section.splitlines() if row.startswith("| `"))
    assert [name for name in (class_name, *API[class_name].split()) if f"`{name}`" not in there] == []


@pytest.mark.parametrize("name", CALLING.split())
def test_every_name_of_the_calling_page_has_its_row(name: str) -> None:
    """In one of the tables under its heading, alone or behind the object that has it."""
    section = PAGE.partition("## The calling page\n")[2]
    there = " ".join(row.split(" | ")[0] for row in section.splitlines() if row.startswith("| `"))
    assert re.search(rf"[`.]{name}[`(]", there)


def test_every_row_says_what_it_is_here() -> None:
    """By a name, or by *not yet* or *none*; the last two say why, or what to use."""
    rows = [row for row in ROWS if row[0].startswith(("`", "manifest", "result category", "the bootstrapper"))]
    assert len(rows) > 60
    for there, here, note in rows:
        assert "`" in here or here in {"not yet", "none", "the number that `add_push_received` returns"}, there
        assert note or here not in {"not yet", "none"}, there


def test_every_public_name_of_the_api_is_on_the_page() -> None:
    """A class here that has the specification's name is found by it."""
    assert {name for name in tocsin.__all__ if name.startswith("PushNotification")} <= {
        name.split(".")[1] for name in NAMED
    }
