"""Which links the desktop opens."""

from __future__ import annotations

import pytest

from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.toasts.links import MAX_LINK, is_for_desktop

PROTOCOL = ToastActivationType.PROTOCOL


@pytest.mark.parametrize(
    "link",
    [
        "https://contoso.example/a?b=c#d",
        "http://[::1]:80/",
        "mailto:a@b.example",
        "HTTPS://X",
        "https:" + "a" * (MAX_LINK - 6),
    ],
)
def test_links_of_the_web_and_of_mail_are_for_the_desktop(link: str) -> None:
    """However their scheme is written; of a click that is no link, nothing is."""
    assert is_for_desktop(PROTOCOL, link)
    assert not is_for_desktop(ToastActivationType.FOREGROUND, link)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "contoso-mail:inbox/5",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "mailto:a@b.example?subject=s&attach=/home/me/notes.txt",
        "mailto:a@b.example?%41ttachment=/home/me/notes.txt",
        "-https://option",
        "--help",
        "https:",
        "https://a b",
        "https://a\nb",
        "https://a\x00",
        "https://b\u00fccher.example",
        "/usr/bin/true",
        "https:" + "a" * (MAX_LINK - 5),
    ],
)
def test_anything_else_is_for_the_app(link: str) -> None:
    """Such as its own schemes, files, what looks like an option, and what is no link at all."""
    assert not is_for_desktop(PROTOCOL, link)
