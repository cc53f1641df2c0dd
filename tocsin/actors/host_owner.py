"""The owner of the machine's state and of the user's settings: apps change fields of them, and no session keeps its own.

The router, the supervisor through it, and the sessions that it concerns are told of each change with the whole new state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio

from tocsin.actors.power_reports import PowerReports
from tocsin.actors.sessions import Sessions, Stamp
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.errors import PushError
from tocsin.protocol.platform.host_record import HostRecord

Change = m.ChangeHost | m.ChangeAppSettings


class HostOwner:
    """Makes one change after the other, in the order in which they were asked for.

    :param route: returns the mailboxes to which a statement goes.
    """

    def __init__(
        self, route: Callable[[m.Message], Iterable[Mailbox]], sessions: Sessions, power: PowerReports
    ) -> None:
        self.record = HostRecord()
        self._route = route
        self._sessions = sessions
        self._power = power
        self._turn = anyio.Lock(fast_acquire=True)

    async def change(self, stamp: Stamp, change: Change) -> None:
        """Make a change that a session asks for, waiting for room in the router's mailbox, and answer the session.

        One that is cancelled meanwhile has changed nothing. One that cannot be is answered with the reason.
        """
        async with self._turn:
            try:
                record = _changed(self.record, stamp.app, change)
            except PushError as refused:
                failed = m.Failed(change.request, type(refused).__name__, str(refused), refused.hresult)
                self._sessions.send(stamp.session, failed)
                return
            statement = _statement(record, stamp.app, change)
            for mailbox in self._route(statement):
                await mailbox.send(statement)
            self.record = record
        self._power.note(record.power)
        if isinstance(statement, m.HostChanged):
            self._sessions.send_to_all(statement)
        else:
            self._sessions.send_to_app(stamp.app, statement)
        self._sessions.send(stamp.session, m.Done(change.request))

    async def forget(self, app: str) -> None:
        """Forget what the user has decided for an app."""
        async with self._turn:
            record = self.record.forget(app)
            statement = m.AppSettingsChanged(app, record.settings_of(app))
            for mailbox in self._route(statement) if app in self.record.settings else ():
                await mailbox.send(statement)
            self.record = record
        self._power.note(record.power)

    def greet(self, stamp: Stamp) -> None:
        """Tell a session that was let in how the machine stands, and what the user has decided for its app."""
        self._sessions.send(stamp.session, m.HostChanged(self.record.host))
        self._sessions.send(stamp.session, m.AppSettingsChanged(stamp.app, self.record.settings_of(stamp.app)))

    def repeat(self) -> None:
        """Tell a router that began anew how all of it stands."""
        settings = [m.AppSettingsChanged(app, each) for app, each in self.record.settings.items()]
        for statement in (m.HostChanged(self.record.host), *settings):
            for mailbox in self._route(statement):
                mailbox.send_urgent(statement)


def _changed(record: HostRecord, app: str, change: Change) -> HostRecord:
    fields = dict(change.changes)
    if isinstance(change, m.ChangeHost):
        return record.change_host(fields)
    return record.change_settings(app, fields)


def _statement(record: HostRecord, app: str, change: Change) -> m.HostChanged | m.AppSettingsChanged:
    if isinstance(change, m.ChangeHost):
        return m.HostChanged(record.host)
    return m.AppSettingsChanged(app, record.settings_of(app))
