"""The routes of the page: what each visitor is shown, and what is sent from its form."""

from __future__ import annotations

import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tocsin.protocol.errors import InvalidArgument, StateUnavailable
from tocsin.protocol.network.web_origin import is_by_own_page, why_foreign
from tocsin.protocol.toasts.plain_content import as_content
from tocsin.protocol.values import NotificationType
from tocsin.service.page.access import Access, PageRight, cookie_name
from tocsin.service.page.answer_section import Sent
from tocsin.service.page.document import Shown, login_page, page
from tocsin.service.page.live import MAX_VIEWERS, Live
from tocsin.service.page.picture import MOST
from tocsin.service.page.posting import Poster
from tocsin.service.registry.access_tokens import AccessTokens
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.url_paths import CHANNEL_PATH, PAGE_PATH
from tocsin.service.web.bodies import Bodies, BodyFault

MAX_FORM: Final = 24 * 1024
"""Bytes of a form at most: the largest payload, as forms write it, and the rest."""

_STREAM: Final = "text/event-stream"
_MAX_FIELDS: Final = 16
_MAX_SENT: Final = 32  # answers that can be looked at again
_ROOT: Final = "../" * (PAGE_PATH.count("/") - 1)  # the way from what is below to the page
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with "no-referrer" browsers do not say from which origin a form is
    "X-Content-Type-Options": "nosniff",
}
_FILES: Final = {"style.css": "text/css", "script.js": "text/javascript", "icon.svg": "image/svg+xml"}
_TYPES: Final = {kind: "application/octet-stream" if kind == "raw" else "text/xml" for kind in NotificationType}

Handler = Callable[[Request], Awaitable[Response]]


