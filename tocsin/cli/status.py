"""``tocsin status``: how a running agent, push service or program is."""

from __future__ import annotations

import argparse
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from http.client import HTTPException
from threading import Thread
from typing import Any

import anyio

from tocsin.cli.command_line import add_verb
from tocsin.cli.host_lines import host_lines
from tocsin.cli.state_choice import add_looked_at_option, candidates, none_answers
from tocsin.cli.table import aligned
from tocsin.cli.terminal import complain, show
from tocsin.network import cause_of, check_authorities, host_and_port, place_of, proxy_of, speaks_tls
from tocsin.protocol.errors import NotFound, PlatformUnavailable
from tocsin.protocol.network.causes import ConnectionCause, explain
from tocsin.protocol.network.proxies import Proxy
from tocsin.protocol.platform.power import is_unified_push
from tocsin.protocol.sending.sign_in import split_service_url
from tocsin.protocol.text import harmless
from tocsin.service.operations.settings import ServiceSettings
from tocsin.transport.control_socket import ask

DESCRIPTION = """\
Say whether a running agent or push service is well, and what it has counted since its start; so of a program with
tocsin.embedded(), such as 'tocsin listen', with the push service that runs in it.

Of an agent and of a program it says, too, what its sensors tell of the machine, what none of them knows, and what is
assumed instead.

Exit code 0 means that it is well; 1, that it is not, for the reason that is printed.
"""

EPILOG = """\
examples:
  tocsin status                                  of 'tocsin agent', 'serve' or 'listen' on this machine
  tocsin status --state ./push-state             of a program with tocsin.embedded(state="./push-state")
  tocsin status --state /var/lib/tocsin --json
  tocsin status --url https://push.example       of another; the counters need TOCSIN_METRICS_TOKEN
"""

TIMEOUT = 10.0
"""Seconds that the service may take to answer, in all."""

