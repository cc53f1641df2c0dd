"""What has become of a push that was sent from the page's form."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from attrs import frozen

from tocsin.service.page.markup import Markup, el, together
from tocsin.service.page.posting import Posted

_UNINTERESTING: Final = frozenset({"date", "content-length", "content-type"})


@frozen
class Sent:
    """What was in the form, and the answer; or why it was not sent."""

    form: Mapping[str, str]
    posted: Posted | None
    why_not: str = ""


def answer_section(sent: Sent | None) -> Markup:
    """Write what stands in the element for the answer: nothing where nothing was sent."""
    if sent is None:
        return together()
    heading = el("h3", "Answer", id="answer-heading")
    posted = sent.posted
    if posted is None:
        return together(heading, el("p", el("span", "not sent", class_="stage refused"), " ", sent.why_not))
    stage = posted.header("X-WNS-Status") if posted.status == HTTPStatus.OK else "refused"
    line = f"{posted.status} {_phrase(posted.status)}"
    reason = posted.header("X-WNS-Error-Description")
    rows = [(name, value) for name, value in posted.headers if name.lower() not in _UNINTERESTING]
    return together(
        heading,
        el("p", el("span", stage or "answered", class_=f"stage {stage}"), f" {line}"),
        el("p", reason, class_="reason") if reason else None,
        el(
            "details",
            el("summary", "Headers of the answer"),
            el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in rows)),
        ),
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
