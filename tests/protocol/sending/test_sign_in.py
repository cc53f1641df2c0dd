"""Signing in: whom a sender trusts, what it asks, and what it is told."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.addresses import is_loopback
from tocsin.protocol.sending.destinations import check_channel
from tocsin.protocol.sending.sign_in import (
    DEFAULT_LIFE,
    ENTRA_URL,
    LIVE_URL,
    LOOPBACK,
    UNCLEAR_LIFE,
    WNS_DOMAIN,
    Denied,
    Token,
    read_token,
    split_url,
    token_form,
    token_url_of,
    trusted_hosts,
)

WNS_URI = "https://db3p.notify.windows.com/w/?token=secret"


class TestHosts:
    """Who would learn a secret or a token."""

    @pytest.mark.parametrize(
        ("token_url", "hosts"),
        [
            (None, (WNS_DOMAIN, LOOPBACK)),
            (LIVE_URL, (WNS_DOMAIN,)),
            (f"{ENTRA_URL}/contoso.com/oauth2/v2.0/token", (WNS_DOMAIN,)),
            ("https://push.example:8443/accesstoken.srf", ("push.example",)),
        ],
    )
    def test_the_token_url_says_where_channels_may_be(self, token_url: str | None, hosts: tuple[str, ...]) -> None:
        """Microsoft's tokens go to WNS only, a service's own to that service only."""
        assert trusted_hosts(token_url) == hosts

    @pytest.mark.parametrize(
        ("uri", "hosts"),
        [
            (WNS_URI, (WNS_DOMAIN,)),
            ("https://NOTIFY.windows.com/?token=x", (WNS_DOMAIN,)),
            ("http://127.0.0.1:8080/w/?token=x", (LOOPBACK,)),
            ("http://[::1]:8080/w/?token=x", (LOOPBACK,)),
            ("http://localhost/w/?token=x", (LOOPBACK,)),
            ("https://push.example/w/?token=x", ("Push.Example",)),
            ("https://a.b.example/w/?token=x", (".example",)),
        ],
    )
    def test_a_trusted_host_is_accepted(self, uri: str, hosts: tuple[str, ...]) -> None:
        """By its name, by its domain, or as the own machine; what comes back shows nothing secret."""
        assert check_channel(uri, hosts).geturl() == "/".join(uri.split("/")[:3])

    @pytest.mark.parametrize(
        "uri",
        [
            "https://evil.example/w/?token=secret",
            "https://notify.windows.com.evil.example/?token=secret",
            "https://evilnotify.windows.com/?token=secret",
            "https://127.0.0.1.evil.example/?token=secret",
            "http://db3p.notify.windows.com/w/?token=secret",
            "https://db3p.notify.windows.com@evil.example/?token=secret",
            "https://127.0.0.1\\@evil.example/?token=secret",
            "https://127.0.0.1 .evil.example/?token=secret",
            "https://127.0.0.1/\r\nX: secret",
            "https://127.0.0.1:0/?token=secret",
            "https://127.0.0.1:x/?token=secret",
            "https://[::1/?token=secret",
            "ftp://127.0.0.1/?token=secret",
            "//127.0.0.1/?token=secret",
            "secret",
            "",
        ],
    )
    def test_any_other_is_refused_without_being_shown(self, uri: str) -> None:
        """The sentence may be logged: a channel's URI is a secret."""
        with pytest.raises(InvalidArgument) as refused:
            check_channel(uri, (WNS_DOMAIN, LOOPBACK))
        assert "secret" not in str(refused.value)

    @pytest.mark.parametrize(
        ("uri", "words"),
        [
            ("'https://127.0.0.1/w/?token=secret'", "has no quotes of its own"),
            ("https://127.0.0.1/w/?token=secret\u201d", "has no quotes of its own"),
            ("<https://127.0.0.1/w/?token=secret>", "has no quotes of its own"),
            ("https://127.0.0.1/w/?token=sec ret", "has no blanks"),
            ("https://127.0.0.1/w/?token=secret\n", "has no blanks and no line breaks"),
            ("https://127.0.0.1/w/\\?token=secret", "has no backslashes"),
            ("https://127.0.0.1/w/?token=secret\u2026", "has ASCII characters only"),
            ("https://127.0.0.1/w/?token=secret#top", "has no #"),
            ("https://secret@127.0.0.1/w/?token=x", "has no user and no password"),
            ("127.0.0.1:80/w/?token=secret", "begins with http:// or https://"),
            (None, "begins with http:// or https://"),
        ],
    )
    def test_what_came_along_with_it_is_named(self, uri: Any, words: str) -> None:
        """From a page, a mail or a shell; for the sender and for the command, which looks at it itself."""
        with pytest.raises(InvalidArgument, match=f"^a channel's URI {words}") as refused:
            check_channel(uri, (LOOPBACK,))
        with pytest.raises(InvalidArgument, match=f"^a channel's URI {words}") as split:
            split_url(uri, "a channel's URI")
        assert "secret" not in f"{refused.value} {split.value}"

    def test_a_host_that_is_not_trusted_is_told_with_the_way_to_trust_it(self) -> None:
        """By the two arguments of the client that say so."""
        with pytest.raises(
            InvalidArgument, match=r"push\.example is not one that is trusted here: .* token_url= .* hosts="
        ):
            check_channel("https://push.example/?token=x", (WNS_DOMAIN, LOOPBACK))

    def test_a_token_goes_over_the_network_in_the_open_only_where_that_was_chosen(self) -> None:
        """A channel's URI cannot choose http, and for WNS not even ``plain`` can."""
        with pytest.raises(InvalidArgument, match="https"):
            check_channel("http://push.example/w/?token=x", ("push.example",))
        assert check_channel("http://push.example/w/?token=x", ("push.example",), plain=True).scheme == "http"
        with pytest.raises(InvalidArgument, match="https"):
            check_channel("http://db3p.notify.windows.com/?token=x", (WNS_DOMAIN,), plain=True)

    @given(st.text())
    def test_no_text_is_too_odd(self, uri: str) -> None:
        """Whatever comes in, it is accepted or refused as an argument."""
        with suppress(InvalidArgument):
            assert is_loopback(check_channel(uri, (LOOPBACK,)).hostname or "")

    def test_loopback_is_a_matter_of_addresses(self) -> None:
        """All of 127/8, and one name."""
        assert [is_loopback(host) for host in ("127.9.9.9", "::1", "localhost")] == [True] * 3
        assert [is_loopback(host) for host in ("128.0.0.1", "::2", "localhost.evil", "")] == [False] * 4


