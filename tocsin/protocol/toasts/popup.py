"""What a desktop is asked to show: a toast as plain text, buttons and a few wishes, whatever it was written as."""

from __future__ import annotations

from attrs import frozen

DEFAULT_KEY = "default"
"""The key of a click on the toast itself."""


@frozen
class PopupButton:
    """A button: ``key`` tells it from the others, and comes back when it is pressed."""

    key: str
    label: str


@frozen
class PopupInput:
    """A text that the user may type in, or one of several choices; ``choices`` are pairs of id and label, empty for a text."""

    id: str
    title: str
    placeholder: str
    default: str
    choices: tuple[tuple[str, str], ...] = ()


@frozen
class Popup:
    """One toast for a desktop; plain text everywhere: a desktop that reads markup escapes it."""

    app: str
    """The app whose toast it is, which the desktop names."""
    title: str
    body: str
    buttons: tuple[PopupButton, ...] = ()
    default_label: str = "Open"
    """What a click on the toast itself does, in a word or two."""
    inputs: tuple[PopupInput, ...] = ()
    urgent: bool = False
    """Whether it stays until it is taken down, above what is not urgent: an incoming call, an alarm."""
    seconds: float = 7.0
    """How long it is on screen by the shell's own clock; 0 for as long as it is not taken down."""
    silent: bool = False
    sound: str = ""
    """The name of a sound of the freedesktop sound theme, such as ``phone-incoming-call``; empty for the desktop's own."""
    loop: bool = False
    """Whether the sound is repeated for as long as it is on screen."""
    image: str = ""
    """The path of a picture on this machine that the policy allows; empty for none."""
    progress: float | None = None
    """How far something is, from 0 to 1; None where nothing is counted."""


@frozen
class Handle:
    """A popup by the number that its daemon gave it; numbers of another ``daemon``, one process of it, mean nothing."""

    daemon: str
    """Names one process of a daemon on one bus, so that after a restart of either it is another; text of up to 200 characters."""
    number: int
