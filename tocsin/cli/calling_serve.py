"""``tocsin calling serve``: the calling service by itself."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

import anyio
from attrs import evolve

from tocsin.calling_service.calling_control import CallingVerb, perform_calling
from tocsin.calling_service.calling_server import CallingService, open_calling_service
from tocsin.calling_service.calling_settings import READER, CallingSettings
from tocsin.calling_service.pusher_choice import check_pusher_choice, way_to_ring
from tocsin.cli.service_options import settings_of, trust
from tocsin.cli.signals import until_signalled
from tocsin.cli.state_choice import default_state
from tocsin.cli.terminal import complain, show
from tocsin.collector import collect_rarely
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.errors import PushError
from tocsin.protocol.text import harmless
from tocsin.service.operations.configuration import check_exposure
from tocsin.service.operations.logs import set_up_logs
from tocsin.service.web.descriptors import fit_to_descriptors
from tocsin.transport.control_socket import Answer, serving_control, text_of

SPEAKER = "tocsin calling serve"


def serve(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    strange = READER.check_environment(os.environ)
    if strange:
        complain(SPEAKER, f"{', '.join(strange)}: there are no such settings; this has no effect")
    settings = READER.load(settings_of(arguments), os.environ, arguments.config)
    check_pusher_choice(settings)
    doors = settings.of_doors()
    check_exposure(doors)
    set_up_logs(sys.stderr, arguments.log_level, as_json=arguments.log_json)
    collect_rarely()
    fitted = evolve(settings, max_connections=fit_to_descriptors(doors).max_connections)
    anyio.run(_serve, fitted, arguments.state, arguments.json)
    return 0


async def _serve(settings: CallingSettings, state: Path, as_json: bool) -> None:  # noqa: FBT001  # anyio passes no names
    with state_folder(state) as folder:
        async with until_signalled(SPEAKER) as hung_up, open_calling_service(folder, settings) as service:

            async def answer(request: Answer) -> Answer:
                verb = text_of(request, "verb")
                if verb == "status":
                    return service.report().fields(details=True) | {"kind": "calling service", "url": service.url}
                done = await perform_calling(service.users, service.calls, request)
                where = {"url": service.url, "ca": _authority(service)}
                return done | where if verb == CallingVerb.CALLER else done

            async with serving_control(folder, answer, "calling service"):
                _announce(service, settings, state, as_json=as_json)
                while True:
                    await hung_up()
                    _reload(service)


def _authority(service: CallingService) -> str | None:
    return None if service.authority is None else str(service.authority)


def _announce(service: CallingService, settings: CallingSettings, state: Path, *, as_json: bool) -> None:
    way, words = way_to_ring(settings)
    if as_json:
        fields = {"event": "listening", "url": service.url, "port": service.port, "rings_by": way}
        show(json.dumps(fields | {"ca": _authority(service)}))
        return
    show(harmless(f"listening on {service.url}, {words}"))
    if service.authority is not None:
        print(trust(service.authority), file=sys.stderr)
    option = "" if str(state) == default_state("calling-service") else f" --state {shlex.quote(str(state))}"
    print(
        harmless(f"Next: 'tocsin calling users add ann{option}' adds a user and prints a token for her app;")
        + "\n"
        + harmless(
            f"'tocsin calling ring ann{option}' rings her; 'tocsin calling calls{option}' says what became of it."
        ),
        file=sys.stderr,
    )


def _reload(service: CallingService) -> None:
    try:
        service.renew_certificate()
    except PushError as failure:
        complain(SPEAKER, f"{failure}; what was in use stays so")
