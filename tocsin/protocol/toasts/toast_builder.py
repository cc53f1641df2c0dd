"""Builds toasts, by the names and rules of ``ToastContentBuilder`` of the Windows Community Toolkit.

Where the toolkit and the builder of the Windows App SDK differ: four lines of text are the toolkit's rule, five inputs and
five choices and 5,120 characters are the SDK's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Any, Final, Self, TypeVar

from tocsin.protocol.arguments import check_kind, check_text, check_within
from tocsin.protocol.errors import IllegalCall, InvalidArgument
from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.text import quoted
from tocsin.protocol.toasts.notifier import ShownToast, ToastData, current_notifier
from tocsin.protocol.toasts.read_toast import toast_of
from tocsin.protocol.toasts.toast_arguments import ArgumentValue, ToastArguments
from tocsin.protocol.toasts.toast_button import ToastButton, activation_attributes
from tocsin.protocol.toasts.toast_content import MAX_BUTTONS, ToastContent, ToastDuration, ToastScenario
from tocsin.protocol.values import MAX_TOAST_LENGTH
from tocsin.protocol.xml_tree import XmlElement, check_xml_text, write_xml

MAX_LINES: Final = 4
"""Lines of text at most: the first text counts two, unless it says otherwise, each other one."""
MAX_INPUTS: Final = 5
MAX_CHOICES: Final = 5

_AUDIO_SCHEMES: Final = ("ms-appx:", "file:", "ms-winsoundevent:")

E = TypeVar("E", bound=StrEnum)


class ToastContentBuilder:
    """A toast in the making; each method that adds something returns the builder.

    All raise InvalidArgument where what is given cannot be right, or is one too many; the toast is as before then.

    Example::

        builder = tocsin.ToastContentBuilder().add_text("Ann is calling").add_argument("caller", "ann")
        builder.add_button(tocsin.ToastButton("Accept").add_argument("action", "accept"))
        print(builder.get_xml())
    """

    def __init__(self) -> None:
        self._attributes: dict[str, str] = {}
        self._arguments = ToastArguments()
        self._custom: str | None = None
        self._activation = ToastActivationType.FOREGROUND
        self._shown: list[XmlElement] = []
        self._lines: list[int] = []
        self._inputs: list[XmlElement] = []
        self._buttons: list[ToastButton] = []
        self._audio: XmlElement | None = None
        self._header: XmlElement | None = None

    # What is shown

    def add_text(self, text: str, *, max_lines: int | None = None, center_in_call: bool = False) -> Self:
        """Add a text; the first is the title.

        :param max_lines: 1 or 2; by default 2 for the title, and 1 for each other.
        :param center_in_call: whether it stands in the middle of an incoming call.
        """
        check_text(text, "a text")
        hints: dict[str, str] = {}
        if max_lines is not None:
            check_within(max_lines, "max_lines", 1, 2)
            hints["hint-maxLines"] = str(max_lines)
        if center_in_call:
            hints["hint-callScenarioCenterAlign"] = "true"
        lines = max_lines or (1 if self._lines else 2)
        if sum(self._lines) + lines > MAX_LINES:
            raise InvalidArgument(
                f"a toast has {MAX_LINES} lines of text at most: the first text counts two unless max_lines says 1"
            )
        self._show("text", hints, text)
        self._lines.append(lines)
        return self

    def add_attribution_text(self, text: str) -> Self:
        """Add where it is from, in small below the texts."""
        check_text(text, "an attribution")
        return self._show("text", {"placement": "attribution"}, text)

    def add_app_logo_override(self, source: str, *, circle: bool = False, alternative: str = "") -> Self:
        """Show a picture in the place of the app's logo."""
        crop = {"hint-crop": "circle"} if circle else {}
        return self._add_image(source, {"placement": "appLogoOverride"} | crop, alternative)

    def add_hero_image(self, source: str, *, alternative: str = "") -> Self:
        """Show a wide picture above the texts."""
        return self._add_image(source, {"placement": "hero"}, alternative)

    def add_inline_image(self, source: str, *, alternative: str = "") -> Self:
        """Show a picture below the texts."""
        return self._add_image(source, {}, alternative)

    def add_progress_bar(
        self, title: str = "", value: float | str | None = None, *, value_text: str = "", status: str = ""
    ) -> Self:
        """Show how far something is.

        :param value: from 0 to 1, the name of a bound value as ``{name}``, or None where that is not known.
        :param value_text: what stands in the place of the percentage.
        """
        for text, what in ((title, "a title"), (value_text, "a value's text"), (status, "a status")):
            check_kind(text, what, str)
        check_kind(value, "a progress", float, str, type(None))
        if isinstance(value, (int, float)) and not (isfinite(value) and 0 <= value <= 1):
            raise InvalidArgument(f"a progress is from 0 to 1, not {quoted(value)}")
        bar = {"title": title, "value": "indeterminate" if value is None else str(value)}
        return self._show(
            "progress", {k: v for k, v in (bar | {"valueStringOverride": value_text}).items() if v} | {"status": status}
        )

    def add_header(self, id_: str, title: str, arguments: ToastArguments | str = "") -> Self:
        """Let it stand under a header, with all toasts that have the same."""
        check_text(id_, "the id of a header")
        check_text(title, "the title of a header")
        check_kind(arguments, "the arguments of a header", ToastArguments, str)
        self._header = _element("header", {"id": id_, "title": title, "arguments": str(arguments)})
        return self

    def add_custom_time_stamp(self, moment: datetime) -> Self:
        """Say when it has happened, where that is another time than when it is shown; an aware time."""
        check_kind(moment, "a time stamp", datetime)
        if moment.tzinfo is None:
            raise InvalidArgument("a time stamp needs a time zone: datetime.now(timezone.utc) has one")
        self._attributes["displayTimestamp"] = moment.isoformat(timespec="seconds")
        return self

    def add_audio(self, source: str = "", *, loop: bool = False, silent: bool = False) -> Self:
        """Say what is heard: a source that begins with ``ms-winsoundevent:``, ``ms-appx:`` or ``file:``, or nothing."""
        check_kind(source, "a sound", str)
        if source and not source.startswith(_AUDIO_SCHEMES):
            raise InvalidArgument(f"a sound begins with {', '.join(_AUDIO_SCHEMES)}, unlike {quoted(source)}")
        flags = {"loop": loop, "silent": silent}
        wishes = ({"src": source} if source else {}) | {name: "true" for name, wish in flags.items() if wish}
        self._audio = _element("audio", wishes)
        return self

    def set_toast_scenario(self, scenario: ToastScenario | str) -> Self:
        """Say what it is about: a reminder, an alarm, an incoming call."""
        self._attributes["scenario"] = _member(ToastScenario, scenario, "a scenario").value
        return self

    def set_toast_duration(self, duration: ToastDuration | str) -> Self:
        """Say how long it is on the screen: ``short``, 7 s, or ``long``, 25 s."""
        self._attributes["duration"] = _member(ToastDuration, duration, "a duration").value
        return self

    # What a click means

    def add_argument(self, name: str, value: ArgumentValue = None) -> Self:
        """Add what the app gets with a click on the toast, and on each button that opens no link and has no text of its own as its arguments.

        :raises IllegalCall: the toast opens a link, or has arguments of its own as one text.
        """
        if self._custom is not None:
            raise IllegalCall("arguments cannot be added to a toast that opens a link")
        check_xml_text(str(ToastArguments().add(name, value)), "a toast")
        self._arguments.add(name, value)
        return self

    def set_protocol_activation(self, uri: str) -> Self:
        """Open a link with a click on the toast.

        :raises IllegalCall: the toast has arguments.
        """
        check_text(uri, "a link")
        check_xml_text(uri, "a toast")
        if len(self._arguments):
            raise IllegalCall("a toast that has arguments opens no link")
        self._custom, self._activation = uri, ToastActivationType.PROTOCOL
        return self

    def set_background_activation(self) -> Self:
        """Let a click on the toast be background work of the app."""
        self._activation = ToastActivationType.BACKGROUND
        return self

    def add_button(
        self,
        button: ToastButton | str,
        arguments: Mapping[str, Any] | None = None,
        activation: ToastActivationType = ToastActivationType.FOREGROUND,
    ) -> Self:
        """Add a button: a :class:`ToastButton`, or one with this text and these arguments."""
        check_kind(button, "a button", ToastButton, str)
        if isinstance(button, str):
            made = ToastButton().set_content(button)
            for name, value in (arguments or {}).items():
                made.add_argument(name, value)
            button = made.set_background_activation() if activation is ToastActivationType.BACKGROUND else made
        elif arguments is not None:
            raise InvalidArgument("a ToastButton has its own arguments")
        if len(self._buttons) >= MAX_BUTTONS:
            raise InvalidArgument(f"a toast has {MAX_BUTTONS} buttons at most")
        button.check()
        self._buttons.append(button)
        return self

    def add_input_text_box(self, id_: str, placeholder: str = "", title: str = "", default: str = "") -> Self:
        """Ask for a text, which comes with the click under this id."""
        return self._ask("text", id_, {"placeHolderContent": placeholder, "title": title, "defaultInput": default})

    def add_combo_box(
        self, id_: str, choices: Mapping[str, str], *, title: str = "", default: str | None = None
    ) -> Self:
        """Ask for one of up to five choices, a text for each id; the id of the chosen one comes with the click.

        :param default: the id of the one that is chosen beforehand; by default the first.
        """
        check_kind(choices, "choices", Mapping)
        if not 1 <= len(choices) <= MAX_CHOICES:
            raise InvalidArgument(f"a selection has 1 to {MAX_CHOICES} choices, not {len(choices)}")
        for each, text in choices.items():
            check_text(each, "the id of a choice")
            check_text(text, "a choice")
        chosen = next(iter(choices)) if default is None else default
        if chosen not in choices:
            raise InvalidArgument(f"the default is none of the choices: {quoted(chosen)}")
        offered = [_element("selection", {"id": each, "content": text}) for each, text in choices.items()]
        return self._ask("selection", id_, {"title": title, "defaultInput": chosen}, *offered)

    # What comes of it

    def get_content(self) -> ToastContent:
        """Return what it says, asks and offers.

        :raises InvalidArgument: it says nothing, or is too long.
        """
        self.get_xml()
        return toast_of(self._tree())

    def get_xml(self) -> str:
        """Return it as XML; errors as for :meth:`get_content`."""
        xml = write_xml(self._tree())
        if len(xml) > MAX_TOAST_LENGTH:
            raise InvalidArgument(f"the toast has {len(xml)} characters as XML; {MAX_TOAST_LENGTH} are the most")
        return xml

    async def show(  # noqa: PLR0913  # a toast and what is said of it
        self,
        *,
        tag: str = "",
        group: str = "",
        expires: timedelta | None = None,
        suppress_display: bool = False,
        expires_on_reboot: bool = False,
        data: Mapping[str, str] | ToastData | None = None,
    ) -> ShownToast:
        """Show it, by the manager in whose block the call stands; it returns when the desktop has answered.

        :raises IllegalCall: the call stands in no :func:`tocsin.connect` or :func:`tocsin.embedded` block.
        """
        return await current_notifier().show(
            self,
            tag=tag,
            group=group,
            expires=expires,
            suppress_display=suppress_display,
            expires_on_reboot=expires_on_reboot,
            data=data,
        )

    def _tree(self) -> XmlElement:
        if not self._shown:
            raise InvalidArgument("a toast needs something to show: add_text() adds a text")
        launch = str(self._arguments) if self._custom is None else self._custom
        attributes = activation_attributes(self._activation) | ({"launch": launch} if launch else {}) | self._attributes
        styled = any(button.style for button in self._buttons)
        binding = XmlElement("binding", (("template", "ToastGeneric"),), tuple(self._shown))
        children = [XmlElement("visual", (), (binding,))]
        children += [] if self._audio is None else [self._audio]
        actions = (*self._inputs, *(button.element(self._arguments) for button in self._buttons))
        children += [XmlElement("actions", (), actions)] if actions else []
        children += [] if self._header is None else [self._header]
        wishes = attributes | ({"useButtonStyle": "true"} if styled else {})
        return XmlElement("toast", tuple(wishes.items()), tuple(children))

    def _show(self, name: str, attributes: Mapping[str, str], text: str = "") -> Self:
        self._shown.append(_element(name, attributes, text))
        return self

    def _add_image(self, source: str, attributes: dict[str, str], alternative: str) -> Self:
        check_text(source, "the source of a picture")
        check_kind(alternative, "what a picture shows", str)
        return self._show("image", attributes | ({"alt": alternative} if alternative else {}) | {"src": source})

    def _ask(self, kind: str, id_: str, wishes: Mapping[str, str], *inside: XmlElement) -> Self:
        check_text(id_, "the id of an input")
        for name, value in wishes.items():
            check_kind(value, name, str)
        if len(self._inputs) >= MAX_INPUTS:
            raise InvalidArgument(f"a toast has {MAX_INPUTS} inputs at most")
        if any(each.get("id") == id_ for each in self._inputs):
            raise InvalidArgument(f"there is an input {quoted(id_)} already")
        asked = {"id": id_, "type": kind} | {name: value for name, value in wishes.items() if value}
        made = _element("input", asked)
        self._inputs.append(XmlElement(made.name, made.attributes, inside))
        return self


def _element(name: str, attributes: Mapping[str, str], text: str = "") -> XmlElement:
    for value in (*attributes.values(), text):
        check_xml_text(value, "a toast")
    return XmlElement(name, tuple(attributes.items()), (text,) if text else ())


def _member(kind: type[E], value: E | str, what: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise InvalidArgument(f"{what} is one of {', '.join(kind)}, not {quoted(value)}") from None
