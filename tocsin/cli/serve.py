"""``tocsin serve``: the push service by itself, for senders and devices elsewhere."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from tocsin.cli.command_line import add_verb
from tocsin.cli.service_options import add_service_options, settings_of, trust
from tocsin.cli.signals import until_signalled
from tocsin.cli.state_choice import add_state_option
from tocsin.cli.terminal import complain, show
from tocsin.collector import collect_rarely
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.errors import NotSupported, PushError
from tocsin.protocol.text import harmless
from tocsin.service.operations.configuration import check_environment, check_exposure, described, load_settings
from tocsin.service.operations.logs import set_up_logs
from tocsin.transport.control_socket import Answer, Stream, serving_control

if TYPE_CHECKING:
    from tocsin.service.operations.settings import ServiceSettings
    from tocsin.service.server import PushService

DESCRIPTION = """\
Run a WNS-compatible push service until SIGTERM or Ctrl-C, and print where it listens.

It listens on 127.0.0.1 unless told otherwise, and on an address that others reach only with TLS. At the end it
accepts no connections, answers what is under way, and exits with 0 within ten seconds; a second signal ends it at once.
SIGHUP reads the certificate anew. With --dev-tls it makes an authority and a certificate for this machine's own
addresses, keeps them in its state folder, and says how to let clients trust them.
"""

EPILOG = """\
examples:
  tocsin serve                                   for tests on this machine; 'tocsin app add NAME' lets an app in
  tocsin serve --dev-tls                         https for clients on this machine that want it
  tocsin serve --port 443 --host :: --tls-cert fullchain.pem --tls-key privkey.pem --public-url https://push.example
  tocsin serve --config /etc/tocsin.toml --log-json
  TOCSIN_CHANNEL_RATE=10 tocsin serve            each setting may come from the environment

An option goes before the environment, the environment before the file. See docs/operating.md for all of them.
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    words = "run a push service for senders and devices elsewhere"
    parser = add_verb(verbs, "serve", words, DESCRIPTION, EPILOG)
    add_state_option(parser, "serve")
    config = os.environ.get("TOCSIN_CONFIG") or None
    add_service_options(parser, config, "TOCSIN_CONFIG", described())


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
    settings = load_settings(settings_of(arguments), os.environ, arguments.config)
    check_exposure(settings)
    set_up_logs(sys.stderr, arguments.log_level, as_json=arguments.log_json)
    collect_rarely()
    anyio.run(_serve, fit_to_descriptors(settings), arguments.state, arguments.json)
    return 0


async def _serve(settings: ServiceSettings, state: Path, as_json: bool) -> None:  # noqa: FBT001  # anyio passes no names
    from tocsin.service.control import perform_on_service  # noqa: PLC0415
    from tocsin.service.server import open_service  # noqa: PLC0415

    with state_folder(state) as folder:
        async with until_signalled("tocsin serve") as hung_up, open_service(folder, settings) as service:

            async def answer(request: Answer) -> Answer | Stream:
                if request.get("verb") == "status":
                    return service.report().fields(details=True) | {"kind": "service", "url": service.url}
                if request.get("verb") == "tail":
                    return Stream(service.followers.events(request))
                return await perform_on_service(service.registrations, service.hubs, service.url, request)

            async with serving_control(folder, answer, "service"):
                _announce(service, as_json=as_json)
                while True:
                    await hung_up()
                    _reload(service)


def _announce(service: PushService, *, as_json: bool) -> None:
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
            "token_url": service.token_url,
            "aad_token_url": service.aad_token_url,
            "ca": None if service.authority is None else str(service.authority),
        }
        show(json.dumps(fields))
    else:
        show(harmless(f"listening on {service.url}, tokens at {service.token_url}"))
        if service.authority is not None:
            print(trust(service.authority), file=sys.stderr)


def _reload(service: PushService) -> None:
    try:
        service.renew_certificate()
    except PushError as failure:
        complain("tocsin serve", f"{failure}; what was in use stays so")
