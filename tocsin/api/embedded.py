"""The platform in the app's own process and event loop, with its own push service or one that runs elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import NoneType

from tocsin.actors.lifecycle import open_platform
from tocsin.actors.local_port import local_port
from tocsin.actors.topology import Platform
from tocsin.api.identity import Identity, read_manifest
from tocsin.api.manager import PushNotificationManager
from tocsin.api.one_task import in_one_task
from tocsin.api.own_service import device_url_of, own_service
from tocsin.api.platform_control import asked_by_command
from tocsin.api.session import Session
from tocsin.api.session_lifetime import open_session
from tocsin.host.default_sensors import default_sensors
from tocsin.host.policy_files import default_policy
from tocsin.host.promises import HostParts, PolicySource, Sensor
from tocsin.persistence.paths import read_path
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.arguments import check_app_name, check_kind, check_within
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
from tocsin.protocol.errors import InvalidArgument, NotSupported
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.protocol.text import quoted
from tocsin.protocol.toasts.notifier import notifying
from tocsin.shell.choice import default_desktop
from tocsin.shell.desktop import Desktop
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
    desktop: Desktop | None = None,
    pictures: Sequence[Path | str] = (),
    sensors: Sequence[Sensor] | None = None,
    policy: PolicySource | None = None,
) -> AsyncIterator[PushNotificationManager]:
    """Run push inside this program: actors, inbox, and, unless ``service`` names one, a push service on loopback.

    A cancellation, of asyncio's or of anyio's, ends the block. All is then left in order, as at any other end of the
    block: handlers may finish (0.5 s), and what was taken in is acknowledged (within 5 s; mostly a few milliseconds).
    The task that has entered is the one to leave: where another does, such as that of a handler, IllegalCall is raised
    there, and all goes on.

    While the block runs the program is asked by ``tocsin status``, ``app`` and ``tail``, with its folder as ``--state``.

    Example::

        async with tocsin.embedded("contoso.mail", "./push-state") as manager:
            channel = await manager.open_channel()
            print("to push, run:", manager.send_line(channel))

    :param app: the name of the app, such as ``contoso.mail``; printable, 1 to 128 characters.
    :param state: the folder for what must outlive the process; made where it is missing, private to the user, and for
        one process at a time. ``~`` is the home folder.
    :param service: the URL of a push service (``http://`` or ``https://``, with a path if it has one); None runs one here, which needs
        ``pip install 'tocsin[service]'``.
    :param port: the port for the service that runs here; 0 takes the one that it had before, or any.
    :param retries: how long a channel request waits before each retry; by default as Windows does.
    :param dead_letters: how many payloads that ended unhandled are kept, and how long; by default 10,000, for 90 days.
    :param desktop: where toasts are shown: what keeps the promise ``tocsin.shell.Desktop``, such as a terminal's ``ConsoleDesktop``; by
        default the desktop of this system, which needs ``pip install 'tocsin[desktop]'`` and is looked for when there is a toast.
        Only there are links of toasts that are of the web or of mail opened by the desktop; else they are clicks as all others.
    :param pictures: folders whose pictures (PNG and JPEG) toasts may show; by default none, and nothing is ever fetched.
    :param sensors: what tells how the machine stands (battery, energy saver, presence, network), as ``manager.conditions.host`` shows it;
        by default the daemons of this system, which needs ``pip install 'tocsin[desktop]'``. With ``()`` only apps say it, and all is
        well until one does: for containers and tests.
    :param policy: what tells the group policy; by default the policy files of this machine.
    :param manifest: the ``tocsin.toml`` of a packaged app; None for an unpackaged one.
    :raises InvalidArgument: an argument cannot be right.
    :raises NotSupported: the service that was to run here is not installed, or what the push subscriptions of this
        device need is not, or the event loop is not asyncio's.
    :raises StateUnavailable: the state folder is in use, not private, locked, unwritable, corrupt, or of a newer version.
    :raises PlatformUnavailable: the port is in use.
    """
    check_app_name(app)
    check_within(port, "a port", 0, 65535)
    check_kind(retries, "retries", RetryPolicy, NoneType)
    check_kind(dead_letters, "dead_letters", DeadLetterPolicy, NoneType)
    if port and service is not None:
        raise InvalidArgument("a port is for the service that runs here, and service names another one")
    shown_on = default_desktop() if desktop is None else _checked(desktop)
    check_kind(pictures, "pictures", list, tuple)
    folders = [read_path(folder, "a folder of pictures") for folder in pictures]
    check_kind(sensors, "sensors", list, tuple, NoneType)
    host = HostParts(default_sensors() if sensors is None else _checked_sensors(sensors), _checked_policy(policy))
    path = read_path(state, "a state folder")
    identity = Identity() if manifest is None else read_manifest(read_path(manifest, "a manifest"))
    foreign = None if service is None else device_url_of(service)
    _check_event_loop()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(state_folder(path))
        if foreign is None:
            own = await stack.enter_async_context(own_service(folder, port))
            device_url, registration = own.device_url, await own.register(app, identity.family_name)
        else:
            own, device_url, registration = None, foreign, None
        asked = await stack.enter_async_context(asked_by_command(folder))
        dial: Dial = partial(dial_websocket, device_url)
        platform = await stack.enter_async_context(
            open_platform(
                folder,
                dial,
                retries=retries,
                dead_letters=dead_letters,
                desktop=shown_on,
                opens_links=desktop is None,
                pictures=folders,
                host=host,
            )
        )
        session = await stack.enter_async_context(local_session(platform, app))
        manager = PushNotificationManager(session, app, registration, identity)
        stack.enter_context(notifying(manager.toasts))
        stack.enter_context(asked.answered_by(platform, app, own or str(service)))
        yield manager


@asynccontextmanager
async def local_session(platform: Platform, app: str) -> AsyncIterator[Session]:
    """Let an app of this process into a platform."""
    with local_port(platform, app) as port:
        async with open_session(port) as session:
            yield session


def _checked(desktop: Desktop) -> Desktop:
    if isinstance(desktop, type) or not isinstance(desktop, Desktop):
        raise InvalidArgument(f"a desktop keeps the promise tocsin.shell.Desktop, which {quoted(desktop)} does not")
    return desktop


def _checked_sensors(sensors: Sequence[Sensor]) -> tuple[Sensor, ...]:
    for each in sensors:
        if isinstance(each, type) or not isinstance(each, Sensor):
            raise InvalidArgument(f"a sensor keeps the promise tocsin.host.Sensor, which {quoted(each)} does not")
    if len({each.name for each in sensors}) < len(sensors):
        raise InvalidArgument("sensors are told apart by their names, and two of these have the same")
    return tuple(sensors)


def _checked_policy(policy: PolicySource | None) -> PolicySource:
    if policy is None:
        return default_policy()
    if isinstance(policy, type) or not isinstance(policy, PolicySource):
        raise InvalidArgument(f"a policy keeps the promise tocsin.host.PolicySource, which {quoted(policy)} does not")
    return policy


def _check_event_loop() -> None:
    """Say what is wrong before the store or the web server fails in words of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise NotSupported("the platform runs on asyncio (or uvloop); its store cannot run on trio") from None