_MAX_REPLY = 1024 * 1024
_GROUPS = ("counters", "now")
_NODE = ("node", "address", "version", "state", "devices", "lease", "renewed")


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "status", "say how a running agent, push service or program is", DESCRIPTION, EPILOG)
    add_looked_at_option(parser)
    parser.add_argument("--url", metavar="U", help="ask the service at this URL instead of the one on --state")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print the answer."""
    answer = _ask_url(arguments.url) if arguments.url else _ask_state(arguments)
    if arguments.json:
        show(json.dumps(answer))
    else:
        _print(answer)
    return 0 if answer["status"] == "ok" else 1


def _ask_state(arguments: argparse.Namespace) -> dict[str, Any]:
    folders = candidates(arguments.state)
    for folder in folders:
        answer = anyio.run(ask, folder, {"verb": "status"})
        if answer is not None:
            return _checked(answer)
    raise NotFound(f"{none_answers(folders)}; name the state folder with --state, or a service's --url")


def _ask_url(url: str) -> dict[str, Any]:
    split_service_url(url, "a push service")
    token = os.environ.get("TOCSIN_METRICS_TOKEN", "")
    ServiceSettings(metrics_token=token)  # says what is wrong with it
    check_authorities()
    proxy = proxy_of(url)
    try:
        answer = _within(TIMEOUT, partial(_fetch, url, token, proxy))
        return _checked(json.loads(answer)) | {"url": url}
    except _Late:
        way = "" if proxy is None else f", by the proxy {proxy.place}"
        raise PlatformUnavailable(f"the push service at {url} has not answered within {TIMEOUT:g} s{way}") from None
    except OSError as failure:
        why = _cause_of(failure, url) if proxy is None else failure
        raise PlatformUnavailable(f"the push service at {url} cannot be asked: {why}") from None
    except (ValueError, LookupError, TypeError, RecursionError, HTTPException):
        raise PlatformUnavailable(f"what answers at {url} is no push service of ours") from None


def _cause_of(failure: OSError, url: str) -> str:
    """Say why there was no answer, or which one was none of a push service."""
    if isinstance(failure, urllib.error.HTTPError):
        return str(failure)
    reason = failure.reason if isinstance(failure, urllib.error.URLError) else failure
    cause, detail = cause_of(reason if isinstance(reason, OSError) else failure)
    if cause is ConnectionCause.LOST and url.startswith("http:") and anyio.run(speaks_tls, *host_and_port(url)):
        cause, detail = ConnectionCause.TLS_WANTED, ""
    return explain(cause, place_of(url), detail)


def _fetch(url: str, token: str, proxy: Proxy | None) -> bytes:
    """Ask for the health of a service, and return its answer, also where that says that it is not well."""
    headers = (
        {"Authorization": f"Bearer {token}".encode().decode("latin-1")} if token else {}
    )  # as the service reads it
    request = urllib.request.Request(f"{url.rstrip('/')}/healthz", headers=headers)  # noqa: S310 - _ask_url has checked it
    proxies = {} if proxy is None else {request.type: proxy.full_url}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _NoRedirection)
    try:
        with opener.open(request, timeout=TIMEOUT) as reply:
            body: bytes = reply.read(_MAX_REPLY)
    except urllib.error.HTTPError as refusal:
        with refusal:
            if refusal.code != 503:
                raise
            body = refusal.read(_MAX_REPLY)
    return body


class _Late(Exception):
    """The service did not answer in time."""


def _within(seconds: float, call: Callable[[], bytes]) -> bytes:
    """Return what a call returns that can be waited for without end: urllib has a limit for each read, not for all of them.

    Past the limit the thread that makes the call is left to the end of the process, which is near.
    """
    answer: Future[bytes] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except Exception as failure:  # noqa: BLE001  # it is raised where it is waited for
            answer.set_exception(failure)

    Thread(target=run, daemon=True).start()
    if not wait([answer], seconds).done:
        raise _Late
    return answer.result()


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Follows no redirection, which would take the token elsewhere."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:  # noqa: PLR0913, PLR0917  # the base class's
        """Return None, so that the redirection is the answer."""


def _checked(answer: Any) -> dict[str, Any]:
    """Return an answer that has the form of a health report.

    :raises LookupError: it has another. ValueError and TypeError say so too.
    """
    right = isinstance(answer["status"], str) and isinstance(answer["causes"], (dict, list))
    right = right and isinstance(answer.get("over_budget", []), list) and _are_objects(answer.get("nodes", []))
    if not right or not all(isinstance(answer.get(group, {}), dict) for group in (*_GROUPS, "desktop", "unifiedpush")):
        raise TypeError
    if not _are_objects(answer.get("unifiedpush", {}).get("registrations", [])):
        raise TypeError
    host_lines(answer.get("host", {}))
    checked: dict[str, Any] = answer
    return checked


def _are_objects(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _print(answer: dict[str, Any]) -> None:
    show(harmless(f"{answer['status']}  {_where(answer)}"))
    causes = answer["causes"]
    for cause in causes:
        complain("tocsin status", causes[cause] if isinstance(causes, dict) else cause)
    for group in _GROUPS:
        for name, value in answer.get(group, {}).items():
            show(f"  {harmless(name).replace('_', ' '):<20} {harmless(value)}")
    if engine := answer.get("engine"):
        show(f"  {'state':<20} {harmless(engine)}")
    if desktop := answer.get("desktop"):
        show(f"  {'desktop':<20} {harmless(_desktop_of(desktop))}")
    machine = host_lines(answer.get("host", {}))
    width = max((len(harmless(name)) for name, _ in machine), default=0)
    for name, words in machine:
        show(f"  {harmless(name):<{max(width, 20)}} {harmless(words)}")
    if nodes := answer.get("nodes"):
        show("\n".join(["", *aligned(_NODE, map(_node_cells, nodes))]))
    for app in answer.get("over_budget", ()):
        show(f"  {harmless(app):<20} has used up its data of today: its background work waits for the next day")
    _show_apps(answer)


def _show_apps(answer: dict[str, Any]) -> None:
    """Show which apps are connected, and which are registered by UnifiedPush."""
    for app, number in answer.get("sessions", {}).items():
        if not is_unified_push(app):
            show(f"  {harmless(app):<20} {harmless(number)} connected")
    if unifiedpush := answer.get("unifiedpush"):
        show(f"  {'UnifiedPush':<20} {harmless(unifiedpush.get('bus'))}")
        for each in unifiedpush.get("registrations", ()):
            id_ = each.get("id", each.get("app"))  # an earlier agent says none
            show(f"  {harmless(id_):<20} {harmless(_registration_of(each))}")


def _node_cells(node: dict[str, Any]) -> list[object]:
    """Return the line of a node in the table; of others it is not known how many devices they have."""
    devices = "" if node.get("devices") is None else node["devices"]
    return [*(node.get(name) for name in _NODE[:4]), devices, node.get("lease"), f"{node.get('renewed')} s ago"]


def _where(answer: dict[str, Any]) -> str:
    """Say in words what has answered."""
    if url := answer.get("url"):
        return str(url)
    if answer.get("kind") == "program":
        return f"program {answer.get('app')}, process {answer.get('pid')}, push service {answer.get('service')}"
    return f"agent on {answer.get('socket')}, push service {answer.get('service')}"


def _registration_of(registration: dict[str, Any]) -> str:
    """Say in words how a registration of UnifiedPush stands."""
    words = [f"registered by UnifiedPush since {registration.get('since')}", registration.get("description")]
    if unreadable := registration.get("unreadable"):
        words.append(f"{_pushes(unreadable)} dropped that it cannot read")
    if missed := registration.get("missed"):
        words.append(f"{_pushes(missed)} with TTL 0 dropped while it was not there or took none")
    return ", ".join(map(str, filter(None, [*words, registration.get("waiting")])))


def _pushes(number: Any) -> str:
    return "1 push" if number == 1 else f"{number} pushes"


def _desktop_of(desktop: dict[str, Any]) -> str:
    """Say in words what shows toasts."""
    if desktop.get("fault"):
        return f"none: {desktop['fault']}"
    buttons = "" if desktop.get("actions") else ", without buttons"
    named = " ".join(filter(None, (desktop.get("name"), desktop.get("version"))))
    return f"{named}{buttons}" if named else "not looked for before the first toast"
