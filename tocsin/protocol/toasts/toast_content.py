"""What a toast says, asks and offers: read of its XML, which is kept whole, with what is not understood."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final

from attrs import frozen

from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.xml_tree import XmlElement, write_xml

MAX_BUTTONS: Final = 5
"""Buttons of a toast at most, those in its context menu included."""


@unique
class ToastScenario(StrEnum):
    """What a toast is about, which decides how long it stays and what it may interrupt."""

    DEFAULT = "default"
    REMINDER = "reminder"
    ALARM = "alarm"
    INCOMING_CALL = "incomingCall"
    URGENT = "urgent"


@unique
class ToastDuration(StrEnum):
    """How long an ordinary toast is on the screen."""

    SHORT = "short"
    LONG = "long"


@unique
class SystemAction(StrEnum):
    """What a button does without its app."""

    SNOOZE = "snooze"
    DISMISS = "dismiss"


@frozen
class ToastImage:
    """A picture: where it is, what it shows in words, and where it stands (``appLogoOverride``, ``hero``, or empty)."""

    source: str
    alternative: str = ""
    placement: str = ""


@frozen
class ToastProgress:
    """A progress bar; each of its fields may be a binding such as ``{value}``. ``value`` is 0 to 1, or ``indeterminate``."""

    title: str
    value: str
    value_text: str
    status: str


@frozen
class ToastInput:
    """What the user is asked: a text, or one of ``choices``, which are pairs of id and text."""

    id: str
    title: str = ""
    placeholder: str = ""
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@frozen
class ToastAction:
    """A button; ``system`` is what it does without the app, else the app gets ``arguments``."""

    content: str
    arguments: str
    activation: ToastActivationType = ToastActivationType.FOREGROUND
    system: SystemAction | None = None
    in_menu: bool = False
    """Whether it stands in the context menu only."""
    style: str = ""
    """``Success`` or ``Critical``, where the toast asks for styles."""
    input_id: str = ""
    """The input that it stands beside, or, of a snooze button, the one that says how long."""


@frozen
class ToastAudio:
    """What is heard; ``source`` is empty for the desktop's own sound."""

    source: str = ""
    loop: bool = False
    silent: bool = False


@frozen
class ToastHeader:
    """What several toasts stand under."""

    id: str
    title: str
    arguments: str


@frozen
class ToastContent:
    """A toast; ``tree`` is the whole of it as it was written."""

    tree: XmlElement
    texts: tuple[str, ...] = ()
    attribution: str = ""
    images: tuple[ToastImage, ...] = ()
    progress: tuple[ToastProgress, ...] = ()
    inputs: tuple[ToastInput, ...] = ()
    actions: tuple[ToastAction, ...] = ()
    audio: ToastAudio | None = None
    header: ToastHeader | None = None
    scenario: ToastScenario = ToastScenario.DEFAULT
    duration: ToastDuration = ToastDuration.SHORT
    launch: str = ""
    activation: ToastActivationType = ToastActivationType.FOREGROUND
    display_timestamp: str = ""

    def get_xml(self) -> str:
        """Return it as XML, with what is not understood."""
        return write_xml(self.tree)
