"""Pages of others that ask a service on this machine, by its address or by a name of theirs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.network.web_origin import is_by_own_page, why_foreign

URL = "https://push.example/wns"


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "192.0.2.1:80",
            "localhost",
            "LOCALHOST:1",
            "localhost.",
        ),
        *("push.example", "push.example:8443", "Push.Example.", "a.localhost:8080"),
    ],
)
def test_a_service_is_called_by_an_address_or_by_its_name(host: str) -> None:
    """No page of others has an address as its name, nor this machine's name, nor the service's."""
    assert why_foreign(host, None, URL) is None


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", ":80", "evil.example", "evil.example:8080", "push.example.evil", "127.0.0.1.evil.example"),
        *("localhost.evil", "evillocalhost", "push.example@evil.example", "evil.example/push.example", "[::1", "a:b"),
        *("127.0.0.1, evil.example", "push.example:99999999"),
    ],
)
def test_any_other_name_leads_here_by_a_trick(host: str | None) -> None:
    """The sentence says how the service is to be called."""
    assert "as localhost" in (why_foreign(host, None, URL) or "")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("localhost", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("localhost:443", "https://localhost"),
        ("push.example", "https://push.example"),  # TLS ends at a proxy
        ("127.0.0.1:8080", "https://push.example"),  # which asks by an address
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_own_pages_are_where_the_service_is(host: str, origin: str) -> None:
    """At the place that was asked, or at the service's public URL."""
    assert why_foreign(host, origin, URL) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8081"),
        ("127.0.0.1:8080", "http://localhost:8080"),
        ("localhost", "https://evil.example"),
        ("localhost", "null"),
        ("localhost", ""),
        ("localhost", "file://localhost"),
        ("localhost", "http://localhost.evil"),
        ("push.example", "http://push.example:8080"),
        ("localhost", "http://localhost:99999999"),
    ],
)
def test_a_page_of_another_origin_is_foreign(host: str, origin: str) -> None:
    """Also one of another port or program of this machine; the sentence names it."""
    assert f"page of '{origin}'" in (why_foreign(host, origin, URL) or "")


@given(host=st.text(), origin=st.text(), url=st.sampled_from([URL, "http://127.0.0.1:1", "http://[::1]:1"]))
def test_whatever_comes_is_judged(host: str, origin: str, url: str) -> None:
    """It is no error, whatever strangers write."""
    assert why_foreign(host, origin, url) is None or why_foreign(host, origin, url)


@pytest.mark.parametrize(
    ("origin", "fetch_site", "is_own"),
    [
        (None, None, False),
        ("http://localhost", None, True),
        ("http://localhost", "same-origin", True),
        (None, "same-origin", True),
        (None, "none", True),
        (None, "same-site", False),
        (None, "cross-site", False),
        ("http://localhost", "cross-site", False),
    ],
)
def test_a_form_is_of_the_own_page_if_a_browser_says_so(
    origin: str | None, fetch_site: str | None, is_own: bool
) -> None:
    """What says nothing of where it is from is from no page."""
    assert is_by_own_page(origin, fetch_site) is is_own
