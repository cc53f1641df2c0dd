"""By what devices are rung that have no agent connected: a notification hub, a push service, or nothing."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tocsin.calling_service.calling_settings import CallingSettings
from tocsin.calling_service.hub_pusher import open_hub_pusher
from tocsin.calling_service.pusher import Pusher
from tocsin.calling_service.wns_pusher import open_wns_pusher
from tocsin.protocol.errors import InvalidArgument
from tocsin.repeat_log import RepeatLog

_MAX_SECRET: Final = 16 * 1024  # bytes of a file with a secret


def check_pusher_choice(settings: CallingSettings) -> None:
    """Refuse settings that name no one way to ring, or half of one.

    :raises InvalidArgument: they do; the sentence says what to do.
    """
    if settings.hub and settings.client_id:
        raise InvalidArgument(
            "devices are rung through the hub that --hub names or by the sender that --client-id names: give one of the two"
        )
    for name, secret, variable in (
        ("hub", "hub_connection", "TOCSIN_CALLING_HUB_CONNECTION"),
        ("client_id", "client_secret", "TOCSIN_CALLING_CLIENT_SECRET"),
    ):
        option = f"--{name.replace('_', '-')}"
        given = [each for each in (getattr(settings, secret), getattr(settings, f"{secret}_file")) if each]
        by = f"{variable} in the environment, or --{secret.replace('_', '-')}-file"
        if not getattr(settings, name) and given:
            raise InvalidArgument(f"there is a secret for {option}, which is not given: give it, or leave out both")
        if getattr(settings, name) and len(given) != 1:
            raise InvalidArgument(f"{option} needs its secret {'one way only' if given else 'as well'}: give {by}")
    if bool(settings.client_id) != bool(settings.token_url):
        raise InvalidArgument(
            "--client-id and --token-url go together: the second says where the push service gives tokens, as 'tocsin"
            " serve' prints it"
        )


def way_to_ring(settings: CallingSettings) -> tuple[str, str]:
    """Say how calls ring: in a word for programs, and in words for people."""
    if settings.hub:
        return "hub", f"rings connected agents, and by pushes through the hub {settings.hub}"
    if settings.client_id:
        return "pushes", f"rings connected agents, and by pushes of {settings.client_id}"
    return "connections", "rings connected agents only: --hub or --client-id would ring the others, too"


@asynccontextmanager
async def open_chosen_pusher(settings: CallingSettings, recurring: RepeatLog) -> AsyncIterator[Pusher | None]:
    """Open the pusher that the settings choose; None where they choose none.

    :raises InvalidArgument: they cannot be right, or a secret cannot be read.
    :raises NotSupported: there is no HTTP client.
    """
    check_pusher_choice(settings)
    if settings.hub:
        connection = settings.hub_connection or _secret(settings.hub_connection_file, "the hub's connection string")
        async with open_hub_pusher(settings.hub, connection, recurring=recurring) as through_hub:
            yield through_hub
    elif settings.client_id:
        secret = settings.client_secret or _secret(settings.client_secret_file, "the client secret")
        token_url = settings.token_url
        async with open_wns_pusher(settings.client_id, secret, token_url=token_url, recurring=recurring) as by_sender:
            yield by_sender
    else:
        yield None


def _secret(path: str, what: str) -> str:
    """Read a secret from a file, blanks around it aside.

    :raises InvalidArgument: it cannot be read, or holds none.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # a pipe would be waited for
            raise InvalidArgument(f"{what} cannot be read from {path}: it is no regular file")
        with Path(path).open("rb") as file:
            text = file.read(_MAX_SECRET + 1).decode().strip()
    except OSError as failure:
        words = failure.strerror or failure
        raise InvalidArgument(f"{what} cannot be read from {path}: {words}") from None
    except UnicodeDecodeError:
        raise InvalidArgument(f"{what} cannot be read from {path}: it is no text in UTF-8") from None
    if not 0 < len(text) <= _MAX_SECRET:
        raise InvalidArgument(f"{what} cannot be read from {path}: it has 1 to {_MAX_SECRET} characters there")
    return text
