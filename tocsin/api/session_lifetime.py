"""A session from its begin to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from tocsin.api.activated import LaunchedPayload
from tocsin.api.port import Port
from tocsin.api.session import Session
from tocsin.api.toast_activated import LaunchedClick
from tocsin.api.toast_notifier import ToastNotifier
from tocsin.protocol.toasts.notifier import notifying
from tocsin.tasks import apart, task_group


@apart
@asynccontextmanager
async def open_session(port: Port, claim: str | None = None, click: str | None = None) -> AsyncIterator[Session]:
    """Let an app use a port; on leaving, its handlers finish or are cancelled; one that goes on is told of in the log.

    :param claim: the secret of the payload that this process was launched for; None where it was not.
    :param click: that of the click on a toast that it was launched for; None where it was not.
    """
    session = Session(port)
    if claim is not None:
        session.launched = LaunchedPayload(session.questions, session.make_background, claim)
    if click is not None:
        session.toast_clicks.launched = LaunchedClick(session.questions, click)
    failed = True
    try:
        async with task_group() as watch:
            async with task_group() as tasks:
                with notifying(ToastNotifier(session)):  # also for the handlers, which run in tasks of its own
                    session.start(tasks)
                try:
                    yield session
                    failed = False
                finally:
                    with anyio.CancelScope(shield=True):  # bounded by CLOSE_GRACE
                        await session.close(failed=failed)
                    watch.start_soon(session.tell_who_stays)
                    tasks.cancel_scope.cancel()
            watch.cancel_scope.cancel()
    finally:
        session.end()
