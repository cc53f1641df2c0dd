"""The life of a platform: opened on a state folder, connected to its service, and stopped in order."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from tocsin.actors.actor_runner import Kernel
from tocsin.actors.connection_mailbox import ConnectionMailbox
from tocsin.actors.push_messages import SEED_KEY, refusal_words
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.actors.shell import ShellParts
from tocsin.actors.topology import Platform
from tocsin.host.promises import HostParts
from tocsin.persistence.sqlite_shell_store import open_sqlite_shell
from tocsin.persistence.sqlite_store import open_sqlite
from tocsin.persistence.store import Store
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
from tocsin.protocol.errors import NotSupported
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.shell.desktop import Desktop
from tocsin.shell.pictures import PicturePolicy
from tocsin.steady import boot
from tocsin.tasks import apart, task_group
from tocsin.transport.frame_traffic import ArrivalHandlers
from tocsin.transport.service_connection import ServiceConnection
from tocsin.transport.wire import Dial

REUNION = 1.5
"""Seconds after the start in which what is to be shown waits for a session of its app, which may want to keep it from the shell.

It waits for longer where the process of such a session is known, and still to come back."""

STOP_TIMEOUT = 5.0
"""Seconds that an orderly stop may take; what is not done by then is found in the inbox on the next start."""


@apart
@asynccontextmanager
async def open_platform(  # noqa: PLR0913  # what is optional has a name
    state: Path,
    dial: Dial,
    *,
    kernel: Kernel | None = None,
    retries: RetryPolicy | None = None,
    dead_letters: DeadLetterPolicy | None = None,
    launches: bool = False,
    desktop: Desktop | None = None,
    opens_links: bool = False,
    pictures: Sequence[Path] = (),
    host: HostParts | None = None,
    returning: ReturningProcesses | None = None,
) -> AsyncIterator[Platform]:
    """Run the platform on a state folder that the caller holds; on leaving, it is stopped in order.

    :param launches: whether the caller reads the launcher's mailbox, so that apps that are not running can be started.
    :param desktop: where toasts are shown; None: only handlers of apps get toasts, tiles and badges.
    :param opens_links: whether the desktop opens the links of toasts that are of the web or of mail; else they activate their app.
    :param pictures: folders whose pictures toasts may show.
    :param host: what tells of the machine, and of its policy; None: only apps do.
    :param returning: knows the processes that had sessions before, and are to come back; None where there are none.

    :raises NotSupported: the device has push subscriptions, and what they need is not installed.
    :raises StateUnavailable: the database in the folder cannot be used.
    """
    async with (
        open_sqlite(state / "platform.db") as store,
        _shell_parts(state, desktop, PicturePolicy(pictures), opens_links=opens_links) as shell,
    ):
        await _check_installed(store)
        policy = retries or RetryPolicy()
        platform = Platform(
            store,
            kernel or Kernel(),
            policy,
            dead_letters,
            launches=launches,
            shell=shell,
            host=host,
            returning=returning,
        )
        store.watch(platform.note_fault)
        await platform.host_owner.recall()
        await platform.usage.recall()
        handlers = ArrivalHandlers(platform.deliver, platform.report, platform.deliver_now)
        mailbox = ConnectionMailbox(platform.connection, platform.kernel.line, platform.usage.sent)
        connection = ServiceConnection(
            dial, await _device_key(store), mailbox, handlers, platform.kernel.clock.fraction
        )
        mailbox.send_now = connection.send_now
        platform.host_reports.on_cloud = connection.allow
        async with task_group() as tasks:
            if platform.desktop_calls is not None:
                tasks.start_soon(platform.desktop_calls.run, name="calls of the desktop")
                tasks.start_soon(_open_shell, platform, returning, name="reunion")
            if platform.link_opener is not None:
                tasks.start_soon(platform.link_opener.run, name="links")
            await platform.start(tasks)
            try:
                async with task_group() as wire:
                    wire.start_soon(connection.run, name="connection")
                    await checkpoint()  # it has begun now; a task that was cancelled before would never tell of its end
                    try:
                        yield platform
                    finally:
                        await stop_in_order(platform, connection)
                        wire.cancel_scope.cancel()
            finally:
                tasks.cancel_scope.cancel()
                platform.abandon()


async def _check_installed(store: Store) -> None:
    """Refuse to begin without what messages of Web Push are opened by: they would be acknowledged, and lost to their apps."""
    words = "" if await store.value(SEED_KEY) is None else refusal_words()
    if words:
        raise NotSupported(f"this device has push subscriptions: {words}")


@asynccontextmanager
async def _shell_parts(
    state: Path, desktop: Desktop | None, picture: PicturePolicy, *, opens_links: bool
) -> AsyncIterator[ShellParts | None]:
    if desktop is None:
        yield None
    else:
        async with open_sqlite_shell(state) as store:
            yield ShellParts(store, desktop, boot(), picture, opens_links)


async def _open_shell(platform: Platform, returning: ReturningProcesses | None) -> None:
    await anyio.sleep(REUNION)
    if returning is not None:
        await returning.over.wait()
    platform.open_shell()


async def stop_in_order(platform: Platform, connection: ServiceConnection) -> None:
    """Take nothing more in, and acknowledge what was taken in, within ``STOP_TIMEOUT``: else its sender would hear that it was lost."""
    connection.finish()
    with anyio.move_on_after(STOP_TIMEOUT, shield=True):
        await platform.stop()
        await connection.ended.wait()


async def _device_key(store: Store) -> str:
    """Return the secret by which the service knows this device again."""
    key = await store.value("device_key")
    if key is None:
        key = secrets.token_urlsafe(32)
        await store.keep_value("device_key", key)
    return key
