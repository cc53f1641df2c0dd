"""A button of a toast in the making, by the names and rules of ``ToastButton`` of the Windows Community Toolkit."""

from __future__ import annotations

from typing import Self

from tocsin.protocol.arguments import check_kind, check_text
from tocsin.protocol.errors import IllegalCall, InvalidArgument
from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.text import quoted
from tocsin.protocol.toasts.toast_arguments import ArgumentValue, ToastArguments
from tocsin.protocol.toasts.toast_content import SystemAction
from tocsin.protocol.xml_tree import XmlElement, check_xml_text

STYLES = ("Success", "Critical")

_NAMES = {
    ToastActivationType.FOREGROUND: "foreground",
    ToastActivationType.BACKGROUND: "background",
    ToastActivationType.PROTOCOL: "protocol",
}


class ToastButton:
    """A button; each method that sets something returns the button.

    :param content: its text.
    :param arguments: what the app gets, as one text; then no argument can be added.
    """

    def __init__(self, content: str = "", arguments: str | None = None) -> None:
        check_kind(content, "the text of a button", str)
        check_kind(arguments, "the arguments of a button", str, type(None))
        self._content = check_xml_text(content, "a button")
        self._custom = None if arguments is None else check_xml_text(arguments, "a button")
        self._arguments = ToastArguments()
        self._activation = ToastActivationType.FOREGROUND
        self._system: SystemAction | None = None
        self._attributes: dict[str, str] = {}

    @property
    def style(self) -> str:
        """``Success``, ``Critical`` or empty."""
        return self._attributes.get("hint-buttonStyle", "")

    def set_content(self, text: str) -> Self:
        """Set its text."""
        check_text(text, "the text of a button")
        self._content = check_xml_text(text, "a button")
        return self

    def add_argument(self, name: str, value: ArgumentValue = None) -> Self:
        """Add what the app gets when it is pressed.

        :raises IllegalCall: the button opens a link, snoozes or dismisses, or has its arguments as one text.
        """
        if self._custom is not None or self._system is not None:
            raise IllegalCall(
                "arguments cannot be added to a button that opens a link, snoozes, or has them as one text"
            )
        check_xml_text(str(ToastArguments().add(name, value)), "a button")
        self._arguments.add(name, value)
        return self

    def set_background_activation(self) -> Self:
        """Let it be background work of the app."""
        self._activation = ToastActivationType.BACKGROUND
        return self

    def set_protocol_activation(self, uri: str) -> Self:
        """Let it open a link.

        :raises IllegalCall: it has arguments.
        """
        check_text(uri, "a link")
        check_xml_text(uri, "a button")
        self._check_no_arguments()
        self._custom, self._activation = uri, ToastActivationType.PROTOCOL
        return self

    def set_dismiss_activation(self) -> Self:
        """Let it take the toast away, without the app.

        :raises IllegalCall: it has arguments.
        """
        self._check_no_arguments()
        self._system = SystemAction.DISMISS
        return self

    def set_snooze_activation(self, input_id: str = "") -> Self:
        """Let it put the toast off, for the minutes that are the id of what was chosen in an input, or as the system does.

        :raises IllegalCall: it has arguments.
        """
        check_kind(input_id, "the id of an input", str)
        self._check_no_arguments()
        self._system = SystemAction.SNOOZE
        if input_id:
            self._attributes["hint-inputId"] = check_xml_text(input_id, "a button")
        return self

    def set_text_box_id(self, input_id: str) -> Self:
        """Let it stand beside an input, as its send button."""
        check_text(input_id, "the id of an input")
        self._attributes["hint-inputId"] = check_xml_text(input_id, "a button")
        return self

    def set_image_uri(self, source: str) -> Self:
        """Give it a picture."""
        check_text(source, "the source of a picture")
        self._attributes["imageUri"] = check_xml_text(source, "a button")
        return self

    def set_in_menu(self) -> Self:
        """Let it stand in the context menu only."""
        self._attributes["placement"] = "contextMenu"
        return self

    def set_style(self, style: str) -> Self:
        """Colour it: ``Success`` for accepting, ``Critical`` for declining."""
        if style not in STYLES:
            raise InvalidArgument(f"the style of a button is one of {', '.join(STYLES)}, not {quoted(style)}")
        self._attributes["hint-buttonStyle"] = style
        return self

    def check(self) -> None:
        """See that it can be shown.

        :raises InvalidArgument: it has no text, and does not snooze or dismiss.
        """
        if not self._content and self._system is None:
            raise InvalidArgument("a button needs a text, unless it snoozes or dismisses")

    def element(self, shared: ToastArguments) -> XmlElement:
        """Return it as XML, with the arguments of its toast behind its own, where it adds any."""
        if self._system is not None:
            attributes = {"activationType": "system", "arguments": self._system.value}
        else:
            arguments = self._custom
            if arguments is None:
                merged = ToastArguments(**self._arguments)
                for name, value in shared.items():
                    merged.setdefault(name, value)
                arguments = str(merged)
            attributes = activation_attributes(self._activation) | {"arguments": arguments}
        attributes = {"content": self._content} | attributes | self._attributes
        return XmlElement("action", tuple(attributes.items()))

    def _check_no_arguments(self) -> None:
        if self._custom is not None or len(self._arguments):
            raise IllegalCall("the button has arguments, so that it cannot open a link, snooze or dismiss")


def activation_attributes(activation: ToastActivationType) -> dict[str, str]:
    """Return how a click is to reach the app, as attributes; nothing says the same as foreground."""
    return {} if activation is ToastActivationType.FOREGROUND else {"activationType": _NAMES[activation]}
