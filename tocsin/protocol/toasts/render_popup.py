"""What a desktop shows of a toast, and what a click on it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.toasts.popup import Popup, PopupButton, PopupInput
from tocsin.protocol.toasts.toast_content import (
    SystemAction,
    ToastContent,
    ToastDuration,
    ToastInput,
    ToastProgress,
    ToastScenario,
)

SHORT, LONG = 7.0, 25.0
"""Seconds that an ordinary toast is on the screen."""

MAX_TITLE, MAX_BODY, MAX_LABEL = 200, 2_000, 60
"""Characters of a title, a body and a label at most."""

_MAX_READ: Final = 4 * MAX_BODY
"""Characters of a text, marks and spaces included, of which what is shown is made."""

CALLING = 120.0
"""Seconds that a call rings at most: its sender may be gone, and cannot take it down."""

_STAYING: Final = frozenset({ToastScenario.REMINDER, ToastScenario.ALARM, ToastScenario.URGENT})
_URGENT: Final = frozenset({ToastScenario.ALARM, ToastScenario.INCOMING_CALL, ToastScenario.URGENT})
_RINGING: Final = frozenset({ToastScenario.ALARM, ToastScenario.INCOMING_CALL})
_BINDING: Final = re.compile(r"\{([^{}]+)\}")
_FRACTION: Final = re.compile(r"(?:\d{1,32}(?:\.\d{1,32})?|\.\d{1,32})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_JOINER: Final = "\u200d"
"""Holds some pictures and letters together; it shows nothing of its own."""
_SYSTEM_LABELS: Final = {SystemAction.SNOOZE: "Snooze", SystemAction.DISMISS: "Dismiss"}

_SOUNDS: Final = (
    ("ms-winsoundevent:Notification.Looping.Call", "phone-incoming-call"),
    ("ms-winsoundevent:Notification.Looping.Alarm", "alarm-clock-elapsed"),
    ("ms-winsoundevent:Notification.IM", "message-new-instant"),
    ("ms-winsoundevent:Notification.SMS", "message-new-instant"),
    ("ms-winsoundevent:Notification.Mail", "message-new-email"),
    ("ms-winsoundevent:Notification.Reminder", "alarm-clock-elapsed"),
)
"""What the sounds of Windows begin with, and the sounds of the freedesktop theme that stand for them."""


@frozen
class ToastClick:
    """What a click means: what the app gets, or what is done without it."""

    kind: ToastActivationType
    argument: str
    system: SystemAction | None = None


def no_picture(_source: str) -> str:
    """Show no picture, wherever it is: the policy where there is no other."""
    return ""


def is_urgent(content: ToastContent) -> bool:
    """Tell whether a toast goes before all that is not, and waits for no quiet hours to end."""
    return content.scenario in _URGENT


def popup_of(
    app: str, content: ToastContent, data: Mapping[str, str], picture: Callable[[str], str] = no_picture
) -> Popup:
    """Return what a desktop is asked to show.

    :param app: the app whose toast it is.
    :param data: the values that are bound to it, by name; what is bound and has none is shown as empty.
    :param picture: returns the path of a picture that may be shown, of its source; empty where it may not.
    """
    texts = [_plain(_bound(text, data), MAX_BODY) for text in content.texts]
    title, *lines = [text for text in texts if text] or [app]
    for bar in content.progress:
        lines += _lines_of(bar, data)
    lines.append(_plain(_bound(content.attribution, data), MAX_TITLE))
    rings = content.scenario in _RINGING
    audio = content.audio
    sources = sorted(content.images, key=lambda image: image.placement != "appLogoOverride")
    return Popup(
        app=_plain(app, MAX_TITLE),
        title=_plain(title, MAX_TITLE),
        body=_cut("\n".join(line for line in lines if line), MAX_BODY),
        buttons=_buttons(content),
        inputs=tuple(map(_input, content.inputs)),
        urgent=is_urgent(content),
        seconds=_seconds(content),
        silent=audio is not None and audio.silent,
        sound=_sound(content),
        loop=rings if audio is None else audio.loop or (rings and not audio.silent),
        image=next((path for path in map(picture, (image.source for image in sources)) if path), ""),
        progress=_fraction(content, data),
    )


def action_of(content: ToastContent, key: str) -> ToastClick:
    """Return what a click means; one on a button that is not there is one on the toast itself."""
    for index, action in enumerate(content.actions):
        if key == str(index):
            return ToastClick(action.activation, action.arguments, action.system)
    return ToastClick(content.activation, content.launch)


def inputs_of(content: ToastContent, typed: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return what the user has typed or chosen, each input that was not asked for with its default."""
    known = {each.id: each.default for each in content.inputs}
    return tuple((known | {id_: text for id_, text in typed if id_ in known}).items())


def _buttons(content: ToastContent) -> tuple[PopupButton, ...]:
    buttons = []
    for index, action in enumerate(content.actions):
        label = action.content or ("" if action.system is None else _SYSTEM_LABELS[action.system])
        if label and not action.in_menu and action.system is not SystemAction.SNOOZE:
            buttons.append(PopupButton(str(index), _plain(label, MAX_LABEL)))
    return tuple(buttons)


def _input(asked: ToastInput) -> PopupInput:
    choices = tuple((id_, _plain(text, MAX_LABEL)) for id_, text in asked.choices)
    title, placeholder = _plain(asked.title, MAX_LABEL), _plain(asked.placeholder, MAX_LABEL)
    return PopupInput(asked.id, title, placeholder, _plain(asked.default, MAX_TITLE), choices)


def _seconds(content: ToastContent) -> float:
    if content.scenario in _STAYING:
        return 0.0
    if content.scenario is ToastScenario.INCOMING_CALL:
        return CALLING
    return LONG if content.duration is ToastDuration.LONG else SHORT


def _sound(content: ToastContent) -> str:
    source = "" if content.audio is None else content.audio.source
    for beginning, sound in _SOUNDS:
        if source.startswith(beginning):
            return sound
    if content.scenario is ToastScenario.INCOMING_CALL:
        return "phone-incoming-call"
    return "alarm-clock-elapsed" if content.scenario is ToastScenario.ALARM else ""


def _lines_of(bar: ToastProgress, data: Mapping[str, str]) -> list[str]:
    """Say a progress bar in words, for a desktop that draws none."""
    title, status = (_plain(_bound(text, data), MAX_TITLE) for text in (bar.title, bar.status))
    fraction = _number(_bound(bar.value, data))
    shown = _plain(_bound(bar.value_text, data), MAX_TITLE) or ("" if fraction is None else f"{fraction:.0%}")
    return [title, " ".join(word for word in (status, shown) if word)]


def _fraction(content: ToastContent, data: Mapping[str, str]) -> float | None:
    return _number(_bound(content.progress[0].value, data)) if content.progress else None


def _number(text: str) -> float | None:
    return min(1.0, float(text)) if _FRACTION.fullmatch(text) else None


def _bound(text: str, data: Mapping[str, str]) -> str:
    """Put the bound values in; where none are bound at all, braces are text."""
    text = text[:_MAX_READ]  # what follows would be cut off in the end
    return _BINDING.sub(lambda name: data.get(name[1], "")[:MAX_BODY], text)[:_MAX_READ] if data else text


def _plain(text: str, limit: int) -> str:
    """Return a text without control characters and marks that turn the direction of writing; line ends stay."""
    lines = (line for line in text.splitlines() if line.strip())
    plain = "\n".join("".join(each for each in line if each.isprintable() or each == _JOINER).strip() for line in lines)
    return _cut(plain, limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
