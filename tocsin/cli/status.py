"""``tocsin status``: how a running push service is."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

import anyio

from tocsin.cli.state import add_state_option
from tocsin.protocol.errors import InvalidArgument, NotFound, NotSupported, PlatformUnavailable

DESCRIPTION = """\
Say whether a running push service is well, and what it has counted since its start.

Exit code 0 means that it is well; 1, that it is not, for the reason that is printed.
"""

EPILOG = """\
examples:
  tocsin status                                  of 'tocsin serve' on this machine
  tocsin status --state /var/lib/tocsin --json
  tocsin status --url https://push.example       of another; the counters need TOCSIN_METRICS_TOKEN
"""

TIMEOUT = 10.0
"""Seconds that the service may take to answer."""

_MAX_REPLY = 1024 * 1024


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = verbs.add_parser(
        "status",
        help="say how a running push service is",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_state_option(parser, "serve")
    parser.add_argument("--url", metavar="U", help="ask the service at this URL instead of the one on --state")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print the answer."""
    answer = _ask_url(arguments.url) if arguments.url else _ask_state(arguments)
    if arguments.json:
        print(json.dumps(answer))
    else:
        _print(answer)
    return 0 if answer["status"] == "ok" else 1


def _ask_state(arguments: argparse.Namespace) -> dict[str, Any]:
    try:
        from tocsin.service.control import ask  # noqa: PLC0415  # the plain install has no service
    except ModuleNotFoundError as missing:
        raise NotSupported(f"this needs the package {missing.name}: pip install 'tocsin[service]'") from missing
    answer = anyio.run(ask, arguments.state, {"verb": "status"})
    if answer is None:
        raise NotFound(f"no service runs on {arguments.state}; name its folder with --state, or its --url")
    return answer


def _ask_url(url: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise InvalidArgument(f"a push service is named by a URL such as https://push.example, not {url!r}")
    token = os.environ.get("TOCSIN_METRICS_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{url.rstrip('/')}/healthz", headers=headers)  # noqa: S310 - checked above
    try:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:  # noqa: S310 - as above
                body = reply.read(_MAX_REPLY)
        except urllib.error.HTTPError as refusal:
            if refusal.code != 503:
                raise
            body = refusal.read(_MAX_REPLY)
        answer: dict[str, Any] = json.loads(body)
        _ = answer["status"], answer["causes"]
    except OSError as failure:
        raise PlatformUnavailable(f"the push service at {url} cannot be asked: {failure}") from None
    except (ValueError, KeyError, TypeError):
        raise PlatformUnavailable(f"what answers at {url} is no push service of ours") from None
    return answer | {"url": url}


def _print(answer: dict[str, Any]) -> None:
    print(f"{answer['status']}  {answer['url']}")
    causes = answer["causes"]
    for cause in causes:
        print(f"tocsin status: {causes[cause] if isinstance(causes, dict) else cause}", file=sys.stderr)
    for group in ("counters", "now"):
        for name, value in answer.get(group, {}).items():
            print(f"  {name.replace('_', ' '):<20} {value}")
