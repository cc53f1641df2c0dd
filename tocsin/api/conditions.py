"""The machine and the user, as far as they decide about push: sensors say how they stand, and apps what no sensor knows.

The platform owns what was said; what follows from it is ruled in ``tocsin.protocol.platform.conditions``.
"""

from __future__ import annotations

from tocsin.api.session import Session
from tocsin.protocol import messages as m
from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.text import quoted


class Conditions:
    """The state of the machine and the settings of the app, and the means to change them.

    Example::

        await manager.conditions.set_host(internet_available=False)
        print(manager.conditions.host)
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def host(self) -> HostState:
        """How the machine stands: as its sensors tell, else as an app has said; else all is well."""
        return self._session.host

    @property
    def settings(self) -> AppSettings:
        """What the user has decided for the app."""
        return self._session.settings

    async def set_host(self, **changes: bool) -> None:
        """Change fields of :class:`HostState`, such as ``energy_saver=True``; work is cancelled or begun accordingly.

        :raises InvalidArgument: there is no such field, or the value is neither True nor False.
        :raises IllegalCall: a sensor of this machine knows one of them; nothing has changed.
        """
        number = self._session.questions.number()
        await self._session.questions.ask(m.ChangeHost(number, _fields(changes)), number)

    async def set_app(self, **changes: bool) -> None:
        """Change fields of :class:`AppSettings`, such as ``background=False``.

        :raises InvalidArgument: there is no such field, or the value is neither True nor False.
        :raises IllegalCall: as many apps are exempt from energy saver as may be on one device; nothing has changed.
        """
        number = self._session.questions.number()
        await self._session.questions.ask(m.ChangeAppSettings(number, _fields(changes)), number)

    async def cancel_work(self, reason: CancellationReason) -> None:
        """Cancel the app's background work, as a system does that updates, removes or suspends it.

        :raises InvalidArgument: there is no such reason.
        """
        try:
            known = CancellationReason(reason)
        except Exception:  # noqa: BLE001  # an enumeration writes the value out, which may fail in any way
            raise InvalidArgument(f"a reason is a member of CancellationReason, not {quoted(reason)}") from None
        await self._session.port.send(m.CancelWork(known))


def _fields(changes: dict[str, bool]) -> tuple[m.FieldChange, ...]:
    for name, value in changes.items():
        check_kind(value, quoted(name), bool)
    return tuple(m.FieldChange(name, value) for name, value in changes.items())
