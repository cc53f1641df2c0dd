"""Where the page is seen, as it is said at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.service.page.asking import TOKEN
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.page.page_address import SEEN_BY, PageAddress, page_address
from tocsin.service.server import open_service

PUBLIC = "https://push.example/tocsin"


@pytest.mark.parametrize(
    ("url_here", "choices", "address"),
    [
        ("http://127.0.0.1:80", {}, PageAddress("http://127.0.0.1:80/", SEEN_BY)),
        ("http://[::1]:80", {}, PageAddress("http://[::1]:80/", SEEN_BY)),
        ("http://localhost:80", {}, PageAddress("http://localhost:80/", SEEN_BY)),
        ("http://127.0.0.1:80", {"public_url": PUBLIC}, PageAddress("http://127.0.0.1:80/", SEEN_BY)),
        ("http://127.0.0.1:80", {"trusted_proxies": ("127.0.0.0/8",)}, None),
        ("http://10.0.0.7:80", {}, None),
        ("http://10.0.0.7:80", {"page_token": TOKEN}, PageAddress("http://10.0.0.7:80/", "who has its token")),
        ("http://127.0.0.1:80", {"page_token": TOKEN, "public_url": PUBLIC}, PageAddress(f"{PUBLIC}/", "who has its token")),
        ("http://127.0.0.1:80", {"page": False, "page_token": TOKEN}, None),
    ],
)  # fmt: skip
def test_where_it_is_seen(url_here: str, choices: dict[str, Any], address: PageAddress | None) -> None:
    """By a token from wherever the service is reached; else from this machine, where that is no proxy."""
    settings = ServiceSettings(**choices)
    is_proxy = lambda host: bool(settings.trusted_proxies) and host == "127.0.0.1"  # noqa: E731 - a case
    assert page_address(settings, settings.public_url or url_here, url_here, is_proxy) == address


@pytest.mark.parametrize("choices", [{}, {"page_token": TOKEN}, {"page": False}, {"trusted_proxies": ("127.0.0.1",)}])
async def test_what_is_said_is_so(tmp_path: Path, choices: dict[str, Any]) -> None:
    """Where an address is told, a page answers; where none is, there is none."""
    async with (
        open_service(tmp_path, ServiceSettings(**choices)) as service,
        ClientSession() as http,
        http.get(service.page.url if service.page else service.url) as answer,
    ):
        assert (answer.status == 200) is (service.page is not None)
