"""What a hub answers: a status, headers, and XML or JSON; each answer has an id by which it is found again."""

from __future__ import annotations

import re
from typing import Final
from uuid import uuid4

from attrs import frozen
from starlette.types import Send

from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.outcome_xml import write_error
from tocsin.service.web.headers import RawHeaders

XML: Final = "application/xml; charset=utf-8"
ATOM: Final = "application/atom+xml;type=entry;charset=utf-8"
ATOM_FEED: Final = "application/atom+xml;type=feed;charset=utf-8"
JSON: Final = "application/json; charset=utf-8"

_TRACKING_ID: Final = re.compile("[A-Za-z0-9_.-]{1,128}")
_RETRY: Final = {429: 10, 503: 5}  # seconds, where the refusal names none


@frozen
class HubAnswer:
    """An answer: ``headers`` are those that only this one has."""

    status: int
    body: bytes = b""
    media_type: str = XML
    headers: tuple[tuple[str, str], ...] = ()


def refusal(refused: HubRefused) -> HubAnswer:
    """Return the answer that says a refusal, with when to come again where there is such a time."""
    wait = refused.retry_after or _RETRY.get(refused.status)
    headers = () if wait is None else (("Retry-After", str(wait)),)
    if refused.status == 401:
        headers = (*headers, ("WWW-Authenticate", "SharedAccessSignature"))
    if refused.allowed:
        headers = (*headers, ("Allow", ", ".join(refused.allowed)))
    return HubAnswer(refused.status, write_error(refused.status, refused.detail), XML, headers)


def tracking_id_of(given: str) -> str:
    """Return the id of a request and its answer: the one that its client has sent, if it can be shown, or a new one."""
    return given if _TRACKING_ID.fullmatch(given) else str(uuid4())


async def send_answer(send: Send, answer: HubAnswer, tracking_id: str, *, close: bool) -> None:
    """Send an answer.

    :param close: whether the rest of the request may never come, so that the connection is of no use any more.
    """
    body = answer.body
    # An answer with 204 has no body, and no length of one either (RFC 9110 section 8.6).
    length = [] if answer.status == 204 else [(b"Content-Length", str(len(body)).encode())]
    headers: RawHeaders = [
        *length,
        (b"TrackingId", tracking_id.encode()),
        (b"x-ms-correlation-request-id", tracking_id.encode()),
        *((name.encode(), value.encode()) for name, value in answer.headers),
    ]
    if body:
        headers.append((b"Content-Type", answer.media_type.encode()))
    if close:
        headers.append((b"Connection", b"close"))
    status = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(status)
    await send({"type": "http.response.body", "body": body})
