"""The routes of the page: what each visitor is shown, and what is sent from its form."""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tocsin.protocol.errors import InvalidArgument, StateUnavailable
from tocsin.protocol.toasts.plain_content import as_content
from tocsin.protocol.values import WNS_TYPES, NotificationType
from tocsin.service.page.access import Access, cookie_name
from tocsin.service.page.answer_section import Sent
from tocsin.service.page.document import login_page
from tocsin.service.page.form import Sought, send_section
from tocsin.service.page.live import Live
from tocsin.service.page.page_answers import Guard, routes_of, stream, whole
from tocsin.service.page.picture import MOST
from tocsin.service.page.posting import Poster
from tocsin.service.page.watched_service import FACE, WatchedService
from tocsin.service.registry.access_tokens import AccessTokens
from tocsin.service.registry.channel_directory import ChannelDirectory
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.url_paths import CHANNEL_PATH, PAGE_PATH
from tocsin.service.web.bodies import Bodies, BodyFault

MAX_FORM: Final = 24 * 1024
"""Bytes of a form at most: the largest payload, as forms write it, and the rest."""

_MAX_FIELDS: Final = 16
_MAX_SENT: Final = 32  # answers that can be looked at again
_ROOT: Final = "../" * (PAGE_PATH.count("/") - 1)  # the way from what is below to the page
_TYPES: Final = {kind: "application/octet-stream" if kind == "raw" else "text/xml" for kind in WNS_TYPES}


class StatusPage:
    """The page.

    :param service: what is shown.
    :param url: the service's URL.
    :param poster: makes what posts, once the service answers.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # its parts
        self,
        access: Access,
        live: Live,
        service: WatchedService,
        channels: ChannelDirectory,
        tokens: AccessTokens,
        bodies: Bodies,
        url: str,
    ) -> None:
        self.poster: Poster | None = None
        """Posts what is sent from the form; None before the service answers."""
        self._access = access
        self._guard = Guard(access.judge, url, lambda: HTMLResponse(login_page()))
        self._live = live
        self._service = service
        self._channels = channels
        self._tokens = tokens
        self._bodies = bodies
        self._url = url
        self._sent: OrderedDict[str, Sent] = OrderedDict()

    def routes(self) -> list[Route]:
        """Return the routes, each of which is there for those only to whom the page is."""
        answers = {
            "/": self._guard.admits(self._show, asks=True),
            f"{PAGE_PATH}events": self._guard.admits(self._stream),
            f"{PAGE_PATH}send": self._guard.admits(self._send, posts=True),
            f"{PAGE_PATH}login": self._guard.admits(self._log_in, posts=True, is_open=True),
            f"{PAGE_PATH}logout": self._guard.admits(self._log_out, posts=True, is_open=True),
        }
        return routes_of(self._guard, answers)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Gather what is shown while the block runs."""
        return self._live.running()

    def stop(self) -> None:
        """Let what goes on end."""
        self._live.stop()

    async def _show(self, request: Request) -> Response:
        self._live.look()
        picture = await self._service.take()
        sent = self._sent.get(request.query_params.get("sent", ""))
        asked = sent.form if sent else request.query_params
        sought = Sought(asked.get("app", "").strip(), asked.get("begins", "").strip().lower())
        found = await self._service.search(sought.app, sought.begins) if sought.is_some else picture.channels
        form = send_section(found, sought, sent)
        return whole(
            FACE, self._live, self._service.write(picture), form, has_session=self._access.has_session(request)
        )

    async def _stream(self, request: Request) -> Response:
        return stream(self._live, request, lambda: self._access.still_sees(request))

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
        for channel in await self._channels.search("", name, MOST):
            if channel.name == name:
                return channel
        raise InvalidArgument("choose a channel: there is none of that name, or it has ended")

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
