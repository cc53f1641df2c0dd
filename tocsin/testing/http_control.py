"""``/_tocsin/``: a twin of WNS driven over HTTP, by tests in any language.

A page of the web must not reach it by way of a developer's browser. So ``Host`` has to be this machine's, which it is not where
the name of another has been pointed here, and so has ``Origin``, which a browser sends with what a page asks for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import anyio
from attrs import asdict
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin import __version__
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotFound, PlatformUnavailable, PushError, TimedOut
from tocsin.protocol.json_text import parse_json_text
from tocsin.protocol.network.addresses import is_loopback
from tocsin.protocol.text import quoted
from tocsin.service.url_paths import PAGE_PATH
from tocsin.service.web.bodies import Bodies, BodyFault
from tocsin.testing.control_operations import OPERATIONS, Operation
from tocsin.testing.control_shapes import Nothing, Problem
from tocsin.testing.faults import Faults
from tocsin.testing.json_shapes import read, read_query, schema_of, write
from tocsin.testing.twin import Twin

PREFIX: Final = "/_tocsin"
DOCUMENT: Final = "/openapi.json"
"""Where the operations are described."""

MAX_BODY: Final = 64 * 1024
"""Bytes of a request's body at most."""

BODY_TIMEOUT: Final = 10.0
"""Seconds in which it has to arrive."""

_BY_PATH: Final[Mapping[str, Mapping[str, Operation]]] = {
    path: {each.method: each for each in OPERATIONS if each.path == path} for path in {each.path for each in OPERATIONS}
}
_STATUS: Final = (
    (InvalidArgument, 400),
    (NotFound, 404),
    (TimedOut, 504),
    (IllegalCall, 409),
    (PlatformUnavailable, 409),
)


class _Refused(Exception):
    """What is refused before anything is done, with its status."""

    def __init__(self, status: int, error: PushError, allow: str = "") -> None:
        super().__init__(str(error))
        self.status = status
        self.error = error
        self.allow = allow


