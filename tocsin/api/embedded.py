"""The platform in the app's own process and event loop, with its own push service or somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import NoneType

import anyio

from tocsin.actors.lifecycle import open_platform
from tocsin.actors.mailbox import Mailbox
from tocsin.actors.topology import Platform
from tocsin.api.identity import Identity, read_manifest
from tocsin.api.manager import PushNotificationManager, Registration
from tocsin.api.one_task import in_one_task
from tocsin.api.session import Session
from tocsin.persistence.paths import read_path
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.arguments import check_app_name, check_kind, check_within
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
from tocsin.protocol.errors import InvalidArgument, NotSupported
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.protocol.sending.sign_in import split_service_url
from tocsin.tasks import apart, task_group
from tocsin.transport.websocket_wire import dial_websocket
from tocsin.transport.wire import Dial


@in_one_task
@asynccontextmanager
async def embedded(  # noqa: PLR0913  # the one entrance: what is optional has a name
    app: str,
    state: Path | str,
    service: str | None = None,
    *,
    port: int = 0,
    manifest: Path | str | None = None,
    retries: RetryPolicy | None = None,
    dead_letters: DeadLetterPolicy | None = None,
) -> AsyncIterator[PushNotificationManager]:
    """Run push inside this program: actors, inbox, and, unless ``service`` names one, a push service on loopback.

    A cancellation, of asyncio's or of anyio's, ends the block. All is then left in order, as at any other end of the
    block: handlers may finish (0.5 s), and what was taken in is acknowledged (within 5 s; mostly a few milliseconds).
    The task that has entered is the one to leave: where another does, such as that of a handler, IllegalCall is raised
    there, and all goes on.

    :param app: the name of the app, such as ``contoso.mail``; printable, 1 to 128 characters.
    :param state: the folder for what must outlive the process; made where it is missing, private to the user, and for
        one process at a time. ``~`` is the home folder.
    :param service: the URL of a push service (``http://`` or ``https://``, with a path if it has one); None runs one here, which needs
        ``pip install 'tocsin[service]'``.
    :param port: the port for the service that runs here; 0 takes the one that it had before, or any.
    :param retries: how long a channel request waits before each retry; by default as Windows does.
    :param dead_letters: how many payloads that ended unhandled are kept, and how long; by default 10,000, for 90 days.
    :param manifest: the ``tocsin.toml`` of a packaged app; None for an unpackaged one.
    :raises InvalidArgument: an argument cannot be right.
    :raises NotSupported: the service that was to run here is not installed, or the event loop is not asyncio's.
    :raises StateUnavailable: the state folder is in use, not private, locked, unwritable, corrupt, or of a newer version.
    :raises PlatformUnavailable: the port is in use.
    """
    check_app_name(app)
    check_within(port, "a port", 0, 65535)
    check_kind(retries, "retries", RetryPolicy, NoneType)
    check_kind(dead_letters, "dead_letters", DeadLetterPolicy, NoneType)
    if port and service is not None:
        raise InvalidArgument("a port is for the service that runs here, and service names another one")
    path = read_path(state, "a state folder")
    identity = Identity() if manifest is None else read_manifest(read_path(manifest, "a manifest"))
    foreign = None if service is None else _device_url(service)
    _check_event_loop()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(state_folder(path))
        if foreign is None:
            device_url, registration = await stack.enter_async_context(_own_service(app, folder, port))
        else:
            device_url, registration = foreign, None
        dial: Dial = partial(dial_websocket, device_url)
        platform = await stack.enter_async_context(
            open_platform(folder, dial, retries=retries, dead_letters=dead_letters)
        )
        session = await stack.enter_async_context(open_session(platform, f"{app}/1"))
        yield PushNotificationManager(session, app, registration, identity)


@apart
@asynccontextmanager
async def open_session(platform: Platform, name: str) -> AsyncIterator[Session]:
    """Let an app into a platform; on leaving, its handlers finish or are cancelled; one that goes on is told of in the log."""
    mailbox = Mailbox(name)
    session = Session(platform, mailbox)
    try:
        async with task_group() as watch:
            async with task_group() as tasks:
                platform.sessions.add(mailbox)
                session.start(tasks)
                try:
                    yield session
                finally:
                    with anyio.CancelScope(shield=True):  # bounded by CLOSE_GRACE
                        await session.close()
                    platform.sessions.remove(name)
                    mailbox.abandon()
                    watch.start_soon(session.tell_who_stays)
                    tasks.cancel_scope.cancel()
            watch.cancel_scope.cancel()
    finally:
        session.outcomes.report()  # those of handlers that were cancelled in the end


@asynccontextmanager
async def _own_service(app: str, folder: Path, port: int) -> AsyncIterator[tuple[str, Registration]]:
    """Run a push service in this process and register the app with it."""
    try:
        # Only who asks for a service of its own pays for the web server.
        from tocsin.service.operations.settings import ServiceSettings  # noqa: PLC0415
        from tocsin.service.server import open_service  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise NotSupported(
            f"a push service of your own needs the package {missing.name}: pip install 'tocsin[service]'"
        ) from missing
    async with open_service(folder, ServiceSettings.private(port=port)) as service:
        granted = await service.register(app)
        yield (
            service.device_url,
            Registration(
                remote_id=granted.remote_id,
                client_id=granted.client_id,
                client_secret=granted.client_secret,
                token_url=service.token_url,
                aad_token_url=service.aad_token_url,
                port_changed_from=service.port_changed_from,
            ),
        )


def _check_event_loop() -> None:
    """Say what is wrong before the store or the web server fails in words of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise NotSupported("the platform runs on asyncio (or uvloop); its store cannot run on trio") from None


def _device_url(service: str) -> str:
    """Turn the URL of a service into that of its device endpoint."""
    parts = split_service_url(service, "a push service")
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/device"
