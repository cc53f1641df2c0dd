"""A service of Web Push on a port of this machine, in a thread of its own: for commands and programs that run as they are."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from attrs import Factory, define

from tests.client.web_push_playing import DEVICE, Request
from tocsin.protocol.webpush.subscription import PushSubscription


@define
class PushServer:
    """Answers with ``answers``, then with 201."""

    url: str
    answers: deque[tuple[int, dict[str, str], bytes]] = Factory(deque)
    requests: list[Request] = Factory(list)

    @property
    def subscription(self) -> PushSubscription:
        """One that leads here."""
        return PushSubscription(f"{self.url}/p/capability-that-lets-send", DEVICE.p256dh, DEVICE.auth)


@contextmanager
def push_server() -> Iterator[PushServer]:
    """Run it until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            played.requests.append(Request(0.0, "POST", f"{played.url}{self.path}", dict(self.headers), body))
            usual = (201, {"Location": "/p/message", "TTL": self.headers["TTL"]}, b"")
            status, headers, content = played.answers.popleft() if played.answers else usual
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        played = PushServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield played
        finally:
            server.shutdown()
            thread.join()