class TestAsking:
    """Where tokens come from, and the form that is sent there."""

    @pytest.mark.parametrize(
        ("uri", "tenant", "url"),
        [
            (WNS_URI, None, LIVE_URL),
            (WNS_URI, "contoso.com", f"{ENTRA_URL}/contoso.com/oauth2/v2.0/token"),
            ("http://127.0.0.1:8080/w/?token=x", None, "http://127.0.0.1:8080/accesstoken.srf"),
            ("http://127.0.0.1:8080/w/?token=x", "any", "http://127.0.0.1:8080/any/oauth2/v2.0/token"),
        ],
    )
    def test_the_token_url_follows_from_the_channel(self, uri: str, tenant: str | None, url: str) -> None:
        """Microsoft's for WNS, its own for another service; with a tenant in Entra's form."""
        assert token_url_of(check_channel(uri, (WNS_DOMAIN, LOOPBACK)), tenant) == url

    @pytest.mark.parametrize(
        ("url", "name", "value"),
        [
            (LIVE_URL, "scope", "notify.windows.com"),
            ("http://host/t/oauth2/v2.0/token", "scope", "https://wns.windows.com/.default"),
            ("http://host/t/oauth2/v2.0/token/", "scope", "https://wns.windows.com/.default"),
            ("http://host/t/oauth2/token", "resource", "https://wns.windows.com/"),
        ],
    )
    def test_each_form_asks_for_its_own_scope(self, url: str, name: str, value: str) -> None:
        """The URL says which form it is."""
        form = {"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret", name: value}
        assert token_form(url, "id", "secret") == form


class TestAnswer:
    """What a token endpoint says."""

    @pytest.mark.parametrize(
        ("expires_in", "fresh"),
        [
            (86400, 86100),
            ("86399", 86099),
            (100, 90),
            (None, DEFAULT_LIFE - 300),
            (1e300, 30 * 86400 - 300),
            (10**400, 30 * 86400 - 300),
            ("9" * 200, 30 * 86400 - 300),
            (0, 0),
            *((unclear, UNCLEAR_LIFE * 0.9) for unclear in ("soon", "", "nan", "1_0", -5, True, [5], math.inf)),
        ],
    )
    def test_a_token_is_renewed_a_little_before_its_end(self, expires_in: Any, fresh: float) -> None:
        """Five minutes before, or a tenth of a short life; one that is not understood is a short life, not the usual."""
        reply = {"access_token": "t0k3n", "token_type": "bearer", "expires_in": expires_in}
        assert read_token(200, {}, json.dumps(reply).encode(), 0.0) == Token("t0k3n", fresh)

    def test_the_errors_of_entra_are_told_with_their_traces(self) -> None:
        """Microsoft asks for them in a support request."""
        reply = {
            "error": "invalid_client",
            "error_description": "AADSTS7000215: Invalid client secret provided.",
            "trace_id": "t",
            "correlation_id": "c",
        }
        denied = read_token(401, {}, json.dumps(reply).encode(), 0.0)
        words = "invalid_client: AADSTS7000215: Invalid client secret provided. (trace_id t, correlation_id c)"
        assert denied == Denied(401, words)

    @pytest.mark.parametrize(
        "body",
        [b"", b"<html>", b"[]", b"{}", b'{"access_token": 5}', b'{"access_token": "a\\nb"}', b"\xff", b"[" * 60_000],
    )
    def test_what_is_no_token_is_said_so(self, body: bytes) -> None:
        """A token goes into a header, so it is looked at first."""
        assert read_token(200, {}, body, 0.0) == Denied(200, "it answered 200 without a token")

    def test_a_denial_says_how_long_to_wait(self) -> None:
        """Read as everywhere: a date is relative to the answer's own."""
        headers = {"retry-after": "Wed, 21 Oct 2026 07:29:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}
        assert read_token(429, headers, b"{}", 0.0).retry_after == 60  # type: ignore[union-attr]  # it is a denial
        assert read_token(503, {"retry-after": "soon"}, b"", 0.0).retry_unclear == "soon"  # type: ignore[union-attr]  # so is this

    @pytest.mark.parametrize(("status", "final"), [(400, True), (401, True), (200, True), (503, False), (None, False)])
    def test_a_denial_is_final_unless_it_may_pass(self, status: int | None, *, final: bool) -> None:
        """A wrong secret stays wrong; an endpoint that is away comes back."""
        assert Denied(status, "").final is final

    @given(st.integers(100, 599), st.binary() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
    def test_no_answer_is_too_odd(self, status: int, body: bytes | str) -> None:
        """Whatever an endpoint sends, it is a token or a denial."""
        reply = read_token(status, {}, body.encode() if isinstance(body, str) else body, 0.0)
        assert isinstance(reply, Token | Denied)
