"""Senders as simple as can be, one that blocks and one that does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.message import Message
from typing import TypeAlias
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from tocsin.testing import LocalWns

Headers: TypeAlias = "Message[str, str]"
Answer: TypeAlias = "tuple[int, Headers]"


def post(url: str, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, Headers, bytes]:
    """Post, and return status, headers and body, whatever the status."""
    try:
        with urlopen(Request(url, body, dict(headers or {}))) as answer:  # noqa: S310  # our own URLs
            return answer.status, answer.headers, answer.read()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.headers, refused.read()


def sign_in(wns: LocalWns, url: str | None = None) -> tuple[int, dict[str, object]]:
    """Ask for a token."""
    live = "scope=notify.windows.com" if url is None else "scope=https%3A%2F%2Fwns.windows.com%2F.default"
    form = {"grant_type": "client_credentials", "client_id": wns.client_id, "client_secret": wns.client_secret}
    status, _, reply = post(url or wns.token_url, f"{urlencode(form)}&{live}".encode())
    return status, json.loads(reply)


def push(wns: LocalWns, token: object, body: bytes = b"ding", uri: str = "", **headers: str) -> Answer:
    """Push a raw notification."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    usual = {
        "Authorization": f"Bearer {token}",
        "X-WNS-Type": "wns/raw",
        "Content-Type": "application/octet-stream",
    }
    status, answer, _ = post(uri or wns.channel_uri, body, {**usual, **named})
    return status, answer
