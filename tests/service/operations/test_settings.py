"""What an operator may choose."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tocsin.protocol.errors import InvalidArgument
from tocsin.service.operations.settings import ServiceSettings


def test_the_service_listens_on_this_machine_only_unless_told() -> None:
    """The default host is the loopback."""
    assert ServiceSettings().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"port": -1}, "port is a whole number from 0 to 65535, not -1"),
        ({"port": 65_536}, "port is a whole number from 0 to 65535, not 65536"),
        ({"device_window": 0}, "device_window is a whole number from 1 to 65536, not 0"),
        ({"device_backlog": 0}, "device_backlog is a whole number from 1 to 1048576, not 0"),
        ({"acknowledge_timeout": 0}, "acknowledge_timeout is a number from 0.001 to 3600, not 0"),
        ({"hello_timeout": -1}, "hello_timeout is a number from"),
        ({"body_timeout": float("nan")}, "body_timeout is a number from 0.001 to 3600, not nan"),
        ({"port": True}, "port is a whole number from 0 to 65535, not True"),
        ({"port": "80"}, "port is a whole number from 0 to 65535, not '80'"),
        ({"max_channels": 1.5}, "max_channels is a whole number from 1 to 1000000000, not 1.5"),
        ({"channel_rate": "1"}, "channel_rate is a number from 0 to 1000000, not '1'"),
        ({"insecure": 1}, "insecure is true or false, not 1"),
        ({"trusted_proxies": "10.0.0.1"}, "trusted_proxies is a list of texts, not '10.0.0.1'"),
        ({"tls_cert": None}, "tls_cert is a text, not None"),
        ({"host": ""}, "host is an address or a name, not ''"),
        ({"host": "a\nb"}, "host is an address or a name"),
        ({"metrics_token": "a b\n"}, "metrics_token goes into a header"),
        ({"page_token": "fifteen letters"}, "page_token has 16 ASCII characters or more"),
        ({"page_token": "sixteen\nletters!"}, "page_token goes into a header"),
        ({"page": "yes"}, "page is true or false, not 'yes'"),
        ({"metrics_token": b"secret"}, "metrics_token is a text, not bytes"),
    ],
)
def test_a_value_outside_its_limits_is_refused(choice: dict[str, Any], words: str) -> None:
    """The error names the setting, its limits and the value."""
    with pytest.raises(InvalidArgument, match=re.escape(words)):
        ServiceSettings(**choice)


@pytest.mark.parametrize(
    "url",
    [
        "push.example",
        "push.example:443",
        "//push.example",
        "ftp://push.example",
        "ws://push.example",
        "https://",
        "https:///path",
        "https://push.example/?a=b",
        "https://push.example?",
        "https://push.example/#part",
        "https://user:pass@push.example",
        "https://push.example:0",
        "https://push.example:99999",
        "https://push.example:x",
        "https://push example",
        "https://push.example/\n",
        "https://grüße.example",
        "https://[::1",
        " https://push.example",
    ],
)
def test_a_public_url_to_which_nothing_can_be_added_is_refused(url: str) -> None:
    """Channel URIs begin with it; who gets one that leads nowhere finds out much later."""
    with pytest.raises(InvalidArgument, match="public_url is a URL such as") as refused:
        ServiceSettings(public_url=url)
    assert "pass" not in str(refused.value)


@pytest.mark.parametrize("url", ["", "https://push.example", "http://[::1]:8080", "https://example.org/push/"])
def test_a_public_url_may_have_a_port_and_a_path(url: str) -> None:
    """The path is for a proxy that takes it away."""
    assert ServiceSettings(public_url=url).public_url == url
