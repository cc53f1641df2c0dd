"""The page as a whole, and the page that asks for the token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from attrs import frozen

from tocsin.service.page.markup import Child, Markup, el, together
from tocsin.service.page.push_rows import PushRow, newest_first
from tocsin.service.page.subject import Face, Table
from tocsin.service.url_paths import PAGE_FILES


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
    log_out = (
        el("form", el("button", "Log out"), method="post", action=f"{PAGE_FILES}logout") if shown.has_session else None
    )
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
                action=f"{root}{PAGE_FILES}login",
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
        el("link", rel="icon", type="image/svg+xml", href=f"{root}{PAGE_FILES}icon.svg"),
        el("link", rel="stylesheet", href=f"{root}{PAGE_FILES}style.css"),
        el("script", src=f"{root}{PAGE_FILES}script.js", defer=True) if script else None,
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


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}"
