"""The machine and the user, as far as they decide about push: an app or a test says how they stand.

What follows from it is ruled in ``tocsin.protocol.platform.conditions``.
"""

from __future__ import annotations

from attrs import evolve

from tocsin.api.session import Session
from tocsin.protocol import messages as m
from tocsin.protocol.errors import IllegalCall, InvalidArgument
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.text import quoted


class Conditions:
    """The state of the machine and the settings of the app, and the means to change them."""

    def __init__(self, session: Session, app: str) -> None:
        self._session = session
        self._app = app
        self.host = HostState()
        """How the machine stands; all is well until somebody says otherwise."""
        self.settings = AppSettings()
        """What the user has decided for the app."""

    async def set_host(self, **changes: bool) -> None:
        """Change fields of :class:`HostState`, such as ``energy_saver=True``; work is cancelled or begun accordingly.

        :raises InvalidArgument: there is no such field, or the value is neither True nor False.
        """
        try:
            self.host = evolve(self.host, **changes)
        except TypeError as wrong:
            raise InvalidArgument(f"no such field of the machine's state: {wrong}") from None
        await self._say(m.HostChanged(self.host))

    async def set_app(self, **changes: bool) -> None:
        """Change fields of :class:`AppSettings`, such as ``background=False``.

        :raises InvalidArgument: there is no such field, or the value is neither True nor False.
        :raises IllegalCall: as many apps are exempt from energy saver as may be on one device; nothing has changed.
        """
        before = self.settings
        try:
            self.settings = evolve(before, **changes)
        except TypeError as wrong:
            raise InvalidArgument(f"no such setting of an app: {wrong}") from None
        try:
            await self._say(m.AppSettingsChanged(self._app, self.settings))
        except IllegalCall:
            self.settings = before
            raise

    async def cancel_work(self, reason: CancellationReason) -> None:
        """Cancel the app's background work, as a system does that updates, removes or suspends it.

        :raises InvalidArgument: there is no such reason.
        """
        try:
            known = CancellationReason(reason)
        except Exception:  # noqa: BLE001  # an enumeration writes the value out, which may fail in any way
            raise InvalidArgument(f"a reason is a member of CancellationReason, not {quoted(reason)}") from None
        await self._session.port.send(m.CancelWork(self._app, known))

    async def _say(self, statement: m.Message) -> None:
        said = self._session.statements
        kind, before = type(statement), said.get(type(statement))
        said[kind] = statement
        try:
            await self._session.port.send(statement)
        except IllegalCall:  # it was not taken: it is not to be said again either
            del said[kind]
            if before is not None:
                said[kind] = before
            raise
