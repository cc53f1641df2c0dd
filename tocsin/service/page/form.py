"""The form that sends: to one of the newest channels, or of those that were sought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import asdict, frozen

from tocsin.protocol.values import WNS_TYPES, NotificationType
from tocsin.service.page import sections as parts
from tocsin.service.page.answer_section import Sent, answer_section
from tocsin.service.page.markup import Markup, el, together, verbatim
from tocsin.service.page.picture import MOST, ShownChannel
from tocsin.service.registry.service_store import SEARCHED
from tocsin.service.url_paths import PAGE_FILES

_PASSED_OVER: Final = Markup("\n")  # a line end that the text of a textarea begins with is none of it


@frozen
class Sought:
    """Which channels can be chosen; all of the newest where nothing is said."""

    app: str
    """What is in the name of the app's registration."""
    begins: str
    """How the name of the channel or its device begins."""

    @property
    def is_some(self) -> bool:
        """Whether something is said."""
        return bool(self.app or self.begins)


def send_section(channels: Sequence[ShownChannel], sought: Sought, sent: Sent | None) -> Markup:
    """Write the section with the form that sends, and what has become of what was sent from it.

    :param channels: those that can be chosen, which were sought.
    """
    answer = el("div", answer_section(sent), id="answer", tabindex=-1)
    return el(
        "section",
        el("h2", "Send a push"),
        _search(sought, len(channels)),
        _form(channels, sought, sent),
        answer,
        class_="send",
    )


def _search(sought: Sought, found: int) -> Markup | None:
    """Write the form that seeks channels, where there may be others; what is sought is then in the page's address."""
    if found < MOST and not sought.is_some:
        return None
    given = asdict(sought)
    said = together(_found(found), " ", el("a", "Show the newest", href="./#send")) if sought.is_some else None
    return el(
        "details",
        el("summary", "Another channel"),
        el(
            "form",
            _input("app", "App", given, f"its name or a part of it; the newest {SEARCHED:,} channels are looked at"),
            _input("begins", "Channel or device", given, "how it begins; then all channels are looked at"),
            el("button", "Find"),
            id="search",
            role="search",
            action="./#send",
        ),
        el("p", said, id="found", role="status", class_="hint") if said else None,
        open=sought.is_some,
    )


def _found(found: int) -> str:
    if found == MOST:
        return f"The newest {MOST} that were found can be chosen."
    return f"{found or 'No'} channel{'' if found == 1 else 's'} found."


def _form(channels: Sequence[ShownChannel], sought: Sought, sent: Sent | None) -> Markup:
    given = dict(sent.form) if sent else {"cache": "cache"}
    choices = parts.choices(channels, given.get("channel", ""))
    select = el("select", choices, id="channel", name="channel", required=True, data_still=sought.is_some)
    chosen = given.get("type", NotificationType.TOAST)
    kinds = together(*(el("option", kind, value=kind, selected=kind == chosen) for kind in WNS_TYPES))
    text = together(_PASSED_OVER, verbatim(given.get("body", "")))
    return el(
        "form",
        *(
            el("input", type="hidden", name=name, value=verbatim(value))
            for name, value in asdict(sought).items()
            if value
        ),
        _field("channel", "Channel", select),
        el(
            "div",
            _field("type", "Type", el("select", kinds, id="type", name="type")),
            _input("title", "Title", given, "of a toast or a tile; may be empty"),
            class_="row",
        ),
        _field(
            "body",
            "Text",
            el("textarea", text, id="body", name="body", rows=3, aria_describedby="body-hint"),
            "plain text, or the XML of a toast, tile or badge",
        ),
        el(
            "div",
            _input("tag", "Tag", given, "may be empty; a later push with it replaces this one"),
            _input("ttl", "Seconds to live", given, "may be empty", inputmode="numeric"),
            class_="row",
        ),
        el(
            "p",
            el("input", type="checkbox", id="cache", name="cache", value="cache", checked="cache" in given),
            el("label", "Keep it for a device that is away", for_="cache"),
            class_="check",
        ),
        el("button", "Send", class_="main"),
        id="send",
        tabindex=-1,
        method="post",
        action=f"{PAGE_FILES}send",
    )


def _input(name: str, label: str, given: Mapping[str, str], hint: str, **attributes: str) -> Markup:
    value, described = verbatim(given.get(name, "")), f"{name}-hint"
    control = el("input", id=name, name=name, value=value, autocomplete="off", aria_describedby=described, **attributes)
    return _field(name, label, control, hint)


def _field(name: str, label: str, control: Markup, hint: str = "") -> Markup:
    described = el("p", hint, id=f"{name}-hint", class_="hint") if hint else None
    return el("div", el("label", label, for_=name), control, described, class_="field")
