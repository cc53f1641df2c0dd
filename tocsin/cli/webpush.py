"""``tocsin webpush``: the key of a sender of Web Push, and messages to subscriptions."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio
from attrs import asdict

from tocsin.cli.command_line import add_verb, by_rule, whole
from tocsin.cli.given_body import read_body
from tocsin.cli.terminal import complain, refuse, show
from tocsin.private_file import read_private, write_private
from tocsin.protocol.errors import InvalidArgument, SendFailed
from tocsin.protocol.sending.attempts import SendPolicy
from tocsin.protocol.text import quoted
from tocsin.protocol.webpush.message_headers import DAY, LONGEST_TTL, URGENCIES, check_topic
from tocsin.protocol.webpush.subscription import PushSubscription
from tocsin.protocol.webpush.vapid import check_subject

if TYPE_CHECKING:
    from tocsin.client.web_push_client import WebPushClient, WebPushResult

DESCRIPTION = """\
Send to browsers, and to all that take messages as browsers do (Web Push).

A sender has one key for all its subscribers: 'keys' makes it, and prints the public half, which a page hands to the browser as
applicationServerKey. What the browser answers is a subscription: 'send' sends to it, encrypted for that browser alone.
"""

EPILOG = """\
examples:
  tocsin webpush keys                                       make vapid.pem, and print its public half
  tocsin webpush keys --show vapid.pem                      print that again
  tocsin webpush send subscription.json 'you have mail' --key vapid.pem --subject mailto:ops@app.example
  tocsin webpush send subscription.json @news.json --key vapid.pem --subject mailto:ops@app.example --urgency high --ttl 600
"""

KEYS = """\
Make the key of a sender (VAPID, RFC 8292): a new file that only its user may open, in PEM. Its public half is printed, as
base64url. Who has subscribed to that can be reached by no other key, so keep the file as you keep a password.
"""

SEND = """\
Send a message to a subscription, and say what the push service answered.

SUBSCRIPTION is the file with what JSON.stringify(subscription) has made in a browser; - reads standard input.

BODY is text and is sent as UTF-8; @FILE sends a file, and @-, - or none standard input, as they are: 3,993 bytes at most. A text
that begins with @ is written with two: @@home. An empty one, '', wakes the app without a message.

What may pass (429, 500, 503, no connection) is tried again, after the wait that the service asks for. Exit code 0 means that the
service has the message; 1, that it has not, for the reason that is printed.
"""

_MOST: Final = 16 * 1024  # bytes of a subscription


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "webpush", "send to browsers, and make the key for it", DESCRIPTION, EPILOG)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    keys = actions.add_parser("keys", help="make the key of a sender, or show its public half", description=KEYS)
    which = keys.add_mutually_exclusive_group()
    which.add_argument("--out", metavar="FILE", default="vapid.pem", help="the file to make (default: vapid.pem)")
    which.add_argument("--show", metavar="FILE", help="print the public half of a key that there is")
    keys.add_argument("--json", action="store_true", help="print one JSON object")
    _add_send(actions.add_parser("send", help="send a message to a subscription", description=SEND))


def _add_send(send: Any) -> None:
    send.mixed = True
    send.add_argument("subscription", metavar="SUBSCRIPTION", help="the file with its JSON; - reads standard input")
    words = "the message, or @FILE; - or none reads standard input"
    send.add_argument("body", metavar="BODY", nargs="?", default="-", help=words)
    send.add_argument("--key", metavar="FILE", help="the key that the subscriber was given; few services take none")
    words = "how the service's operator reaches you: mailto: or https:"
    send.add_argument("--subject", type=by_rule(check_subject), metavar="S", help=words)
    send.add_argument(
        "--ttl", type=whole(0, LONGEST_TTL), default=DAY, metavar="S", help="seconds that it may wait (default: a day)"
    )
    send.add_argument("--urgency", choices=URGENCIES, default="normal", help="what a device is to be woken for")
    words = "1 to 32 letters, digits, - and _: a later one replaces it"
    send.add_argument("--topic", type=by_rule(check_topic), metavar="T", help=words)
    send.add_argument(
        "--retries", type=whole(0, 1_000), default=3, metavar="N", help="attempts after the first (default: 3)"
    )
    send.add_argument("--json", action="store_true", help="print the answer as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Make or show a key, or send."""
    return _keys(arguments) if arguments.action == "keys" else _send(arguments)