class StatusPage:
    """The page.

    :param url: the service's URL.
    :param poster: makes what posts, once the service answers.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # its parts
        self, access: Access, live: Live, channels: Channels, tokens: AccessTokens, bodies: Bodies, url: str
    ) -> None:
        self.poster: Poster | None = None
        """Posts what is sent from the form; None before the service answers."""
        self._access = access
        self._live = live
        self._channels = channels
        self._tokens = tokens
        self._bodies = bodies
        self._url = url
        self._sent: OrderedDict[str, Sent] = OrderedDict()

    def routes(self) -> list[Route]:
        """Return the routes, each of which is there for those only to whom the page is."""
        answers = {
            "/": self._for(self._show, asks=True),
            f"{PAGE_PATH}events": self._for(self._stream),
            f"{PAGE_PATH}send": self._for(self._send, posts=True),
            f"{PAGE_PATH}login": self._for(self._log_in, posts=True, is_open=True),
            f"{PAGE_PATH}logout": self._for(self._log_out, posts=True, is_open=True),
        } | {f"{PAGE_PATH}{name}": self._for(_file(name), is_open=True) for name in _FILES}
        return [Route(path, answer, methods=_METHODS) for path, answer in answers.items()]

    def running(self) -> AbstractAsyncContextManager[None]:
        """Gather what is shown while the block runs."""
        return self._live.running()

    def stop(self) -> None:
        """Let what goes on end."""
        self._live.stop()

    def _for(self, handler: Handler, *, posts: bool = False, asks: bool = False, is_open: bool = False) -> Handler:
        """Let a handler answer only those who may see what it shows.

        :param posts: whether it takes what a form has sent; else it is read only.
        :param asks: whether it is here that visitors are asked for the token.
        :param is_open: whether it is also for those who have not given it.
        """

        async def answer(request: Request) -> Response:
            may = self._access.judge(request)
            if may is PageRight.HIDDEN or request.method not in ({"POST"} if posts else {"GET", "HEAD"}):
                raise HTTPException(404)
            refusal = self._why_refused(request, posts=posts)
            if refusal is not None:
                response: Response = PlainTextResponse(f"{refusal}\n", 403)
            elif may is PageRight.SEES or is_open:
                response = await handler(request)
            elif asks:
                response = HTMLResponse(login_page())
            else:
                response = PlainTextResponse("Log in on the page first\n", 401)
            response.headers.update(_HEADERS)
            return response

        return answer

    def _why_refused(self, request: Request, *, posts: bool) -> str | None:
        hosts, origin = request.headers.getlist("host"), request.headers.get("origin")
        foreign = why_foreign(hosts[0] if len(hosts) == 1 else None, origin, self._url)
        if foreign is None and posts and not is_by_own_page(origin, request.headers.get("sec-fetch-site")):
            return "This has to be sent by the page itself"
        return foreign

    async def _show(self, request: Request) -> Response:
        live = self._live
        live.look()
        rows, _ = live.rows.after(0)
        shown = Shown(
            await live.observer.take(),
            self._url,
            live.since,
            time.time(),
            rows,
            live.place,
            live.followed_since,
            live.trouble,
            self._sent.get(request.query_params.get("sent", "")),
            self._access.has_session(request),
        )
        return HTMLResponse(page(shown))

    async def _stream(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type=_STREAM)
        if self._live.viewers >= MAX_VIEWERS:
            return PlainTextResponse(f"{MAX_VIEWERS} pages are open already\n", 503, {"Retry-After": "10"})
        place = request.headers.get("last-event-id") or request.query_params.get("after", "")
        events = self._live.events(self._live.read_place(place), lambda: self._access.still_sees(request))
        return StreamingResponse(events, media_type=_STREAM, headers={"X-Accel-Buffering": "no"})

    async def _send(self, request: Request) -> Response:
        form = await self._form(request)
        if isinstance(form, Response):
            return form
        sent = await self._post(form, request)
        key = secrets.token_urlsafe(16)
        self._sent[key] = sent
        while len(self._sent) > _MAX_SENT:
            self._sent.popitem(last=False)
        return RedirectResponse(f"{_ROOT}?sent={key}#answer", 303)

    async def _post(self, form: Mapping[str, str], request: Request) -> Sent:
        """Post what was filled in, as a server of the app would."""
        try:
            channel = await self._find(form.get("channel", ""))
            kind = _kind(form.get("type", ""))
            title = form.get("title", "") if kind in {NotificationType.TOAST, NotificationType.TILE} else ""
            body = as_content(kind, form.get("body", "").replace("\r\n", "\n").encode(), title or None)
        except (InvalidArgument, StateUnavailable) as wrong:
            return Sent(form, None, f"{wrong}.")
        assert self.poster is not None  # noqa: S101  # the service answers
        headers = {
            "authorization": f"Bearer {self._tokens.issue(channel.client_id)}",
            "x-wns-type": f"wns/{kind}",
            "content-type": _TYPES[kind],
            "x-wns-cache-policy": "cache" if "cache" in form else "no-cache",
        } | {f"x-wns-{name}": form[name].strip() for name in ("tag", "ttl") if form.get(name, "").strip()}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        raw += [header for header in request.scope["headers"] if header[0] == b"x-forwarded-for"]
        with self._channels.lend(channel) as token:
            target = f"{CHANNEL_PATH}?token={token}"
            return Sent(form, await self.poster.post(target, raw, body, request.scope["client"]))

    async def _find(self, name: str) -> ChannelRow:
        for channel in await self._channels.live(MOST):
            if channel.name == name:
                return channel
        raise InvalidArgument("choose a channel: that one is not among those that are shown")

    async def _log_in(self, request: Request) -> Response:
        form = await self._form(request)
        if isinstance(form, Response):
            return form
        session = self._access.log_in(request, form.get("token", ""))
        if isinstance(session, str):
            answer = RedirectResponse(_ROOT, 303)
            secure = request.url.scheme == "https" or self._url.startswith("https:")
            answer.set_cookie(cookie_name(request), session, httponly=True, samesite="strict", secure=secure)
            return answer
        if session:
            trouble = "Too many wrong tokens: try again later."
            return HTMLResponse(login_page(trouble, _ROOT), 429, {"Retry-After": f"{math.ceil(session)}"})
        return HTMLResponse(login_page("That is not the token.", _ROOT), 401)

    async def _log_out(self, request: Request) -> Response:
        self._access.log_out(request)
        answer = RedirectResponse(_ROOT, 303)
        answer.delete_cookie(cookie_name(request), httponly=True, samesite="strict")
        return answer

    async def _form(self, request: Request) -> dict[str, str] | Response:
        """Return what a form has sent, or why it cannot be read."""
        length = request.headers.get("content-length")
        body = await self._bodies.read(request.receive, MAX_FORM, None if length is None else int(length))
        if isinstance(body, BodyFault):
            words, status = _BODY_FAULTS[body]
            return PlainTextResponse(
                words, status, {"Connection": "close"} if status == 408 else None
            )  # the rest may never come
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"))
        except ValueError:
            return PlainTextResponse(f"A form in UTF-8 with at most {_MAX_FIELDS} fields is wanted\n", 400)


_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # others get 405 from the routes
_BODY_FAULTS: Final = {
    BodyFault.TOO_LONG: (f"The form has more than {MAX_FORM} bytes\n", 413),
    BodyFault.TORN: ("The form is not as long as its Content-Length says\n", 400),
    BodyFault.LATE: ("The form did not arrive in time\n", 408),
    BodyFault.STOPPING: ("The service is stopping\n", 503),
}


def _kind(text: str) -> NotificationType:
    try:
        return NotificationType(text)
    except ValueError:
        raise InvalidArgument("choose a type") from None


def _file(name: str) -> Handler:
    content = files("tocsin.service.page").joinpath("static", name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=_FILES[name])

    return answer
