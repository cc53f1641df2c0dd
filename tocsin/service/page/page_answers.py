"""What each page answers alike: who is let in and from which pages, the page itself, its stream and its files."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tocsin.protocol.network.web_origin import is_by_own_page, why_foreign
from tocsin.service.page.access import PageRight
from tocsin.service.page.document import Shown, page
from tocsin.service.page.live import AGAIN, MAX_VIEWERS, Live
from tocsin.service.page.markup import Markup
from tocsin.service.page.subject import Face
from tocsin.service.url_paths import PAGE_PATH

_STREAM: Final = "text/event-stream"
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
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # others get 405 from the routes

Handler = Callable[[Request], Awaitable[Response]]


class Guard:
    """Lets routes answer only those to whom the page is, and only what pages of its own ask.

    :param judge: says what the page is to a visitor.
    :param url: where the page is.
    :param ask: makes what is shown to a visitor who has to prove a right first.
    """

    def __init__(self, judge: Callable[[Request], PageRight], url: str, ask: Callable[[], Response]) -> None:
        self._judge = judge
        self._url = url
        self._ask = ask

    def admits(self, handler: Handler, *, posts: bool = False, asks: bool = False, is_open: bool = False) -> Handler:
        """Let a handler answer only those who may see what it shows.

        :param posts: whether it takes what a form has sent; else it is read only.
        :param asks: whether it is here that visitors are asked for what proves their right.
        :param is_open: whether it is also for those who have not proven it.
        """

        async def answer(request: Request) -> Response:
            may = self._judge(request)
            if may is PageRight.HIDDEN or request.method not in ({"POST"} if posts else {"GET", "HEAD"}):
                raise HTTPException(404)
            refusal = self._why_refused(request, posts=posts)
            if refusal is not None:
                response: Response = PlainTextResponse(f"{refusal}\n", 403)
            elif may is PageRight.SEES or is_open:
                response = await handler(request)
            elif asks:
                response = self._ask()
                if "authorization" in request.headers:  # it is a program, which goes by the status
                    response.status_code = 401
            else:
                response = PlainTextResponse("Open the page first: it says how to be let in\n", 401)
            response.headers.update(_HEADERS)
            return response

        return answer

    def _why_refused(self, request: Request, *, posts: bool) -> str | None:
        hosts, origin = request.headers.getlist("host"), request.headers.get("origin")
        foreign = why_foreign(hosts[0] if len(hosts) == 1 else None, origin, self._url)
        if foreign is None and posts and not is_by_own_page(origin, request.headers.get("sec-fetch-site")):
            return "This has to be sent by the page itself"
        return foreign


def routes_of(guard: Guard, answers: Mapping[str, Handler]) -> list[Route]:
    """Return the routes of a page: what answers each path, and its files."""
    static = {f"{PAGE_PATH}{name}": guard.admits(_file(name), is_open=True) for name in _FILES}
    return [Route(path, answer, methods=_METHODS) for path, answer in {**answers, **static}.items()]


def whole(face: Face, live: Live, written: Mapping[str, Markup], beside: Markup, *, has_session: bool) -> Response:
    """Answer with the page as it is now; its caller has looked (:meth:`Live.look`) before it was written."""
    rows, _ = live.rows.after(0)
    moment = time.time()
    shown = Shown(written, beside, moment, rows, live.place, live.followed_since, live.trouble, has_session)
    return HTMLResponse(page(face, shown))


def stream(live: Live, request: Request, may_go_on: Callable[[], bool]) -> Response:
    """Answer with what happens from now on, for as long as the viewer may see it."""
    if request.method == "HEAD":
        return Response(media_type=_STREAM)
    if live.viewers >= MAX_VIEWERS:
        return PlainTextResponse(f"{MAX_VIEWERS} pages are open already\n", 503, {"Retry-After": f"{AGAIN:.0f}"})
    place = request.headers.get("last-event-id") or request.query_params.get("after", "")
    events = live.events(live.read_place(place), may_go_on)
    return StreamingResponse(events, media_type=_STREAM, headers={"X-Accel-Buffering": "no"})


def _file(name: str) -> Handler:
    content = files("tocsin.service.page").joinpath("static", name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=_FILES[name])

    return answer
