"""What ``tocsin listen`` prints: lines for a person, or one JSON object a line."""

from __future__ import annotations

import base64
import json
import shlex
import shutil
import time
from datetime import UTC, datetime
from typing import Any

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.registration import Registration, own_command
from tocsin.api.toast_activated import ToastNotificationActivatedEventArgs
from tocsin.api.web_push_subscription import WebPushSubscription
from tocsin.child_process import ProcessEnd
from tocsin.cli.terminal import complain, show
from tocsin.protocol.text import harmless
from tocsin.service.page.page_address import SEEN_BY

TEXT_WIDTH = 200
"""Characters of a text payload that a person is shown at most."""

HEX_BYTES = 16
"""Bytes of a binary payload that a person is shown at most."""

_GREETING = "Hello, Tocsin"


class JsonLines:
    """Prints one JSON object a line, each at once; it is ASCII, so any terminal and any pipe can take it."""

    def channel(self, channel: PushNotificationChannel, registration: Registration) -> None:
        """Print all that a sender needs."""
        self._print(
            event="channel",
            uri=channel.uri,
            expires=channel.expiration_time.isoformat(),
            token_url=registration.token_url,
            aad_token_url=registration.aad_token_url,
            client_id=registration.client_id,
            client_secret=registration.client_secret,
            page=registration.page_url,
            **_moved(registration),
        )

    def subscription(self, subscription: WebPushSubscription) -> None:
        """Print the subscription, as senders take it."""
        expires = subscription.expiration_time.isoformat()
        self._print(event="subscription", **subscription.as_json(), expires=expires)

    def payload(self, args: PushNotificationReceivedEventArgs) -> None:
        """Print a payload; ``text`` is null where it is not UTF-8."""
        self._print(
            event="payload",
            id=args.id,
            type=str(args.type),
            text=_text(args.payload),
            base64=base64.b64encode(args.payload).decode("ascii"),
            attempt=args.attempt,
        )

    def command(self, id: str, code: int) -> None:  # noqa: A002  # WNS has one
        """Print how the command for a payload has ended, by its exit code, negative for a signal."""
        self._print(event="command", id=id, exit=code)

    def _print(self, **fields: Any) -> None:
        show(json.dumps(fields))


class Readable:
    """Prints for a person."""

    def channel(self, channel: PushNotificationChannel, registration: Registration) -> None:
        """Print how to push, as lines to paste."""
        if registration.port_changed_from is not None:
            show(
                f"Port {registration.port_changed_from} is taken, so the service has moved to another port"
                " and this is a new channel; the earlier one cannot be reached.\n"
            )
        days = round((channel.expiration_time - datetime.now(UTC)).total_seconds() / 86400)
        lines = lines_to_push(channel.uri, registration)
        show(
            f"channel  {channel.uri}\n"
            f"expires  {channel.expiration_time:%Y-%m-%d %H:%M} UTC, in {days} days\n"
            f"page     {registration.page_url}, for {SEEN_BY}\n\n"
            f"Push to it from another terminal:\n\n  {lines}\n\n"
            "Waiting for payloads. Ctrl-C ends."
        )

    def subscription(self, subscription: WebPushSubscription) -> None:
        """Print how to push, as a line to paste."""
        said = json.dumps(subscription.as_json())
        line = [own_command(), "webpush", "send", "-", _GREETING]
        if subscription.application_server_key is not None:
            line += ["--key", "vapid.pem", "--subject", "mailto:you@example.com"]
        show(
            f"subscription  {said}\n"
            f"expires       {subscription.expiration_time:%Y-%m-%d} UTC, and later each time that this is run\n\n"
            f"Push to it from another terminal, or by any library of Web Push:\n\n"
            f"  printf %s {shlex.quote(said)} | {shlex.join(line)}\n\n"
            "Waiting for payloads. Ctrl-C ends."
        )

    def payload(self, args: PushNotificationReceivedEventArgs) -> None:
        """Print a payload in one line."""
        size = len(args.payload)
        again = f"  (attempt {args.attempt})" if args.attempt > 1 else ""
        plural = "" if size == 1 else "s"
        show(f"{time.strftime('%H:%M:%S')}  {args.type}  {size} byte{plural}{again}  {preview(args.payload)}")

    def command(self, id: str, code: int) -> None:  # noqa: A002  # WNS has one
        """Print that the command for a payload has failed, with how it ended."""
        if code != 0:
            complain("tocsin listen", f"payload {id} is not handled: the command {ProcessEnd(code)}")


def show_click(args: ToastNotificationActivatedEventArgs) -> None:
    """Print a click on a toast in one line, for a person."""
    filled = "".join(f"  {harmless(name)}: {harmless(value)}" for name, value in args.user_input.items())
    show(f"{time.strftime('%H:%M:%S')}  pressed  {harmless(args.argument) or '(no argument)'}{filled}")


def lines_to_push(uri: str, registration: Registration) -> str:
    """Write them for curl, as any HTTP client pushes; where there is none, by this command."""
    by_command = (registration.send_line(uri, _GREETING),)
    return "\n  ".join(by_command if shutil.which("curl") is None else curl_lines(uri, registration))


def curl_lines(uri: str, registration: Registration) -> tuple[str, str]:
    """Build the two lines that get a token and push with it."""
    form = {
        "grant_type": "client_credentials",
        "client_id": registration.client_id,
        "client_secret": registration.client_secret,
        "scope": "notify.windows.com",
    }
    fields = " ".join(f"-d {shlex.quote(f'{key}={value}')}" for key, value in form.items())
    read = """python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])'"""
    token = f"TOKEN=$(curl -sS {shlex.quote(registration.token_url)} {fields} | {read})"
    push = (
        "curl -i -H \"Authorization: Bearer $TOKEN\" -H 'X-WNS-Type: wns/raw'"
        f" -H 'Content-Type: application/octet-stream' --data-binary '{_GREETING}' {shlex.quote(uri)}"
    )
    return token, push


def preview(payload: bytes) -> str:
    """Show a payload in a line: text as it is, as far as it is harmless on a terminal, anything else in hex."""
    text = _text(payload)
    if text is not None:
        shown = harmless(text)
        return shown if len(shown) <= TEXT_WIDTH else f"{shown[:TEXT_WIDTH]}..."
    more = " ..." if len(payload) > HEX_BYTES else ""
    return f"0x {payload[:HEX_BYTES].hex(' ')}{more}"


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _moved(registration: Registration) -> dict[str, int]:
    """Say that the port has changed, where it has."""
    old = registration.port_changed_from
    return {} if old is None else {"port_changed_from": old}
