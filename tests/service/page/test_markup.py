"""HTML, in which whatever comes from others is text."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tocsin.service.page.markup import Markup, el, verbatim


class _Reader(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.attributes: dict[str, str | None] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_elements_hold_elements_and_texts() -> None:
    """None is nothing, and a number is its text."""
    assert el("p", el("b", "x"), None, 3, class_="a", hidden=True, title=None, aria_label="l") == Markup(
        '<p class="a" hidden aria-label="l"><b>x</b>3</p>'
    )
    assert el("input", name="n", value="") == '<input name="n" value="">'


@given(text=st.text(), value=st.text())
def test_text_stays_text(text: str, value: str) -> None:
    """No text of others makes an element or an attribute, nor ends one; what is not printable is shown as an escape."""
    read = _Reader(el("p", text, title=value))
    assert (read.tags, list(read.attributes)) == (["p"], ["title"])
    assert read.text.isprintable()
    if text.isprintable() and value.isprintable():
        assert (read.text, read.attributes["title"]) == (text, value)


@given(text=st.text(), value=st.text())
def test_what_can_be_edited_is_as_it_is(text: str, value: str) -> None:
    """It makes no element and no attribute either, and nothing in it becomes an escape that would be sent the next time."""
    read = _Reader(el("p", verbatim(text), title=verbatim(value)))
    assert (read.tags, list(read.attributes)) == (["p"], ["title"])
    assert (read.text, read.attributes["title"]) == (text, value)
