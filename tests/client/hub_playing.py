"""A notification hub that a test plays, made of the standard library alone: what apps ask it for, and what it answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import anyio
import anyio.lowlevel
from attrs import Factory, define, field

from tests.client.playing import Asked
from tocsin.client.http import AnyHttp, Reply, Unreachable
from tocsin.client.notification_hub import NotificationHub
from tocsin.protocol.sending.attempts import SendPolicy

KEY = "c2VjcmV0IGtleQ=="
STRING = f"Endpoint=sb://hub.example/;SharedAccessKeyName=DefaultListenSharedAccessSignature;SharedAccessKey={KEY}"
URI = "https://wns.example/w/?token=AwY%2fQ%2b'x&v=1"
TOAST = '<toast><visual><binding template="ToastText01"><text id="1">$(message)</text></binding></visual></toast>'
SPACE = "{http://schemas.microsoft.com/netservices/2010/10/servicebus/connect}"


def error(status: int, detail: str, **headers: str) -> Reply:
    """Answer with an error as hubs write it."""
    body = f"<Error><Code>{status}</Code><Detail>{escape(detail)}</Detail></Error>".encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@define
class Kept:
    """A registration as the played hub keeps it: what was put, as XML, and how often."""

    description: ET.Element
    etag: int = 1

    def text(self, name: str) -> str:
        """Return what one of its elements has."""
        return self.description.findtext(SPACE + name, "")


@define
class PlayedHub:
    """Answers with ``answers`` as long as there are any, then as a hub does; lists have ``page`` entries."""

    answers: deque[Reply | Unreachable | None] = Factory(deque)
    kept: dict[str, Kept] = Factory(dict)
    issued: set[str] = Factory(set)
    asked: list[Asked] = Factory(list)
    methods: list[str] = Factory(list)
    expires: str = "9999-12-31T23:59:59.9999999Z"
    page: int = 2
    opened: int = field(default=0)
    on_delete: Callable[[], object] = lambda: None
    """What another does meanwhile."""

    def opening(self) -> AbstractAsyncContextManager[AnyHttp]:
        """Open a connection."""

        @asynccontextmanager
        async def open_http() -> AsyncIterator[AnyHttp]:
            self.opened += 1
            yield self
            self.opened -= 1

        return open_http()

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Play; None among ``answers`` lets one request through."""
        assert self.opened > 0, "connections are closed"
        self.asked.append(Asked(anyio.current_time(), url, headers, body))
        self.methods.append(method)
        await anyio.lowlevel.checkpoint()
        if self.answers:
            answer = self.answers.popleft()
            if isinstance(answer, Unreachable):
                raise answer
            if answer is not None:
                return answer
        check_signature(headers["Authorization"])
        parts = urlsplit(url)
        steps = [unquote(step) for step in parts.path.split("/")][2:]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert query["api-version"]
        match method, steps:
            case "POST", ["registrationids"]:
                made = f"{len(self.issued) + 1}-17-{len(self.issued) + 1}"
                self.issued.add(made)
                location = f"https://hub.example/news/registrationids/{made}?api-version=2020-06"
                return Reply(201, {"location": location}, b"")
            case "PUT", ["registrations", id_]:
                return self.put(id_, headers, body)
            case "DELETE", ["registrations", id_]:
                assert headers["If-Match"] == "*"
                self.on_delete()
                return Reply(200, {}, b"") if self.kept.pop(id_, None) else error(404, "there is no such registration")
            case "GET", ["registrations"]:
                return self.list(query)
        return error(404, "no such path")

    def put(self, id_: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Keep a registration under an id that was issued."""
        assert headers["Content-Type"].startswith("application/atom+xml;type=entry")
        if id_ not in self.issued:
            return error(410, "the registration is gone")
        (description,) = ET.fromstring(body).find("{http://www.w3.org/2005/Atom}content")  # type: ignore[misc]  # noqa: S314  # ours
        before = self.kept.get(id_)
        self.kept[id_] = Kept(description, 1 if before is None else before.etag + 1)
        return Reply(200, {"etag": f'W/"{self.kept[id_].etag}"'}, self.entry(id_).encode())

    def list(self, query: Mapping[str, str]) -> Reply:
        """List the registrations of a channel."""
        found = re.fullmatch(r"ChannelUri eq '(.*)'", query["$filter"])
        assert found
        uri = found[1].replace("''", "'")
        ids = [id_ for id_, each in self.kept.items() if each.text("ChannelUri") == uri]
        first = int(query.get("ContinuationToken", "0"))
        entries = "".join(map(self.entry, ids[first : first + self.page]))
        more = {"x-ms-continuationtoken": str(first + self.page)} if first + self.page < len(ids) else {}
        return Reply(200, more, f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'.encode())

    def entry(self, id_: str) -> str:
        """Write a registration as hubs do: with its id, ETag and end before what was put."""
        kept = self.kept[id_]
        ET.register_namespace("", SPACE[1:-1])
        inside = "".join(ET.tostring(child, encoding="unicode") for child in kept.description)
        name = kept.description.tag.removeprefix(SPACE)
        return (
            f'<entry xmlns="http://www.w3.org/2005/Atom"><title>x</title><content type="application/xml"><{name}'
            f' xmlns="{SPACE[1:-1]}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><ETag>{kept.etag}</ETag>'
            f"<ExpirationTime>{self.expires}</ExpirationTime><RegistrationId>{id_}</RegistrationId>{inside}</{name}>"
            "</content></entry>"
        )


def check_signature(header: str) -> None:
    """See that a request is signed with the key, for this hub, and for some minutes only."""
    scheme, _, rest = header.partition(" ")
    fields = dict(piece.split("=", 1) for piece in rest.split("&"))
    expected = hmac.digest(KEY.encode(), f"{fields['sr']}\n{fields['se']}".encode(), hashlib.sha256)
    assert scheme == "SharedAccessSignature"
    assert unquote(fields["sig"]) == base64.b64encode(expected).decode()
    assert unquote(fields["sr"]).startswith("https://hub.example/news")
    assert fields["skn"] == "DefaultListenSharedAccessSignature"


def hub_of(
    played: PlayedHub, state: Path, *, app: str | None = "contoso.mail", policy: SendPolicy | None = None
) -> NotificationHub:
    """Make an app's hub that asks the played one."""
    hub = NotificationHub("news", STRING, app=app, state=state, policy=policy)
    hub._open_http = played.opening
    return hub
