"""The removal of an app from an agent: its work, its sessions, and all that is kept of it."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from attrs import frozen

from tocsin.actors.host_owner import HostOwner
from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.store import Store
from tocsin.protocol import messages as m
from tocsin.protocol.errors import NotFound, PlatformUnavailable
from tocsin.protocol.platform.activation import GRACE, LAST_WORD, CancellationReason
from tocsin.protocol.text import quoted

PARTING = 2.0
"""Seconds that the sessions of an app have to go, and what is kept of it to be written, before the removal goes on."""

_KEEPERS = frozenset({"channel_requester", "activator_registry"})


@frozen
class Removed:
    """What an agent had of an app: how many channels, requests for one, activators and sessions."""

    channels: int
    requests: int
    activators: int
    sessions: int


class AppRemoval:
    """Removes one app after the other.

    :param mailbox_of: returns the mailbox of an actor.
    :param shell: that of the shell; None where there is none.
    """

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        host_owner: HostOwner,
        mailbox_of: Callable[[str], Mailbox],
        shell: Mailbox | None = None,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._host_owner = host_owner
        self._mailbox_of = mailbox_of
        self._shell = shell
        self._turn = anyio.Lock()

    async def remove(self, app: str) -> Removed:
        """Stop an app's work, part from its sessions, forget what is kept of it, and let its payloads die; tell how much it was.

        What runs is cancelled with ``UNINSTALL`` and has its grace. The app may register itself anew afterwards.

        :raises NotFound: nothing is kept of such an app, and no session of it is open.
        """
        async with self._turn:
            found = await self._found(app)
            if not (found.channels or found.requests or found.activators or found.sessions):
                raise NotFound(
                    f"this agent knows no app {quoted(app)}; 'tocsin channels' and 'tocsin activators' list them"
                )
            self._mailbox_of("activator_registry").send_urgent(m.ForgetApp(app))
            await self.stop_work(app, CancellationReason.UNINSTALL)
            await self._part(app)
            await self._host_owner.forget(app)
            for name in ("payload_router", "channel_requester"):  # the router first: it says why its payloads die
                self._mailbox_of(name).send_urgent(m.ForgetApp(app))
            if self._shell is not None:
                self._shell.send_urgent(m.ForgetApp(app))
            with anyio.move_on_after(PARTING):
                await self._sessions.work.is_forgotten(app, _KEEPERS)
            return found

    async def stop_work(self, app: str, reason: CancellationReason) -> None:
        """Cancel all work of an app, or of all apps where it is empty, let none begin, and wait for the end of the grace at most."""
        number = self._sessions.work.order()
        stop = m.StopWork(app, reason, number, every=True)
        self._mailbox_of("supervisor").send_urgent(stop)
        with anyio.move_on_after(GRACE + LAST_WORD + 0.5):
            await self._sessions.work.has_stopped(number, app)

    async def _part(self, app: str) -> None:
        """Tell the sessions of an app that it is not to come back, and wait until they have gone."""
        text = f"the app {quoted(app)} was removed from this agent, by 'tocsin agent forget': connect anew to register it again"
        word = m.SessionDismissed("PlatformUnavailable", text, PlatformUnavailable(text).hresult)
        self._sessions.dismiss(app, word)
        with anyio.move_on_after(PARTING):
            while app in self._sessions.apps():
                await self._sessions.work.changed()

    async def _found(self, app: str) -> Removed:
        return Removed(
            sum(each.app == app for each in await self._store.channels()),
            sum(each.app == app for each in await self._store.requests()),
            sum(each.app == app for each in await self._store.activators()),
            sum(self._sessions.app_of(name) == app for name in self._sessions.names()),
        )
