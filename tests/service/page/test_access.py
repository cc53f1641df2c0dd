"""Who may see the page."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from tocsin.service.page.access import PageRight, cookie_name, right

TABLE = {
    # has_token, is_proven, is_ours
    (True, True, True): PageRight.SEES,
    (True, True, False): PageRight.SEES,
    (True, False, True): PageRight.ASKED,
    (True, False, False): PageRight.ASKED,
    (False, False, True): PageRight.SEES,
    (False, False, False): PageRight.HIDDEN,
}


@pytest.mark.parametrize("facts", TABLE)
def test_the_table_of_rights(facts: tuple[bool, bool, bool]) -> None:
    """With a token all need it, also this machine, behind whose proxy others may be; without one there is none to ask for."""
    has_token, is_proven, is_ours = facts
    assert right(has_token=has_token, is_proven=is_proven, is_ours=is_ours) is TABLE[facts]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"localhost:8080", "tocsin_page_8080"),
        (b"[::1]:81", "tocsin_page_81"),
        (b"[::1]", "tocsin_page"),
        (b"push.example", "tocsin_page"),
        (b"push.example:8;x", "tocsin_page"),
        (b"", "tocsin_page"),
    ],
)
def test_a_cookie_is_named_by_the_port_that_the_browser_asks(host: bytes, name: str) -> None:
    """And has nothing else of the header in its name."""
    assert cookie_name(HTTPConnection({"type": "http", "headers": [(b"host", host)]})) == name
