"""What the express lane reads in the headers of a post, once for all posts that have the same."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.service import wns
from tocsin.protocol.service.wns import NotificationRequest, WnsRefusal
from tocsin.service.web.express import Head
from tocsin.service.web.headers import RawHeaders


@frozen(eq=False)
class JudgedHead(Head):
    """The head of a notification: ``bearer`` is the access token, ``vector`` the correlation vector or None."""

    bearer: str
    vector: str | None
    request: NotificationRequest


def judge(headers: RawHeaders) -> JudgedHead | None:
    """Judge the headers of a post; None where something speaks against them."""
    said = wns.collect(headers)
    bearer, request = wns.bearer_token(said), wns.read_notification(said)
    if isinstance(bearer, WnsRefusal) or isinstance(request, WnsRefusal):
        return None
    vector = said.get("ms-cv")  # which is another each time
    return JudgedHead(headers, request.length, vector is None, bearer, vector, request)
