"""The owner of the machine's state and of the user's settings: apps change fields of them, and nobody else keeps them.

The router, and the supervisor through it, are told of each change with the whole new state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio

from tocsin.actors.mailbox import Mailbox
from tocsin.actors.power_reports import PowerReports
from tocsin.protocol import messages as m
from tocsin.protocol.platform.host_record import HostRecord

Change = m.ChangeHost | m.ChangeAppSettings


class HostOwner:
    """Makes one change after the other, in the order in which they were asked for.

    :param route: returns the mailboxes to which a statement goes.
    """

    def __init__(self, route: Callable[[m.Message], Iterable[Mailbox]], power: PowerReports) -> None:
        self.record = HostRecord()
        self._route = route
        self._power = power
        self._turn = anyio.Lock(fast_acquire=True)

    async def change(self, change: Change) -> None:
        """Make a change, waiting for room in the router's mailbox; one that is cancelled meanwhile has changed nothing.

        :raises InvalidArgument: there is no such field, or the value is neither True nor False.
        :raises IllegalCall: as many apps are exempt from energy saver as may be on one device.
        """
        async with self._turn:
            record = _changed(self.record, change)
            statement = _statement(record, change)
            for mailbox in self._route(statement):
                await mailbox.send(statement)
            self.record = record
        self._power.note(record.power)

    def repeat(self) -> None:
        """Tell a router that began anew how all of it stands."""
        settings = [m.AppSettingsChanged(app, each) for app, each in self.record.settings.items()]
        for statement in (m.HostChanged(self.record.host), *settings):
            for mailbox in self._route(statement):
                mailbox.send_urgent(statement)


def _changed(record: HostRecord, change: Change) -> HostRecord:
    fields = dict(change.changes)
    if isinstance(change, m.ChangeHost):
        return record.change_host(fields)
    return record.change_settings(change.app, fields)


def _statement(record: HostRecord, change: Change) -> m.HostChanged | m.AppSettingsChanged:
    if isinstance(change, m.ChangeHost):
        return m.HostChanged(record.host)
    return m.AppSettingsChanged(change.app, record.settings_of(change.app))
