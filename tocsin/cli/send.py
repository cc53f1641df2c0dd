"""``tocsin send``: a notification to a channel, as a server would send it."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

import anyio
from attrs import asdict

from tocsin.cli.command_line import add_verb, whole
from tocsin.cli.given_body import read_body
from tocsin.cli.send_mends import mended
from tocsin.cli.terminal import complain, refuse, show
from tocsin.client.wns_client import WnsClient
from tocsin.protocol.errors import InvalidArgument, SendFailed
from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.attempts import SendPolicy
from tocsin.protocol.sending.sign_in import split_url, token_url_of
from tocsin.protocol.service.wns import MAX_TTL
from tocsin.protocol.text import harmless
from tocsin.protocol.toasts.plain_content import as_content, doubt_of
from tocsin.protocol.values import WNS_TYPES, NotificationType

DESCRIPTION = """\
Send a notification to a WNS channel: get an access token, post the body, say what became of it.

BODY is text and is sent as UTF-8; @FILE sends a file, and @- or - standard input, as they are: 5,000 bytes at most. A text
that begins with @ is written with two: @@home. Bytes that are no text in the terminal's encoding are sent as they are.

Where TOCSIN_CHANNEL has the channel's URI, BODY may stand alone; a URI that is given goes before it.

A toast, a tile or a badge is XML. Where BODY is none (it does not begin with '<'), the XML is made of it: of a toast or a
tile its text, with --title above it; of a badge its number or its glyph, such as newMessage or none.

What WNS would refuse is refused here, before anything is sent. What may pass (500, 503, 406, no connection) is tried
again, after the wait that the service asks for; one that is not understood is a minute at least. Exit code 0 means that the service answered 'received'; 1, that it did
not, for the reason that is printed.
"""

EPILOG = """\
examples:
  tocsin send 'http://127.0.0.1:8080/w/?token=...' 'Hello' --client-id ID --client-secret SECRET
  tocsin send URI @photo.bin                     a file, as it is
  tocsin send URI - < photo.bin                  the body from standard input, as it is
  tocsin send URI --type toast --title Ann --tag chat7 'Lunch?'
  tocsin send URI --type badge 3
  tocsin send URI --type badge '<badge value="3"/>'

The client id and secret may also be given as TOCSIN_CLIENT_ID and TOCSIN_CLIENT_SECRET, where no other user of the
machine sees them; 'tocsin app add NAME --env' prints such lines. Then, with TOCSIN_CHANNEL, 'tocsin send Hello' is all.
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "send", "send a notification to a channel", DESCRIPTION, EPILOG)
    parser.mixed = True
    parser.add_argument("uri", metavar="URI", nargs="?", help="the channel's URI (default: TOCSIN_CHANNEL)")
    words = "the payload, or @FILE; - or none reads standard input"
    parser.add_argument("body", metavar="BODY", nargs="?", help=words)
    parser.add_argument("--type", choices=[str(kind) for kind in WNS_TYPES], default="raw", help="default: raw")
    parser.add_argument("--title", metavar="T", help="what stands above the plain text of a toast or a tile")
    parser.add_argument("--client-id", metavar="I", default=os.environ.get("TOCSIN_CLIENT_ID"), help="who sends")
    parser.add_argument("--client-secret", metavar="S", default=os.environ.get("TOCSIN_CLIENT_SECRET"))
    parser.add_argument(
        "--token-url", metavar="U", help="default: /accesstoken.srf at the channel's host; Microsoft's for WNS"
    )
    parser.add_argument("--ttl", type=whole(0, MAX_TTL), metavar="S", help="seconds after which it is of no use")
    parser.add_argument("--cache", action="store_true", help="ask the service to keep it for a device that is away")
    parser.add_argument("--tag", metavar="T", help="1 to 16 letters and digits: a later one with the tag replaces it")
    parser.add_argument("--group", metavar="G", help="1 to 16 letters and digits: what tags are unique in")
    parser.add_argument("--suppress-popup", action="store_true", help="have a toast kept in the list without a popup")
    parser.add_argument("--priority", type=whole(1, 4), metavar="N", help="1 high, 2 medium, 3 low, 4 very low")
    parser.add_argument("--request-status", action="store_true", help="ask whether the device is connected")
    parser.add_argument(
        "--retries", type=whole(0, 1_000), default=3, metavar="N", help="attempts after the first (default: 3)"
    )
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Send, and print what the service answered."""
    uri, word = _words(arguments.uri, arguments.body)
    client = _client(arguments, uri)
    body = as_content(NotificationType(arguments.type), read_body(word), arguments.title)
    if doubt := doubt_of(NotificationType(arguments.type), body):
        complain("tocsin send", doubt)
    result, error = anyio.run(_send, client, uri, arguments, body)
    if arguments.json:
        show(json.dumps(asdict(result) | {"explanation": result.explanation}))
        if error is not None:
            refuse("tocsin send", error, as_json=True, sentence=mended(error, uri))
    elif result.received:
        device = f", the device is {result.device_connection_status}" if result.device_connection_status else ""
        id = "" if result.msg_id is None else f", message id {result.msg_id}"  # noqa: A001  # WNS sends one
        show(harmless(f"received{id}{device}"))
    else:
        words = f"{result.status}: {result.explanation}" if result.status else result.explanation
        complain("tocsin send", words if error is None else mended(error, uri))
    return 0 if result.received else 1


def _words(uri: str | None, body: str | None) -> tuple[str, str]:
    """Return the channel's URI and the word for the body: one that stands alone and is no URL is for the known channel.

    :raises InvalidArgument: no channel is named.
    """
    if body is None and not (uri or "").lower().startswith(("http://", "https://")):
        uri, body = os.environ.get("TOCSIN_CHANNEL"), uri
    if not uri:
        raise InvalidArgument(
            "say where to: by the channel's URI, which begins with http:// or https://, or by TOCSIN_CHANNEL in the environment"
        )
    return uri, "-" if body is None else body


def _client(arguments: argparse.Namespace, uri: str) -> WnsClient:
    """Make the client that sends.

    :raises InvalidArgument: the command line does not say who, or to a URI that is none.
    """
    if not arguments.client_id or not arguments.client_secret:
        raise InvalidArgument(
            "say who sends: --client-id and --client-secret, or TOCSIN_CLIENT_ID and TOCSIN_CLIENT_SECRET in the environment;"
            " 'tocsin app add NAME' prints both"
        )
    channel = split_url(uri, "a channel's URI")
    return WnsClient(
        arguments.client_id,
        arguments.client_secret,
        token_url=arguments.token_url or token_url_of(channel, None),
        hosts=[channel.hostname or ""],  # the user who types the URI vouches for it
        policy=SendPolicy(retries=arguments.retries),
    )


async def _send(
    client: WnsClient, uri: str, arguments: argparse.Namespace, body: bytes
) -> tuple[SendResult, SendFailed | None]:
    """Send what the command line says; return the last answer, and why it ended where it was no success.

    :raises InvalidArgument: WNS would refuse it; the sentence says why.
    """
    async with client:
        try:
            result = await client.send(
                uri,
                body,
                type=arguments.type,
                ttl=arguments.ttl,
                cache=arguments.cache or None,
                tag=arguments.tag,
                group=arguments.group,
                priority=arguments.priority,
                request_status=arguments.request_status,
                suppress_popup=arguments.suppress_popup,
            )
        except SendFailed as failed:
            return failed.result, failed
    return result, None
