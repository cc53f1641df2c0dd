"""What the toasts of calls say, what their buttons mean, and how that is read back."""

from __future__ import annotations

import hashlib
from enum import StrEnum, unique
from typing import Final

from attrs import frozen

from tocsin.api.toast_activated import ToastNotificationActivatedEventArgs
from tocsin.api.toast_notifier import KeptToast
from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.text import harmless
from tocsin.protocol.toasts.read_toast import read_toast
from tocsin.protocol.toasts.toast_arguments import ToastArguments
from tocsin.protocol.toasts.toast_builder import ToastContentBuilder
from tocsin.protocol.toasts.toast_button import ToastButton
from tocsin.protocol.toasts.toast_content import ToastScenario
from tocsin.protocol.values import MAX_TOAST_LABEL

CALLS: Final = "calls"
"""The group of the toasts of calls that ring."""
MISSED_CALLS: Final = "missed-calls"
"""The group of the toasts that tell of missed calls."""

MAX_CALLER: Final = 100
"""Characters of a caller that a toast shows at most."""

_SOUND: Final = "ms-winsoundevent:Notification.Looping.Call"
_RINGS: Final = " is calling you."
_VIDEO, _AUDIO = "New Incoming Video Call", "New Incoming Audio Call"
_MISSED: Final = "missed-"


@unique
class CallAction(StrEnum):
    """What a click on the toast of a call asks for; its value is the argument ``action``."""

    ACCEPT = "accept"
    DECLINE = "decline"
    OPEN = "open"
    """A click on the toast itself."""


@frozen
class CallClick:
    """A click on the toast of a call that rings, or rang."""

    call_id: str
    action: CallAction


@frozen
class ShownCall:
    """A call, as a toast shows it."""

    call_id: str
    caller: str
    """The caller's display name, or raw id."""
    video: bool

    @property
    def tag(self) -> str:
        """The tag of its toast while it rings."""
        return tag_of(self.call_id)

    @property
    def missed_tag(self) -> str:
        """The tag of the toast that tells of it as missed."""
        return tag_of(self.call_id, _MISSED)

    def ring(self) -> ToastContentBuilder:
        """Build the toast of the call while it rings."""
        return (
            ToastContentBuilder()
            .set_toast_scenario(ToastScenario.INCOMING_CALL)
            .add_argument("action", CallAction.OPEN)
            .add_argument("callId", self.call_id)
            .add_text(f"{self._caller}{_RINGS}", center_in_call=True)
            .add_text(_VIDEO if self.video else _AUDIO)
            .add_audio(_SOUND, loop=True)
            .add_button(self._button("Decline", CallAction.DECLINE, "Critical"))
            .add_button(self._button("Accept", CallAction.ACCEPT, "Success"))
        )

    def missed(self) -> ToastContentBuilder:
        """Build the toast that tells that it was missed."""
        return (
            ToastContentBuilder()
            .add_argument("action", "missed")
            .add_argument("callId", self.call_id)
            .add_text(f"You missed a call from {self._caller}.")
            .add_text("Missed Video Call" if self.video else "Missed Audio Call")
        )

    @property
    def _caller(self) -> str:
        return harmless(self.caller, MAX_CALLER)

    def _button(self, text: str, action: CallAction, style: str) -> ToastButton:
        button = ToastButton(text).add_argument("action", action).add_argument("callId", self.call_id)
        return button.set_style(style)


def tag_of(call_id: str, prefix: str = "") -> str:
    """Return the tag of the toast of a call: its id, or the hash of one that is too long for a tag, or cannot be printed."""
    tag = f"{prefix}{call_id}"
    if call_id and len(tag) <= MAX_TOAST_LABEL and tag.isprintable():
        return tag
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{prefix}{digest}"[:MAX_TOAST_LABEL]


def click_on(args: ToastNotificationActivatedEventArgs) -> CallClick | None:
    """Return what a click asks for; None where the toast is not that of a call that rings."""
    arguments = args.arguments
    call_id, action = arguments.get("callId"), arguments.get("action")
    if args.group != CALLS or not call_id or action not in set(CallAction) or args.tag != tag_of(call_id):
        return None
    return CallClick(call_id, CallAction(action))


def call_on(toast: KeptToast) -> ShownCall | None:
    """Return the call whose ring a toast shows; None where it is no such toast."""
    if toast.group != CALLS:
        return None
    try:
        content = read_toast(toast.content.encode())
    except UnreadableContent:
        return None
    call_id = ToastArguments.parse(content.launch).get("callId")
    if not call_id or toast.tag != tag_of(call_id) or len(content.texts) < 2:
        return None
    return ShownCall(call_id, content.texts[0].removesuffix(_RINGS), content.texts[1] == _VIDEO)
