"""Which proxy the environment names."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.proxies import Proxy, find_proxy


def found(
    host: str = "push.example", *, secure: bool = True, environ: Mapping[str, str] | None = None, **more: str
) -> str | None:
    """Return the URL of the proxy for port 443 of a host."""
    proxy = find_proxy(host, 443, {**(environ or {}), **more}, secure=secure)
    return None if proxy is None else proxy.url


class TestVariables:
    """Which variable counts."""

    def test_without_any_there_is_none(self) -> None:
        """Hosts are reached directly."""
        assert found() is None

    def test_tls_decides_which_one_it_is(self) -> None:
        """One for each, and one for both where that is missing."""
        environ = {"HTTP_PROXY": "http://plain", "HTTPS_PROXY": "http://tls", "ALL_PROXY": "http://all"}
        assert found(environ=environ) == "http://tls:80"
        assert found(environ=environ, secure=False) == "http://plain:80"
        assert found(ALL_PROXY="http://all:1") == found(ALL_PROXY="http://all:1", secure=False) == "http://all:1"

    def test_lower_case_wins_even_where_it_is_empty(self) -> None:
        """An empty one is how a user takes back what the system sets."""
        assert found(HTTPS_PROXY="http://upper:1", https_proxy="http://lower:1") == "http://lower:1"
        assert found(HTTPS_PROXY="http://upper:1", https_proxy="") is None

    def test_under_cgi_a_client_cannot_name_the_proxy(self) -> None:
        """HTTP_PROXY is then what a client has sent as the header Proxy."""
        assert found(secure=False, HTTP_PROXY="http://evil:1", REQUEST_METHOD="GET") is None
        assert found(secure=False, http_proxy="http://good:1", REQUEST_METHOD="GET") == "http://good:1"

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST."])
    def test_the_own_machine_is_never_reached_through_a_proxy(self, host: str) -> None:
        """Whatever the environment says."""
        assert found(host, HTTPS_PROXY="socks5://nonsense", ALL_PROXY="http://all:1") is None


class TestNoProxy:
    """Which hosts are exempt."""

    @pytest.mark.parametrize(
        "entry",
        [
            "*",
            "push.example",
            "PUSH.example.",
            "example",
            ".example",
            "*.example",
            "push.example:443",
            "other.example, push.example",
            "other.example push.example",
        ],
    )
    def test_a_host_is_exempt_by_its_name_and_by_those_above_it(self, entry: str) -> None:
        """With its port, if one is given."""
        assert found(HTTPS_PROXY="http://p", NO_PROXY=entry) is None

    @pytest.mark.parametrize(
        "entry", ["", ",", "ush.example", "sub.push.example", "push.example:80", "10.0.0.0/8", "."]
    )
    def test_others_are_not(self, entry: str) -> None:
        """An end of its name is not the name of a domain above it."""
        assert found(HTTPS_PROXY="http://p", NO_PROXY=entry) == "http://p:80"

    @pytest.mark.parametrize(
        ("host", "entry", "exempt"),
        [
            ("10.1.2.3", "10.0.0.0/8", True),
            ("10.1.2.3", "10.1.2.3", True),
            ("10.1.2.3", "10.1.2.3:443", True),
            ("10.1.2.3", "10.1.2.3:80", False),
            ("10.1.2.3", "11.0.0.0/8", False),
            ("2001:db8::7", "2001:db8::/32", True),
            ("2001:db8::7", "2001:0db8::0007", True),
            ("2001:db8::7", "[2001:db8::7]", True),
            ("2001:db8::7", "[2001:db8::7]:443", True),
            ("2001:db8::7", "[2001:db8::7]:80", False),
            ("2001:db8::7", "10.0.0.0/8", False),
        ],
    )
    def test_addresses_are_compared_as_addresses(self, host: str, entry: str, *, exempt: bool) -> None:
        """However they are written, and by networks."""
        assert (found(host, HTTPS_PROXY="http://p", NO_PROXY=entry) is None) == exempt


class TestProxy:
    """What a variable says."""

    @pytest.mark.parametrize(
        ("value", "url"),
        [
            ("http://p.example:3128", "http://p.example:3128"),
            ("http://p.example:3128/", "http://p.example:3128"),
            (" p.example:3128 ", "http://p.example:3128"),
            ("p.example", "http://p.example:80"),
            ("https://p.example", "https://p.example:443"),
            ("HTTP://P.example:1", "http://p.example:1"),
            ("http://[::1]:3128", "http://[::1]:3128"),
        ],
    )
    def test_a_proxy_has_a_host_and_a_port(self, value: str, url: str) -> None:
        """Without a scheme it is an HTTP proxy, as for curl."""
        assert found(HTTPS_PROXY=value) == url

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("socks5://u:secret@p:1080", "HTTPS_PROXY names a SOCKS proxy: only HTTP proxies are used"),
            ("socks5h://u:secret@p:1080", "SOCKS"),
            ("ftp://u:secret@p", "HTTPS_PROXY names no proxy: that is http://HOST:PORT"),
            ("http://", "names no proxy"),
            ("http://u:secret@:3128", "names no proxy"),
            ("http://u:secret@p/path", "names no proxy"),
            ("http://u:secret@p?query", "names no proxy"),
            ("http://u:secret@p:port", "names no proxy"),
            ("http://u:secret@p:99999", "names no proxy"),
            ("http://u:secret@[::1", "names no proxy"),
        ],
    )
    def test_one_that_cannot_be_used_is_told_without_its_password(self, value: str, words: str) -> None:
        """By the name of the variable."""
        with pytest.raises(InvalidArgument, match=words) as refused:
            found(HTTPS_PROXY=value)
        assert "secret" not in str(refused.value)

    @given(st.text(max_size=60), st.text(max_size=60))
    def test_whatever_the_environment_holds_it_is_a_proxy_or_a_sentence(self, value: str, no_proxy: str) -> None:
        """No other error comes out of it."""
        try:
            proxy = find_proxy("push.example", 443, {"https_proxy": value, "no_proxy": no_proxy}, secure=True)
        except InvalidArgument:
            return
        assert proxy is None or 0 <= proxy.port <= 65535

    def test_credentials_are_for_the_proxy_alone(self) -> None:
        """They may have any characters, and are shown nowhere."""
        proxy = find_proxy("a", 1, {"all_proxy": "http://us%40er:pa%3Ass%2Fw%C3%B6rd@p:1"}, secure=False)
        assert proxy is not None
        assert (proxy.user, proxy.password) == ("us@er", "pa:ss/wörd")
        assert proxy.full_url == "http://us%40er:pa%3Ass%2Fw%C3%B6rd@p:1"
        assert "ss" not in f"{proxy} {proxy.url} {proxy.place}"

    def test_a_user_needs_no_password(self) -> None:
        """An empty one is sent then."""
        proxy = find_proxy("a", 1, {"all_proxy": "http://user@p:1"}, secure=False)
        assert proxy == Proxy("http", "p", 1, "user", "")
        assert Proxy("http", "p", 1, "user", "").full_url == "http://user:@p:1"
        assert Proxy("http", "p", 1).full_url == "http://p:1"

    @pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
    def test_the_variable_is_named_as_it_is_spelled(self, name: str) -> None:
        """So that it is found where it was set."""
        with pytest.raises(InvalidArgument) as unusable:
            find_proxy("push.example", 80, {name: "ftp://p"}, secure=False)
        assert str(unusable.value).startswith(f"{name} names no proxy")
