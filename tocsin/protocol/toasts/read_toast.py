"""Reads a toast, of whatever sender: what cannot be understood is passed over where something is left to show."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.toasts.toast_content import (
    MAX_BUTTONS,
    SystemAction,
    ToastAction,
    ToastAudio,
    ToastContent,
    ToastDuration,
    ToastHeader,
    ToastInput,
    ToastProgress,
    ToastScenario,
)
from tocsin.protocol.toasts.visual_texts import bindings_of, check_root, chosen, images_of, texts_of
from tocsin.protocol.xml_tree import XmlElement, parse_xml

E = TypeVar("E", bound=StrEnum)

_ACTIVATIONS = {
    "foreground": ToastActivationType.FOREGROUND,
    "background": ToastActivationType.BACKGROUND,
    "protocol": ToastActivationType.PROTOCOL,
}


def read_toast(body: bytes) -> ToastContent:
    """Read a toast: a generic one, or one of the legacy templates ToastText01 to 04 and ToastImageAndText01 to 04.

    :raises UnreadableContent: it is no toast; the sentence says what is wrong and where.
    """
    return toast_of(parse_xml(body))


def toast_of(root: XmlElement) -> ToastContent:
    """Read a toast of its tree; errors as for :func:`read_toast`."""
    check_root(root, "toast")
    binding = chosen(bindings_of(root, "toast"), "ToastGeneric")
    attribution = [text.text.strip() for text in binding.find("text") if text.get("placement") == "attribution"]
    actions, audio, header = root.first("actions"), root.first("audio"), root.first("header")
    buttons = () if actions is None else tuple(map(_action, actions.elements("action")))
    return ToastContent(
        root,
        texts_of(binding),
        attribution[0] if attribution else "",
        images_of(binding),
        tuple(map(_progress, binding.find("progress"))),
        () if actions is None else tuple(map(_input, actions.elements("input"))),
        buttons[:MAX_BUTTONS],
        None if audio is None else ToastAudio(audio.get("src"), _is_true(audio, "loop"), _is_true(audio, "silent")),
        None if header is None else ToastHeader(header.get("id"), header.get("title"), header.get("arguments")),
        _member(ToastScenario, root.get("scenario"), ToastScenario.DEFAULT),
        _member(ToastDuration, root.get("duration"), ToastDuration.SHORT),
        root.get("launch"),
        _ACTIVATIONS.get(root.get("activationType"), ToastActivationType.FOREGROUND),
        root.get("displayTimestamp"),
    )


def _action(element: XmlElement) -> ToastAction:
    is_system = element.get("activationType") == "system"
    return ToastAction(
        element.get("content"),
        element.get("arguments"),
        _ACTIVATIONS.get(element.get("activationType"), ToastActivationType.FOREGROUND),
        _member(SystemAction, element.get("arguments"), SystemAction.DISMISS) if is_system else None,
        element.get("placement") == "contextMenu",
        element.get("hint-buttonStyle"),
        element.get("hint-inputId"),
    )


def _input(element: XmlElement) -> ToastInput:
    choices = tuple((each.get("id"), each.get("content")) for each in element.elements("selection"))
    default = element.get("defaultInput")
    if element.get("type") != "selection":
        choices = ()
    elif default not in dict(choices) and choices:
        default = choices[0][0]
    return ToastInput(element.get("id"), element.get("title"), element.get("placeHolderContent"), default, choices)


def _progress(element: XmlElement) -> ToastProgress:
    return ToastProgress(
        element.get("title"), element.get("value"), element.get("valueStringOverride"), element.get("status")
    )


def _member(kind: type[E], text: str, default: E) -> E:
    return kind(text) if text in set(kind) else default


def _is_true(element: XmlElement, attribute: str) -> bool:
    return element.get(attribute) in {"true", "1"}
