"""``tocsin send``: a notification to a channel, as a server would send it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import anyio
from attrs import field, frozen

from tocsin.protocol.errors import InvalidArgument, NotSupported, PlatformUnavailable, PushError
from tocsin.protocol.hresult import HResult
from tocsin.protocol.values import NotificationType
from tocsin.protocol.wns import Refusal, read_notification

DESCRIPTION = """\
Send a notification to a WNS channel: get an access token, post the body, say what became of it.

What WNS would refuse is refused here, before anything is sent. Exit code 0 means that the service answered
'received'; 1, that it did not, for the reason that is printed.
"""

EPILOG = """\
examples:
  tocsin send 'http://127.0.0.1:8080/w/?token=...' 'Hello' --client-id ID --client-secret SECRET
  tocsin send URI - < photo.bin                  the body from standard input, as it is
  tocsin send URI --type badge '<badge value="3"/>'

The client id and secret may also be given as TOCSIN_CLIENT_ID and TOCSIN_CLIENT_SECRET, where no other user of the
machine sees them.
"""

TIMEOUT = 30.0
"""Seconds that each request may take."""

MAX_REPLY = 64 * 1024
"""Bytes of a token endpoint's reply at most."""

_SCOPES = {
    "/oauth2/v2.0/token": {"scope": "https://wns.windows.com/.default"},
    "/oauth2/token": {"resource": "https://wns.windows.com/"},
}
_LIVE_SCOPE = {"scope": "notify.windows.com"}


@frozen
class Request:
    """What is to be sent, and as whom."""

    uri: str = field(repr=False)
    headers: dict[str, str]
    body: bytes
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = verbs.add_parser(
        "send",
        help="send a notification to a channel",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("uri", metavar="URI", help="the channel's URI")
    parser.add_argument("body", metavar="BODY", nargs="?", default="-", help="the payload; - reads standard input")
    parser.add_argument("--type", choices=[str(kind) for kind in NotificationType], default="raw", help="default: raw")
    parser.add_argument("--client-id", metavar="I", default=os.environ.get("TOCSIN_CLIENT_ID"), help="who sends")
    parser.add_argument("--client-secret", metavar="S", default=os.environ.get("TOCSIN_CLIENT_SECRET"))
    parser.add_argument("--token-url", metavar="U", help="default: /accesstoken.srf at the channel's host")
    parser.add_argument("--ttl", type=int, metavar="S", help="seconds after which the notification is of no use")
    parser.add_argument("--cache", action="store_true", help="ask the service to keep it for a device that is away")
    parser.add_argument("--tag", metavar="T", help="1 to 16 letters and digits: a later one with the tag replaces it")
    parser.add_argument("--priority", type=int, metavar="N", help="1 high, 2 medium, 3 low, 4 very low")
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Send, and print what the service answered."""
    request = _read_request(arguments)
    status, headers = anyio.run(_send, request)
    answer = {
        "http_status": status,
        "status": headers.get("x-wns-status") or headers.get("x-wns-notificationstatus"),
        "msg_id": headers.get("x-wns-msg-id"),
        "description": headers.get("x-wns-error-description"),
        "debug_trace": headers.get("x-wns-debug-trace"),
    }
    received = answer["status"] == "received"
    if arguments.json:
        print(json.dumps(answer))
    elif received:
        print(f"received, message id {answer['msg_id']}")
    else:
        outcome = answer["status"] or f"refused with {status}"
        print(f"tocsin send: {outcome}: {answer['description'] or 'the service gave no reason'}", file=sys.stderr)
    return 0 if received else 1


def _read_request(arguments: argparse.Namespace) -> Request:
    """Turn the command line into a request that WNS would accept.

    :raises InvalidArgument: it would not; the sentence says why.
    """
    parts = urlsplit(arguments.uri)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidArgument(f"a channel's URI begins with http:// or https://, not {arguments.uri[:40]!r}")
    if not arguments.client_id or not arguments.client_secret:
        raise InvalidArgument("say who sends: --client-id and --client-secret, or their environment variables")
    body = sys.stdin.buffer.read() if arguments.body == "-" else arguments.body.encode()
    headers = {
        "X-WNS-Type": f"wns/{arguments.type}",
        "Content-Type": "application/octet-stream" if arguments.type == "raw" else "text/xml",
        "Content-Length": str(len(body)),
    }
    optional = {"X-WNS-TTL": arguments.ttl, "X-WNS-Tag": arguments.tag, "X-WNS-PRIORITY": arguments.priority}
    headers |= {name: str(value) for name, value in optional.items() if value is not None}
    if arguments.cache:
        headers["X-WNS-Cache-Policy"] = "cache"
    verdict = read_notification({name.lower(): value for name, value in headers.items()})
    if isinstance(verdict, Refusal):
        raise InvalidArgument(verdict.description)
    token_url = arguments.token_url or f"{parts.scheme}://{parts.netloc}/accesstoken.srf"
    return Request(arguments.uri, headers, body, token_url, arguments.client_id, arguments.client_secret)


async def _send(request: Request) -> tuple[int, dict[str, str]]:
    """Get a token and post; return the answer's status and its headers by lower-cased name."""
    try:
        import aiohttp  # noqa: PLC0415  # the plain install has no HTTP client
    except ModuleNotFoundError:
        raise NotSupported("sending needs an HTTP client: pip install 'tocsin[service]'") from None
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as http:
            headers = request.headers | {"Authorization": f"Bearer {await _token(http, request)}"}
            async with http.post(request.uri, data=request.body, headers=headers, allow_redirects=False) as answer:
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}
    except TimeoutError:
        raise PlatformUnavailable(f"the push service did not answer within {TIMEOUT:g} s") from None
    except aiohttp.InvalidURL as failure:
        raise InvalidArgument(f"not a URL: {failure}") from None
    except aiohttp.ClientError as failure:
        raise PlatformUnavailable(f"the push service cannot be reached: {failure}") from failure


async def _bounded(chunks: AsyncIterator[bytes]) -> bytes:
    """Read an answer, but not more than ``MAX_REPLY``.

    :raises ValueError: it is longer.
    """
    reply = b""
    async for chunk in chunks:
        reply += chunk
        if len(reply) > MAX_REPLY:
            raise ValueError("the reply is too long")
    return reply


async def _token(http: Any, request: Request) -> str:
    """Get an access token by the form that the URL stands for.

    :raises PushError: the token endpoint refused, with its own words.
    """
    path = urlsplit(request.token_url).path.rstrip("/")
    scope = next((scope for ending, scope in _SCOPES.items() if path.endswith(ending)), _LIVE_SCOPE)
    form = {
        "grant_type": "client_credentials",
        "client_id": request.client_id,
        "client_secret": request.client_secret,
        **scope,
    }
    async with http.post(request.token_url, data=form, allow_redirects=False) as answer:
        try:
            reply = json.loads(await _bounded(answer.content.iter_chunked(4096)))
            if answer.status == 200:
                return str(reply["access_token"])
            reason = f"{reply['error']}: {reply['error_description']}"
        except (ValueError, KeyError, TypeError):
            reason = f"it answered {answer.status} without a token"
    raise PushError(f"no access token from {request.token_url}: {reason}", HResult.E_ACCESSDENIED)
