"""The notification hubs of a service, and the keys with which their clients sign."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from anyio import Lock
from attrs import evolve, field, frozen

from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotFound
from tocsin.protocol.hub.hub_name import check_hub_name
from tocsin.protocol.hub.rights import Right
from tocsin.protocol.text import quoted
from tocsin.service.registry.apps import SECRET_OVERLAP, Apps
from tocsin.service.registry.decided import decided
from tocsin.service.registry.hub_store import NO_HUBS, HubCounts, HubKeyRow, HubRow, HubStore, KeptHubs
from tocsin.service.registry.service_store import may_be_there
from tocsin.service.url_paths import RESERVED

T = TypeVar("T")

MAX_HUBS: Final = 1_000
"""Hubs of one service at most."""


@frozen
class HubKeys:
    """What the owner of a hub needs: the keys, which the command shows once, by what they are for."""

    name: str
    app: str | None
    keys: dict[Right, str] = field(repr=False)
    endpoint: str = ""


class Hubs:
    """All hubs, held in memory and kept in the store; made by :meth:`load`.

    Others may change them in the store: it is read anew before each change, and by :meth:`reload`.
    """

    def __init__(self, store: HubStore, apps: Apps, now: Callable[[], float]) -> None:
        self._store = store
        self._kept = NO_HUBS
        self._untold: set[str] = set()  # keys that may be kept, though their callers were told that they failed
        self._apps = apps
        self._now = now
        self._hubs: dict[str, HubRow] = {}  # by name in lower case
        self._by_id: dict[int, HubRow] = {}
        self._keys: dict[int, list[HubKeyRow]] = {}  # by hub, the oldest first
        self._last = 0
        self._changing = Lock()

    @classmethod
    async def load(cls, store: HubStore, apps: Apps, now: Callable[[], float]) -> Hubs:
        """Read what the store holds.

        :raises StateUnavailable: the store cannot be read.
        """
        hubs = cls(store, apps, now)
        await hubs._read()
        return hubs

    async def reload(self) -> None:
        """Read anew what the store holds.

        :raises StateUnavailable: the store cannot be read; what was known stays so, and this is to be tried again.
        """
        async with self._changing:
            await self._read()

    async def _read(self) -> None:
        hubs = await self._store.hubs()
        keys: dict[int, list[HubKeyRow]] = {hub.id: [] for hub in hubs}
        rows = await self._store.keys()
        self._kept = KeptHubs(frozenset(hubs), frozenset(rows))
        for each in rows:
            keys.get(each.hub, []).append(each)
        for known in (self._hubs, self._by_id, self._keys):
            known.clear()
        for hub in hubs:
            its = keys[hub.id]
            if its and all(row.key in self._untold for row in its):
                self._last = max(self._last, hub.id)  # its keys were told to none: it may be made again
            else:
                self._hold(hub, its)

    async def _change(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Change them, one change after the other, from what the store holds."""

        async def read_and_change() -> T:
            await self._read()
            return await attempt()

        async with self._changing:
            return await decided(read_and_change)

    def is_current(self) -> bool:
        """Tell whether what is known of hubs is as the store has it; one of several nodes may say no."""
        return self._apps.is_current()

    def named(self, name: str) -> HubRow | None:
        """Return the hub of that name, in whatever case; None where there is none."""
        return self._hubs.get(name.lower())

    def numbered(self, id: int) -> HubRow | None:  # noqa: A002 - the field's name
        """Return the hub with that id; None where it was removed."""
        return self._by_id.get(id)

    def hubs(self) -> list[HubRow]:
        """Return all hubs, by name."""
        return [hub for _, hub in sorted(self._hubs.items())]

    def keys_of(self, hub: HubRow) -> dict[Right, list[str]]:
        """Return the keys of a hub that are good now, the oldest first, by what they were given out for."""
        now = self._now()
        keys: dict[Right, list[str]] = {}
        for row in self._keys[hub.id]:
            if row.expires is None or row.expires > now:
                keys.setdefault(row.right, []).append(row.key)
        return keys

    def app_of(self, hub: HubRow) -> str | None:
        """Return the name of the app that a hub sends for; None: for every app, or for one that was removed."""
        return next((app.name for app in self._apps.apps() if app.client_id == hub.client_id), None)

    async def counts(self, hub: HubRow) -> HubCounts:
        """Count what is kept of a hub.

        :raises StateUnavailable: the store cannot be read.
        """
        return await self._store.counts(hub.id)

    def may_send(self, hub: HubRow, client_id: str) -> bool:
        """Tell whether a hub sends to the channels of an app."""
        return self._apps.known(client_id) and hub.client_id in {None, client_id}

    async def add(self, name: str, app: str = "", endpoint: str = "") -> HubKeys:
        """Make a hub.

        :param name: 1 to ``MAX_HUB_NAME`` letters, digits, dots, dashes and underscores, which begins and ends with one of the first.
        :param app: the app that it sends for; empty: every app of the service.
        :param endpoint: where clients reach the service, for the connection strings of later keys; empty: at its own URL.
        :raises InvalidArgument: the name cannot be a hub's, or is that of a path of the service.
        :raises IllegalCall: there is a hub of that name.
        :raises NotFound: no app has that name.
        :raises StateUnavailable: it could not be stored.
        """
        _check_name(name)
        if app:
            await self._apps.reload()  # another may have registered it just now
        return await self._change(lambda: self._add(name, app, endpoint))

    async def _add(self, name: str, app: str, endpoint: str) -> HubKeys:
        if self.named(name) is not None:
            raise IllegalCall(f"there is a hub {quoted(name)} already; 'rotate' gives it other keys")
        if len(self._hubs) >= MAX_HUBS:
            raise IllegalCall(f"a service has {MAX_HUBS} hubs at most; remove one first")
        # Its number is never that of an earlier hub: what is left of one, such as a signature, is not of another.
        number = max(self._last + 1, int(self._now() * 1_000))
        return await self._give_keys(HubRow(number, name, self._client_of(app), self._now(), endpoint), Right)

    async def rotate(self, name: str, rights: Iterable[Right] = Right) -> HubKeys:
        """Give a hub other keys for these rights; the ones that it has stay good for ``SECRET_OVERLAP`` seconds.

        :raises NotFound: no hub has that name.
        :raises StateUnavailable: it could not be stored.
        """
        chosen = list(rights)
        return await self._change(lambda: self._give_keys(self._known(name), chosen))

    async def remove(self, name: str) -> None:
        """Forget a hub with all that is kept for it; what it has still to send is not sent.

        :raises NotFound: no hub has that name.
        :raises StateUnavailable: it could not be stored.
        """
        await self._change(lambda: self._remove(self._known(name)))

    async def _remove(self, hub: HubRow) -> None:
        await self._store.remove_hub(hub.id, self._kept)
        del self._hubs[hub.name.lower()], self._by_id[hub.id], self._keys[hub.id]

    async def _give_keys(self, hub: HubRow, rights: Iterable[Right]) -> HubKeys:
        now = self._now()
        keys = {right: b64encode(secrets.token_bytes(32)).decode() for right in rights}
        rows = [
            evolve(row, expires=now + SECRET_OVERLAP) if row.expires is None and row.right in keys else row
            for row in self._keys.get(hub.id, ())
            if row.expires is None or row.expires > now
        ]
        # The one before the last of a right is enough: who rotates twice in a day has lost the first.
        older = {row.right: row for row in rows if row.expires is not None}
        rows = [*older.values(), *(row for row in rows if row.expires is None)]
        rows += [HubKeyRow(hub.id, right, key, now, expires=None) for right, key in keys.items()]
        try:
            await self._store.save_hub(hub, rows, self._kept)
        except BaseException as failure:
            if may_be_there(failure):
                self._untold.update(keys.values())
            raise
        self._hold(hub, rows)
        return HubKeys(hub.name, self.app_of(hub), keys, hub.endpoint)

    def _hold(self, hub: HubRow, keys: list[HubKeyRow]) -> None:
        self._hubs[hub.name.lower()] = self._by_id[hub.id] = hub
        self._keys[hub.id] = keys
        self._last = max(self._last, hub.id)

    def _known(self, name: str) -> HubRow:
        hub = self.named(name)
        if hub is None:
            raise NotFound(f"there is no hub {quoted(name)}; 'tocsin hub list' names those that there are")
        return hub

    def _client_of(self, app: str) -> str | None:
        if not app:
            return None
        for each in self._apps.apps():
            if each.name == app:
                return each.client_id
        raise NotFound(f"no app is registered as {quoted(app)}; 'tocsin app add' registers one")


def _check_name(name: str) -> None:
    check_hub_name(name)
    if name.lower() in RESERVED:
        raise InvalidArgument(f"{quoted(name)} is a path of the service itself; give the hub another name")
