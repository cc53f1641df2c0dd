"""A popup as the arguments of ``Notify`` (Desktop Notifications Specification 1.2), checked before a library takes them.

dbus-fast sends a text where a list of texts is wanted as a list of its letters, and raises five kinds of errors for other slips:
here each value has its type by the way in which it is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any, Final

from attrs import evolve, frozen

from tocsin.protocol.text import encodable
from tocsin.protocol.toasts.popup import DEFAULT_KEY, Popup
from tocsin.shell.daemon_traits import DaemonTraits

SIGNATURE: Final = "susssasa{sv}i"

NORMAL, CRITICAL = 1, 2

LONGEST: Final = 24 * 3600.0
"""Seconds that a daemon is asked to show an ordinary popup at most; the shell's clock takes it down anyway."""

DIFFERENCE: Final = "\u2060"
"""Shows nothing, and makes a text another one: two daemons take equal popups for one."""

Hints = dict[str, tuple[str, Any]]


@frozen
class NotifyArguments:
    """What ``Notify`` takes, but for the number that is replaced; each hint is a signature of D-Bus and a value."""

    app: str
    title: str
    body: str
    actions: list[str]
    hints: Hints
    milliseconds: int

    @property
    def look(self) -> tuple[str, str, str]:
        """What a daemon may know an equal one by."""
        return self.app, self.title, self.body


VANISHING: Final = NotifyArguments("", "", "", [], {"transient": ("b", True)}, 1)
"""A popup that is gone at once, and with it what it takes the place of."""


def notify_arguments(
    popup: Popup, capabilities: frozenset[str], traits: DaemonTraits, *, rings: bool = False
) -> NotifyArguments:
    """Return the arguments for a popup.

    :param capabilities: what the daemon says that it can do.
    :param rings: whether its sound is played beside the daemon, which is to be silent then.
    """
    body = popup.body
    has_actions = "actions" in capabilities
    if popup.buttons and not (has_actions and traits.has_buttons):
        labels = ", ".join(button.label for button in popup.buttons)
        where = "In its menu" if has_actions else f"In {popup.app}"
        body = "\n".join(filter(None, (body, f"{where}: {labels}")))
    body = _text(body)
    if "body-markup" in capabilities:
        body = escape(body, quote=False)  # behind the cut, which would go through an entity
    return NotifyArguments(
        _text(popup.app),
        _text(popup.title),
        body,
        _actions(popup) if has_actions else [],
        _hints(popup, capabilities, traits, rings=rings),
        0 if popup.urgent or popup.seconds <= 0 else max(1, int(min(popup.seconds, LONGEST) * 1000)),
    )


def made_different(arguments: NotifyArguments, looks: Iterable[tuple[str, str, str]]) -> NotifyArguments:
    """Return arguments that look like none of these to a daemon, and the same to a person."""
    taken, body = set(looks), arguments.body
    while (arguments.app, arguments.title, body) in taken:
        body += DIFFERENCE
    return evolve(arguments, body=body)


def _actions(popup: Popup) -> list[str]:
    """Return keys and labels in turn; a click on the popup itself always has a label, and is never the only way to answer."""
    pairs = [(DEFAULT_KEY, popup.default_label), *((button.key, button.label) for button in popup.buttons)]
    return [_text(word) for pair in pairs for word in pair]


def _hints(popup: Popup, capabilities: frozenset[str], traits: DaemonTraits, *, rings: bool) -> Hints:
    hints: Hints = {"urgency": ("y", CRITICAL if popup.urgent else NORMAL)}
    if traits.one_at_a_time and not popup.urgent:
        hints["transient"] = ("b", True)  # or it would never make room for the next
    if popup.silent or rings:
        hints["suppress-sound"] = ("b", True)
    elif popup.sound and "sound" in capabilities:
        hints["sound-name"] = ("s", _text(popup.sound))
    if popup.progress is not None and traits.draws_progress:
        hints["value"] = ("i", round(popup.progress * 100))
    if popup.image:
        hints["image-path"] = ("s", _text(popup.image))
    if popup.inputs and "inline-reply" in capabilities:
        hints["x-kde-reply-placeholder-text"] = ("s", _text(popup.inputs[0].placeholder))
    return hints


def _text(text: str) -> str:
    """Return a text that D-Bus can carry: UTF-8, and no NUL."""
    return encodable(text.replace("\0", ""))
