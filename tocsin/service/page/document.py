"""The page as a whole, and the page that asks for the token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from attrs import frozen

from tocsin.protocol.values import NotificationType
from tocsin.service.page import sections as parts
from tocsin.service.page.answer_section import Sent, answer_section
from tocsin.service.page.markup import Child, Markup, el, together, verbatim
from tocsin.service.page.picture import Picture
from tocsin.service.page.promises import Face, Table
from tocsin.service.page.push_rows import PushRow, newest_first
from tocsin.service.url_paths import PAGE_PATH

FILES: Final = PAGE_PATH.lstrip("/")
"""Where all else of the page is, as seen from the page: a proxy may have it under a path of its own."""


@frozen
class Shown:
    """What the page shows, once it is loaded."""

    written: Mapping[str, Markup]
    """What stands in the elements that change, by their ids."""
    beside: Markup
    """The section beside the list of what came lately."""
    wall: float
    """What time it is."""
    rows: Sequence[PushRow]
    place: str
    """Where in what comes the page goes on."""
    followed_since: float
    """Since when it is noted what comes."""
    trouble: str
    """Why it is not; empty where it is."""
    has_session: bool
    """Whether it is shown to a session that can be ended."""


def page(face: Face, shown: Shown) -> Markup:
    """Write the page."""
    written = shown.written
    log_out = el("form", el("button", "Log out"), method="post", action=f"{FILES}logout") if shown.has_session else None
    return _document(
        face.kind,
        el("a", face.skip_words, href=face.skip_to, class_="skip"),
        el("header", _title(f"Tocsin {face.kind.lower()}"), log_out),
        el(
            "main",
            el(
                "p",
                f"As of {_time(shown.wall)} UTC: load the page again for what came since.",
                id="moment",
                role="status",
                data_teller=face.teller,
            ),
            el("section", el("h2", "Now"), *(_div(name, written) for name in face.now), class_="now"),
            _pushes(face, shown),
            shown.beside,
            *(_table(each, written) for each in face.tables),
        ),
        el("footer", el("p", f"All times are UTC. {face.note}")),
        script=True,
    )


def send_section(picture: Picture, sent: Sent | None) -> Markup:
    """Write the section with the form that sends, and what has become of what was sent from it."""
    answer = el("div", answer_section(sent), id="answer", tabindex=-1)
    return el("section", el("h2", "Send a push"), _form(picture, sent), answer, class_="send")


def login_page(trouble: str = "", root: str = "") -> Markup:
    """Write the page that asks for the token.

    :param trouble: why the last one was not taken.
    :param root: the way from where it is shown to the page.
    """
    return _document(
        "Log in",
        el("header", _title("Tocsin push service")),
        el(
            "main",
            el(
                "form",
                el("h2", "Log in"),
                el("p", trouble, id="trouble", role="alert", class_="cause") if trouble else None,
                el("label", "Page token", for_="token"),
                el(
                    "input",
                    id="token",
                    name="token",
                    type="password",
                    autocomplete="current-password",
                    required=True,
                    autofocus=True,
                    aria_describedby="trouble" if trouble else "hint",
                ),
                el("p", "It is the setting page_token of the service.", id="hint", class_="hint"),
                el("button", "Log in", class_="main"),
                method="post",
                action=f"{root}{FILES}login",
                class_="login",
            ),
        ),
        root=root,
    )


def _document(title: str, *body: Child, root: str = "", script: bool = False) -> Markup:
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("title", f"{title} · Tocsin"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("link", rel="icon", type="image/svg+xml", href=f"{root}{FILES}icon.svg"),
        el("link", rel="stylesheet", href=f"{root}{FILES}style.css"),
        el("script", src=f"{root}{FILES}script.js", defer=True) if script else None,
    )
    return together(Markup("<!doctype html>"), el("html", head, el("body", *body), lang="en"))


def _title(words: str) -> Markup:
    bell = el(
        "svg",
        el("path", d="M12 3a6 6 0 0 0-6 6v4l-2 3h16l-2-3V9a6 6 0 0 0-6-6zm-2.5 15a2.5 2.5 0 0 0 5 0z"),
        viewBox="0 0 24 24",
        aria_hidden="true",
    )
    return el("h1", bell, words)


def _div(name: str, written: Mapping[str, Markup]) -> Markup:
    return el("div", written[name], id=name)


def _pushes(face: Face, shown: Shown) -> Markup:
    since = f"Nothing has come since {_time(shown.followed_since)}, when this page was looked at first."
    nothing = el("tr", el("td", shown.trouble or since, colspan=len(face.columns), class_="none"))
    rows = newest_first(shown.rows) or nothing
    pause = el("button", "Pause", type="button", id="pause", aria_pressed="false", hidden=True)
    return el(
        "section",
        el("div", el("h2", "What came lately", id="pushes-heading"), pause, class_="heading"),
        el("p", id="news", role="status", class_="hint"),
        _scrolled(
            "pushes-heading", "The last pushes, the newest first", face.columns, el("tbody", rows, id="push-rows")
        ),
        id="pushes",
        data_place=shown.place,
    )


def _table(table: Table, written: Mapping[str, Markup]) -> Markup:
    name = table.name
    rows, note = el("tbody", written[f"{name}-rows"], id=f"{name}-rows"), f"{name}-note"
    return el(
        "section",
        el("h2", table.title, id=f"{name}-heading"),
        _scrolled(f"{name}-heading", table.caption or table.title, table.columns, rows),
        el("p", written[note], id=note, class_="hint") if note in written else None,
    )


def _scrolled(heading: str, caption: str, columns: Sequence[str], body: Markup) -> Markup:
    """Write a table that may be wider than the screen; then the keyboard moves it."""
    head = el("thead", el("tr", *(el("th", column, scope="col") for column in columns)))
    table = el("table", el("caption", caption, class_="unseen"), head, body)
    return el("div", table, class_="scrolled", role="region", aria_labelledby=heading, tabindex=0)


def _form(picture: Picture, sent: Sent | None) -> Markup:
    given = dict(sent.form) if sent else {"cache": "cache"}
    channels = parts.choices(picture, given.get("channel", ""))
    chosen = given.get("type", NotificationType.TOAST)
    kinds = together(*(el("option", kind, value=kind, selected=kind == chosen) for kind in NotificationType))
    text = verbatim(given.get("body", ""))
    return el(
        "form",
        _field("channel", "Channel", el("select", channels, id="channel", name="channel", required=True)),
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
        action=f"{FILES}send",
    )


def _input(name: str, label: str, given: Mapping[str, str], hint: str, **attributes: str) -> Markup:
    value, described = given.get(name, ""), f"{name}-hint"
    control = el("input", id=name, name=name, value=value, autocomplete="off", aria_describedby=described, **attributes)
    return _field(name, label, control, hint)


def _field(name: str, label: str, control: Markup, hint: str = "") -> Markup:
    described = el("p", hint, id=f"{name}-hint", class_="hint") if hint else None
    return el("div", el("label", label, for_=name), control, described, class_="field")


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}"