class ControlledFaults(Faults):
    """Faults on demand, with ``/_tocsin/`` beside the service.

    :param most: as for :class:`Faults`.
    """

    is_for_development = True

    def __init__(self, most: int | None = None) -> None:
        super().__init__(most)
        self.twin: Twin | None = None
        """What is driven, once it has started."""
        self._bodies = Bodies(BODY_TIMEOUT)
        self._turn = anyio.Lock()
        self._waits: set[anyio.CancelScope] = set()

    def around_others(self, app: ASGIApp) -> ASGIApp:
        """Answer what is below ``/_tocsin``."""
        service = super().around_others(app)

        async def layer(scope: Scope, receive: Receive, send: Send) -> None:
            path: str = scope["path"]
            is_ours = path == PREFIX or path.startswith(f"{PREFIX}/")
            is_page = path.startswith(PAGE_PATH)  # the service's own, which shows what it is asked
            await (self._answer if is_ours and not is_page else service)(scope, receive, send)

        return layer

    def stop(self) -> None:
        """Read no more, and answer those who wait."""
        self.twin = None
        self._bodies.stop()
        for wait in self._waits:
            wait.cancel()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        allow = ""
        try:
            status, content = 200, await self._perform(scope, receive)
        except _Refused as refused:
            status, content, allow = refused.status, _problem(refused.status, refused.error), refused.allow
        except PushError as failure:
            status = next((code for kind, code in _STATUS if isinstance(failure, kind)), 500)
            content = _problem(status, failure)
        body = json.dumps(content).encode()
        headers = [
            (b"content-type", b"application/json" if status == 200 else b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if allow:
            headers.append((b"allow", allow.encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _perform(self, scope: Scope, receive: Receive) -> Any:
        _check_caller(scope)
        method, path = scope["method"], scope["path"].removeprefix(PREFIX) or "/"
        if path == DOCUMENT:
            _check_method(method, path, {"GET"})
            return document()
        operation = _operation(method, path)
        if method == "GET":
            query = _query(scope["query_string"])
            given = read_query(operation.takes, query, "the query")
        else:
            given = read(operation.takes, await self._body(scope, receive), "the body")
        twin = self.twin
        if twin is None:
            raise _Refused(503, PlatformUnavailable("the twin is starting or stopping"))
        if method == "GET":
            return await self._wait(twin, operation, given)
        async with self._turn:
            return write(await operation.perform(twin, given))

    async def _wait(self, twin: Twin, operation: Operation, given: Any) -> Any:
        """Do what changes nothing; the end of the service ends it."""
        with anyio.CancelScope() as wait:
            self._waits.add(wait)
            try:
                return write(await operation.perform(twin, given))
            finally:
                self._waits.discard(wait)
        raise _Refused(503, PlatformUnavailable("the twin is stopping"))

    async def _body(self, scope: Scope, receive: Receive) -> Any:
        length = _header(scope, b"content-length")
        body = await self._bodies.read(receive, MAX_BODY, int(length) if length.isdecimal() else None)
        match body:
            case BodyFault.TOO_LONG:
                raise _Refused(413, InvalidArgument(f"the body has more than {MAX_BODY} bytes, which are read at most"))
            case BodyFault.STOPPING:
                raise _Refused(503, PlatformUnavailable("the twin is stopping"))
            case BodyFault():
                raise _Refused(408, InvalidArgument("the body did not arrive in time, or not as long as its head says"))
        return parse_json_text(body, "the body", MAX_BODY) if body.strip() else {}


def _check_caller(scope: Scope) -> None:
    """Refuse a request that a page of the web may have made."""
    host = _header(scope, b"host")
    if not _is_of_this_machine(f"//{host}"):
        text = f"the host {quoted(host)} is not this machine: ask for 127.0.0.1, [::1] or localhost"
        raise _Refused(403, IllegalCall(text))
    origin = _header(scope, b"origin")
    if origin and not _is_of_this_machine(origin):
        raise _Refused(403, IllegalCall(f"pages of {quoted(origin)} may not ask this: only those of this machine may"))


def _is_of_this_machine(url: str) -> bool:
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_loopback(name)


def _header(scope: Scope, name: bytes) -> str:
    """Return the values of a header, which make none that is right where there are several."""
    return ", ".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)


def _query(query: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise InvalidArgument("the query has more than 16 fields") from None
    return dict(pairs)


def _operation(method: str, path: str) -> Operation:
    there = _BY_PATH.get(path)
    if there is None:
        raise NotFound(f"nothing is at {quoted(PREFIX + path)}: {PREFIX}{DOCUMENT} says what there is")
    _check_method(method, path, there)
    return there[method]


def _check_method(method: str, path: str, there: Iterable[str]) -> None:
    if method not in there:
        allow = ", ".join(sorted(there))
        raise _Refused(405, IllegalCall(f"{quoted(PREFIX + path)} takes {allow}, not {quoted(method)}"), allow)


def _problem(status: int, error: PushError) -> dict[str, Any]:
    kind = type(error).__name__
    return asdict(Problem("about:blank", HTTPStatus(status).phrase, status, str(error), kind, error.hresult))


def document() -> dict[str, Any]:
    """Describe all operations, as OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(PREFIX + each.path, {})[each.method.lower()] = _described(each)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "The twin of WNS of 'tocsin serve --dev'", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {"Problem": schema_of(Problem)},
            "responses": {"Problem": {"description": "why it was not done", "content": problem}},
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    given = schema_of(operation.takes)
    described: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}-{operation.path.strip('/') or 'about'}",
        "summary": operation.summary,
        "responses": {
            "200": {
                "description": "done",
                "content": {"application/json": {"schema": schema_of(operation.gives)}},
            },
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if operation.takes is Nothing:
        return described
    if operation.method == "GET":
        described["parameters"] = [
            {"name": name, "in": "query", "schema": schema} for name, schema in given["properties"].items()
        ]
    else:
        described["requestBody"] = {"content": {"application/json": {"schema": given}}}
    return described
