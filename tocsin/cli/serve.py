"""``tocsin serve``: the push service by itself, for senders and devices elsewhere."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from tocsin.cli.command_line import add_verb
from tocsin.cli.engine_choice import given_url
from tocsin.cli.service_options import add_service_options, settings_of, trust
from tocsin.cli.signals import until_signalled
from tocsin.cli.state_choice import add_state_option, default_state
from tocsin.cli.terminal import complain, show
from tocsin.collector import collect_rarely
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.errors import NotSupported, PushError
from tocsin.protocol.text import harmless
from tocsin.service.operations.configuration import (
    check_engine_choice,
    check_environment,
    check_exposure,
    check_link_choice,
    described,
    load_settings,
)
from tocsin.service.operations.logs import set_up_logs
from tocsin.transport.control_socket import Answer, Stream, serving_control

if TYPE_CHECKING:
    from tocsin.service.operations.settings import ServiceSettings
    from tocsin.service.server import PushService
    from tocsin.testing.twin import Twin

DESCRIPTION = """\
Run a WNS-compatible push service until SIGTERM or Ctrl-C, and print where it listens, and where its page is.

It listens on 127.0.0.1 unless told otherwise, and on an address that others reach only with TLS. At the end it
accepts no connections, answers what is under way, and exits with 0 within ten seconds; a second signal ends it at once.
SIGHUP reads the certificate anew. With --dev-tls it makes an authority and a certificate for this machine's own
addresses, keeps them in its state folder, and says how to let clients trust them.

With --engine its state is in a PostgreSQL database, and it may be one of several nodes of a service over that: they forward
notifications to one another by --link. See docs/operating.md.

With --browsers it is the push server of Firefox, and of KDE's distributor: see docs/browsers.md.

With --dev it is a twin of WNS for tests in any language, on this machine only: it has an app with credentials that are the same
everywhere and at every start, and a device with a channel; tests drive it over HTTP below /_tocsin/, which describes itself as
OpenAPI at /_tocsin/openapi.json. Its state folder is one of its own ('dev'), which no other service opens. See docs/testing.md.
"""

EPILOG = """\
examples:
  tocsin serve                                   for tests on this machine; 'tocsin app add NAME' lets an app in
  tocsin serve --dev-tls                         https for clients on this machine that want it
  tocsin serve --dev --port 8080                 a twin of WNS for tests of senders, with credentials that stay the same
  tocsin serve --port 443 --host :: --tls-cert fullchain.pem --tls-key privkey.pem --public-url https://push.example
  tocsin serve --config /etc/tocsin.toml --log-json
  tocsin serve --engine postgresql:///tocsin --public-url https://push.example   its state is in PostgreSQL
  TOCSIN_CHANNEL_RATE=10 tocsin serve            each setting may come from the environment

An option goes before the environment, the environment before the file. See docs/operating.md for all of them.
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    words = "run a push service for senders and devices elsewhere"
    parser = add_verb(verbs, "serve", words, DESCRIPTION, EPILOG)
    add_state_option(parser, "serve")
    words = "be a twin of WNS for tests on this machine: known credentials, a device, and control below /_tocsin/"
    parser.add_argument("--dev", action="store_true", help=words)
    config = os.environ.get("TOCSIN_CONFIG") or None
    add_service_options(parser, config, "TOCSIN_CONFIG", described(options=True))


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    try:
        import tocsin.service.server  # noqa: F401, PLC0415  # so that what is missing is said here
        from tocsin.service.web.descriptors import fit_to_descriptors  # noqa: PLC0415  # only who serves pays
    except ModuleNotFoundError as missing:
        raise NotSupported(f"serving needs the package {missing.name}: pip install 'tocsin[service]'") from missing
    strange = check_environment(os.environ)
    if strange:
        complain("tocsin serve", f"{', '.join(strange)}: there are no such settings; this has no effect")
    options = settings_of(arguments)
    settings = load_settings(options, os.environ, arguments.config)
    given_url(options.get("engine", ""), "--engine", "tocsin serve")
    check_exposure(settings)
    state = arguments.state
    if arguments.dev:
        from tocsin.testing.development import check_development  # noqa: PLC0415  # only who is a twin pays

        check_development(settings)
        if state == Path(default_state("serve")):
            state = Path(default_state("dev"))
    check_engine_choice(settings)
    check_link_choice(settings)
    set_up_logs(sys.stderr, arguments.log_level, as_json=arguments.log_json)
    collect_rarely()
    anyio.run(_serve, fit_to_descriptors(settings), state, arguments.json, arguments.dev)
    return 0


