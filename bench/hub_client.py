"""A sender to a hub, as real ones are: it signs, posts, and asks what has become of it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Self
from urllib.parse import urlsplit

from attrs import frozen

from bench.http_load import Target
from bench.hub_state import HUB
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.protocol.hub.signature import make_signature

_LOOK = 0.005  # seconds between two looks
_PATIENCE = 60.0
_LASTS = 3_600  # seconds that a signature is good for
_ENDED = b"<State>Completed</State>"


@frozen
class HubClient:
    """A connection to a service on this machine."""

    _connection: http.client.HTTPConnection
    _headers: dict[str, str]
    _url: str

    @classmethod
    @contextmanager
    def connected(cls, url: str, key: str) -> Iterator[Self]:
        """Connect to a service with that URL, by the key of the right to send."""
        resource = f"{url}/{HUB}"
        signature = make_signature(resource, KEY_NAMES[Right.SEND], key, int(time.time()) + _LASTS)
        headers = {
            "Authorization": signature,
            "ServiceBusNotification-Format": "windows",
            "X-WNS-Type": "wns/raw",
            "Content-Type": "application/octet-stream",
        }
        with closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
            yield cls(connection, headers, resource)

    def send(self, body: bytes, tags: str) -> str:
        """Send to a tag expression, and return where it is told what becomes of it."""
        headers = self._headers | {"ServiceBusNotification-Tags": tags}
        self._connection.request("POST", f"/{HUB}/messages/?api-version=2020-06", body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 201, text
        return urlsplit(answer.headers["Location"]).path

    def wait_for_end(self, path: str) -> None:
        """Wait until what has become of a message is written down."""
        deadline = time.monotonic() + _PATIENCE
        while _ENDED not in (text := self._get(path)):
            assert time.monotonic() < deadline, text
            time.sleep(_LOOK)

    def direct(self, uri: str) -> Target:
        """Return where and how a message to one channel is posted."""
        headers = self._headers | {"ServiceBusNotification-DeviceHandle": uri}
        return Target(f"{self._url}/messages/?direct&api-version=2020-06", headers)

    def _get(self, path: str) -> bytes:
        self._connection.request("GET", path, headers={"Authorization": self._headers["Authorization"]})
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return text
