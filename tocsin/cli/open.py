"""``tocsin open``: the page of what runs, in a browser."""

from __future__ import annotations

import argparse
import json
import webbrowser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from tocsin.cli.command_line import add_verb
from tocsin.cli.signals import until_signalled
from tocsin.cli.state_choice import add_looked_at_option, candidates, none_answers
from tocsin.cli.terminal import complain, show
from tocsin.protocol.errors import NotFound, NotSupported, PlatformUnavailable
from tocsin.protocol.sending.sign_in import split_service_url
from tocsin.protocol.text import harmless
from tocsin.tasks import task_group
from tocsin.transport.control_socket import Answer, ask

DESCRIPTION = """\
Open the page of what runs in a browser: what comes, what becomes of it and why, live, with channels and apps.

A push service has a page of its own, also that of 'tocsin listen'. An agent has no port for browsers, and neither has a program
whose push service runs elsewhere: its page is served by this command, on a port of this machine and until Ctrl-C. It is for this
user alone, and for the browser that opens its address first: that is good once, and for a minute. This needs the extra 'service'.
"""

EPILOG = """\
examples:
  tocsin open                             of 'tocsin agent', 'serve' or 'listen' on this machine
  tocsin open --print                     print the address instead, for a browser that you choose
  tocsin open --state ./push-state        of a program with tocsin.embedded(state="./push-state")
  tocsin open --url https://push.example  of a push service elsewhere, which asks for its page_token
"""

_SPEAKER = "tocsin open"
_PLATFORMS = frozenset({"agent", "program"})  # what says so of itself can be asked for what its page shows

Lead = Callable[[str], None]
"""Leads a browser, or who reads, to an address."""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    parser = add_verb(verbs, "open", "open the page of what runs in a browser", DESCRIPTION, EPILOG)
    add_looked_at_option(parser)
    parser.add_argument("--url", metavar="U", help="the service at this URL instead of what runs on --state")
    parser.add_argument("--print", action="store_true", help="print the address, and open no browser")
    parser.add_argument("--json", action="store_true", help="print it in one JSON object, and open no browser")


def run(arguments: argparse.Namespace) -> int:
    """Open the page, and serve it where it is not the service's own."""
    lead = partial(_lead, prints=arguments.print, as_json=arguments.json)
    if arguments.url:
        split_service_url(arguments.url, "a push service")
        lead(f"{arguments.url.rstrip('/')}/")
        return 0
    state, status = anyio.run(_find, candidates(arguments.state))
    kind = str(status.get("kind"))
    if "page" not in status:
        if kind not in _PLATFORMS:
            raise NotSupported(f"this {harmless(kind)} has no page")
        return _serve(state, kind, lead)
    if not status["page"]:
        raise NotFound(
            f"the push service at {status.get('url') or status.get('service')} shows no page: it is turned off (page), or it"
            " listens on no address of this machine's own and has no page_token"
        )
    lead(str(status["page"]))
    return 0


async def _find(folders: list[Path]) -> tuple[Path, Answer]:
    for folder in folders:
        status = await ask(folder, {"verb": "status"})
        if status is not None:
            return folder, status
    raise NotFound(f"{none_answers(folders)}; name the state folder with --state, or a service's --url")


def _serve(state: Path, kind: str, lead: Lead) -> int:
    try:
        import tocsin.cli.platform_page.serving_page  # noqa: F401, PLC0415  # so that what is missing is said here
    except ModuleNotFoundError as missing:
        raise NotSupported(
            f"the page of this {kind} needs the package {missing.name}: pip install 'tocsin[service]'"
        ) from missing
    anyio.run(_serve_page, state, kind, lead)
    return 0


async def _serve_page(state: Path, kind: str, lead: Lead) -> None:
    from tocsin.cli.platform_page.first_visitor import LASTS  # noqa: PLC0415  # as in _serve
    from tocsin.cli.platform_page.serving_page import serving_page  # noqa: PLC0415  # as above

    async with until_signalled(_SPEAKER), serving_page(state, kind) as page, task_group() as tasks:
        tasks.start_soon(_aside, lead, page.address)
        complain(_SPEAKER, f"the page of the {kind} is there until Ctrl-C; its address is good once, for {LASTS:.0f} s")
        with anyio.move_on_after(LASTS):
            await page.visitor.entered.wait()
        if not page.visitor.entered.is_set():
            raise PlatformUnavailable(f"the page was not opened within {LASTS:.0f} s; run 'tocsin open' again")
        await anyio.sleep_forever()


async def _aside(lead: Lead, address: str) -> None:
    """Lead to an address while others go on: a browser in the terminal returns at its own end only."""
    await anyio.to_thread.run_sync(lead, address, abandon_on_cancel=True)


def _lead(address: str, *, prints: bool, as_json: bool) -> None:
    """Lead a browser to an address; where none is to be opened, or there is none, print it."""
    if as_json:
        show(json.dumps({"event": "page", "url": address}))
        return
    if not prints:
        if _browse(address):
            return
        complain(_SPEAKER, "there is no browser here that can be opened; open this address in yours:")
    show(harmless(address))


def _browse(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