def _keys(arguments: argparse.Namespace) -> int:
    from tocsin.client.vapid_key_file import read_key  # noqa: PLC0415  # the plain install has no cryptography

    is_shown = arguments.show is not None
    file = arguments.show if is_shown else arguments.out
    key = read_key(Path(file)) if is_shown else _made(Path(file))
    public = key.application_server_key
    show(json.dumps({"public_key": public, "file": file}) if arguments.json else public)
    if not is_shown and not arguments.json:
        complain("tocsin webpush", f"the private key is in {quoted(file)}; keep it from others")
    return 0


def _made(path: Path) -> Any:
    """Make a key in a new file.

    :raises InvalidArgument: there is one of that name, or it cannot be written.
    """
    from tocsin.webpush.vapid_keys import VapidKey  # noqa: PLC0415  # as above

    if not path.parent.is_dir():
        raise InvalidArgument(f"there is no folder {quoted(str(path.parent))} for the key")
    if path.is_dir():
        raise InvalidArgument(f"{quoted(str(path))} is a folder: name the file that is to have the key")
    key = VapidKey.generate()
    content = key.pem().encode()
    try:
        write_private(path, content, over=False)
        found = read_private(path, len(content) + 1)
    except OSError as failure:
        raise InvalidArgument(
            f"the key {quoted(str(path))} cannot be written: {failure.strerror or failure}"
        ) from failure
    if found != content:
        raise InvalidArgument(
            f"there is a file {quoted(str(path))}, which stays as it is: --show prints the public half of a key,"
            " --out names another file"
        )
    return key


def _send(arguments: argparse.Namespace) -> int:
    if arguments.subscription == "-" and arguments.body in {"-", "@-"}:
        raise InvalidArgument("the subscription is read from standard input, so the message cannot be: give it as BODY")
    subscription = _subscription(arguments.subscription)
    client = _client(arguments, subscription)
    body = read_body(arguments.body, "tocsin webpush")
    result = anyio.run(_sent, client, subscription, arguments, body)
    if isinstance(result, SendFailed):
        if arguments.json:
            show(json.dumps(asdict(result.result) | {"explanation": result.result.explanation}))
        refuse("tocsin webpush", result, as_json=arguments.json)
        return 1
    show(json.dumps(asdict(result)) if arguments.json else _told(result))
    return 0


def _told(result: WebPushResult) -> str:
    kept = "" if result.ttl is None else f", kept for {result.ttl} s at most" if result.ttl else ", now or never"
    return f"accepted with {result.http_status}{kept}{'' if result.description is None else f': {result.description}'}"


def _subscription(name: str) -> PushSubscription:
    """Read a subscription.

    :raises InvalidArgument: it cannot be read, or is none.
    """
    try:
        if name == "-":
            content = sys.stdin.buffer.read(_MOST + 1) if sys.stdin is not None else b""
        else:
            with Path(name).open("rb") as file:
                content = file.read(_MOST + 1)
    except (OSError, ValueError) as failure:
        words = (
            f"{getattr(failure, 'strerror', None) or failure}; it is a file with what JSON.stringify(subscription) made"
        )
        raise InvalidArgument(f"the subscription {quoted(name)} cannot be read: {words}") from failure
    try:
        return PushSubscription.from_json(content)
    except InvalidArgument as wrong:
        place = "standard input" if name == "-" else f"the file {quoted(name)}"
        raise InvalidArgument(f"{place} has no push subscription: {wrong}") from None


def _client(arguments: argparse.Namespace, subscription: PushSubscription) -> WebPushClient:
    """Make the client that sends.

    :raises InvalidArgument: the command line does not say who, or the endpoint is no URL.
    """
    from tocsin.client.web_push_client import WebPushClient  # noqa: PLC0415  # as above

    if arguments.key is not None and arguments.subject is None:
        raise InvalidArgument(
            "say how the push service's operator reaches you: --subject mailto:ops@app.example, or a page with https://"
        )
    if arguments.subject is not None and arguments.key is None:
        raise InvalidArgument("a subject goes with a key: without --key nothing says who sends")
    try:
        host = urlsplit(subscription.endpoint).hostname
    except ValueError:
        host = None
    return WebPushClient(
        None if arguments.key is None else Path(arguments.key),
        arguments.subject,
        hosts=[host] if host else None,  # the user who names the subscription vouches for it
        policy=SendPolicy(retries=arguments.retries),
    )


async def _sent(
    client: WebPushClient, subscription: PushSubscription, arguments: argparse.Namespace, body: bytes
) -> WebPushResult | SendFailed:
    """Send what the command line says; return the answer, or why it was not taken."""
    async with client:
        try:
            return await client.send(
                subscription, body, ttl=arguments.ttl, urgency=arguments.urgency, topic=arguments.topic
            )
        except SendFailed as failed:
            return failed
