"""A twin of WNS for development: ``tocsin serve --dev``, with credentials that are the same everywhere and at all times."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from attrs import frozen

from tocsin.private_file import read_private, write_private
from tocsin.protocol.errors import InvalidArgument, StateUnavailable
from tocsin.protocol.json_text import parse_json_text
from tocsin.protocol.network.addresses import is_loopback
from tocsin.service.devices.device_words import MIN_KEY
from tocsin.service.layer import DEVELOPMENT_FILE
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.apps import AppRegistration
from tocsin.testing.control_shapes import MOST_KEPT
from tocsin.testing.device import Device, KnownDevice
from tocsin.testing.http_control import ControlledFaults
from tocsin.testing.twin import Twin, open_twin

DEVELOPMENT: Final = AppRegistration(
    name="development",
    client_id="de7e10b0-0000-4000-8000-00000000c11e",
    client_secret="not-a-secret-of-tocsin-serve-dev",  # noqa: S106  # it is none: it is good for --dev only
    remote_id="de7e10b0-0000-4000-8000-000000000de7",
)
"""The app of the twin. What everyone knows must be good nowhere else, so no other service opens a state folder with it."""

_MOST: Final = 64 * 1024  # bytes of it


def check_development(settings: ServiceSettings) -> None:
    """Refuse to let others than this machine reach a service with credentials that everyone knows.

    :raises InvalidArgument: the settings would; the sentence says what to do.
    """
    if not is_loopback(settings.host):
        raise InvalidArgument(
            f"--dev is for this machine only, since everyone knows its credentials, and others can reach {settings.host}:"
            " give --host 127.0.0.1, ::1 or localhost"
        )
    if settings.tls_cert or settings.tls_key:
        raise InvalidArgument("--dev is for this machine only, and a certificate is for others: give --dev-tls instead")
    if settings.public_url:
        raise InvalidArgument("--dev is for this machine only, and public_url is for others: leave it out")


@frozen
class _Kept:
    """What a twin remembers of the last time."""

    device: KnownDevice | None = None
    uri: str = ""


@asynccontextmanager
async def open_development(state: Path, settings: ServiceSettings) -> AsyncIterator[Twin]:
    """Run the twin, with its control under ``/_tocsin/``, on a state folder that the caller holds.

    :raises InvalidArgument: others than this machine would reach it.
    :raises StateUnavailable: the folder is that of a service that is not for development, or cannot be used.
    """
    check_development(settings)
    kept = await anyio.to_thread.run_sync(_read, state)
    faults = ControlledFaults(MOST_KEPT)
    opening = open_twin(
        state,
        settings,
        faults=faults,
        app=DEVELOPMENT,
        known=kept.device,
        held=kept.uri,
        keep=partial(_keep, state),
        most=MOST_KEPT,
        returns=True,
    )
    async with opening as twin:
        faults.twin = twin
        try:
            yield twin
        finally:
            faults.stop()


def _read(state: Path) -> _Kept:
    """Read what was kept, and mark a folder that is new."""
    path = state / DEVELOPMENT_FILE
    try:
        content = read_private(path, _MOST + 1)
        if content is None:
            if (state / "service.db").exists():
                raise StateUnavailable(
                    f"the state folder {state} is that of a service which is not for development, where credentials"
                    " that everyone knows must not be good; give another --state"
                )
            write_private(path, b"{}\n")
            return _Kept()
    except OSError as failure:
        raise StateUnavailable(f"{path} cannot be used: {failure.strerror or failure}") from failure
    return _parsed(content)


def _parsed(content: bytes) -> _Kept:
    """Take what was kept apart; of what is no file of ours there is nothing."""
    try:
        found = parse_json_text(content, DEVELOPMENT_FILE, _MOST)
        uris = {str(name): str(uri) for name, uri in found["channels"].items()}
        key, uri = str(found["key"]), str(found["uri"])
    except (InvalidArgument, KeyError, TypeError, AttributeError):
        return _Kept()
    return _Kept(KnownDevice(key, uris), uri) if len(key) >= MIN_KEY else _Kept()


async def _keep(state: Path, device: Device, uri: str) -> None:
    kept = {"key": device.known.key, "channels": dict(device.known.uris), "uri": uri}
    content = json.dumps(kept, indent=2).encode() + b"\n"
    try:
        await anyio.to_thread.run_sync(write_private, state / DEVELOPMENT_FILE, content)
    except OSError as failure:
        raise StateUnavailable(
            f"{state / DEVELOPMENT_FILE} cannot be written: {failure.strerror or failure}"
        ) from failure