async def _serve(settings: ServiceSettings, state: Path, as_json: bool, dev: bool) -> None:  # noqa: FBT001  # anyio passes no names
    from tocsin.service.control import perform_on_service  # noqa: PLC0415
    from tocsin.service.registry.node_file import read_node  # noqa: PLC0415

    with state_folder(state) as folder:
        async with until_signalled("tocsin serve") as hung_up, _open(folder, settings, dev=dev) as (service, twin):

            async def answer(request: Answer) -> Answer | Stream:
                if request.get("verb") == "status":
                    node = read_node(folder)
                    where = {
                        "url": service.url,
                        "page": None if service.page is None else service.page.url,
                        "engine": None if node is None else node.engine,
                        "nodes": [] if service.node is None else service.node.rows(),
                    }
                    return service.report().fields(details=True) | {"kind": "service"} | where
                if request.get("verb") == "tail":
                    return Stream(service.followers.events(request))
                return await perform_on_service(service.registrations, service.hubs, service.url, request)

            async with serving_control(folder, answer, "service"):
                _announce(service, twin, as_json=as_json)
                while True:
                    await hung_up()
                    _reload(service)


@asynccontextmanager
async def _open(
    folder: Path, settings: ServiceSettings, *, dev: bool
) -> AsyncIterator[tuple[PushService, Twin | None]]:
    if dev:
        from tocsin.testing.development import open_development  # noqa: PLC0415

        async with open_development(folder, settings) as twin:
            yield twin.service, twin
    else:
        from tocsin.service.server import open_service  # noqa: PLC0415

        async with open_service(folder, settings) as service:
            yield service, None


def _announce(service: PushService, twin: Twin | None, *, as_json: bool) -> None:
    if service.port_changed_from is not None:
        complain(
            "tocsin serve", f"port {service.port_changed_from} is taken, so channels from before cannot be reached"
        )
    if as_json:
        fields = {
            "event": "listening",
            "url": service.url,
            "port": service.port,
            "device_url": service.device_url,
            "browser_url": service.browser_url,
            "token_url": service.token_url,
            "aad_token_url": service.aad_token_url,
            "page": None if service.page is None else service.page.url,
            "ca": None if service.authority is None else str(service.authority),
        }
        show(json.dumps(fields | ({} if twin is None else _credentials(twin))))
    else:
        show(harmless(f"listening on {service.url}, tokens at {service.token_url}"))
        if service.browser_url is not None:
            show(harmless(f"browsers connect to {service.browser_url}"))
        if service.page is not None:
            show(harmless(f"its page, for {service.page.seen_by}: {service.page.url}"))
        if twin is not None:
            show("\nA twin of WNS, for development only: its credentials are the same everywhere.\n")
            show("\n".join(f"{name.replace('_', ' '):<15}{value}" for name, value in _credentials(twin).items()))
        if service.authority is not None:
            print(trust(service.authority), file=sys.stderr)


def _credentials(twin: Twin) -> dict[str, str]:
    """Return what a test needs, and where it drives the twin."""
    return {
        "client_id": twin.app.client_id,
        "client_secret": twin.app.client_secret,
        "remote_id": twin.app.remote_id,
        "channel_uri": twin.channel_uri,
        "control": f"{twin.service.url}/_tocsin/",
    }


def _reload(service: PushService) -> None:
    try:
        service.renew_certificate()
    except PushError as failure:
        complain("tocsin serve", f"{failure}; what was in use stays so")
