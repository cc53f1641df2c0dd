"""The apps that the service knows: who may ask for tokens, and for channels."""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from enum import Enum, auto, unique
from math import inf, nextafter
from typing import TypeVar
from uuid import UUID, uuid4

from anyio import Lock
from attrs import evolve, field, frozen

from tocsin.protocol.arguments import check_app_name
from tocsin.protocol.errors import IllegalCall, NotFound
from tocsin.protocol.text import quoted
from tocsin.protocol.webpush.sender import is_web_push
from tocsin.service.operations.logs import with_fields
from tocsin.service.registry.decided import decided
from tocsin.service.registry.service_store import (
    NO_APPS,
    AppRow,
    KeptApps,
    SecretRow,
    ServiceStore,
    hash_of,
    may_be_there,
)

T = TypeVar("T")

SECRET_OVERLAP = 24 * 3600
"""Seconds that a client secret stays valid after a newer one was given out."""

MAX_SECRETS = 8
"""Client secrets of one app that are valid at a time; the oldest give way."""


logger = logging.getLogger(__name__)


@frozen
class AppRegistration:
    """What the owner of an app needs: the secret is shown here once, the service keeps its SHA-256 only."""

    name: str
    client_id: str
    client_secret: str = field(repr=False)
    remote_id: str
    family: str = ""


@unique
class SecretVerdict(Enum):
    """What a client id and secret are worth."""

    VALID = auto()
    UNKNOWN_APP = auto()
    INVALID_SECRET = auto()


def parse_guid(text: str) -> str | None:
    """Bring a GUID into its one spelling; None for the null GUID and for what is none."""
    try:
        guid = UUID(text)
    except ValueError:
        return None
    return str(guid) if guid.int else None


class Apps:
    """All registered apps, held in memory and kept in the store; made by :meth:`load`.

    Others may change them in the store: it is read anew before each change, and by :meth:`reload`.
    """

    def __init__(self, store: ServiceStore, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._kept = NO_APPS
        self._untold: set[bytes] = (
            set()
        )  # hashes of secrets that may be kept, though their callers were told that they failed
        self._apps: dict[str, AppRow] = {}  # by client id
        self._by_remote_id: dict[str, AppRow] = {}
        self._by_family: dict[str, dict[str, AppRow]] = {}  # then by name
        self._secrets: dict[str, list[SecretRow]] = {}  # by client id, the oldest first
        self.on_removed: Callable[[AbstractSet[str]], None] = lambda _: None
        """Called when an app was removed, with the devices whose channels ended by that."""
        self.is_current: Callable[[], bool] = lambda: True
        """Tells whether what is known is as the store has it; else no sender is judged by it. One of several nodes may say no."""
        self._changing = Lock()

    @classmethod
    async def load(cls, store: ServiceStore, now: Callable[[], float]) -> Apps:
        """Read what the store holds.

        :raises StateUnavailable: the store cannot be read.
        """
        registrations = cls(store, now)
        await registrations._read()
        return registrations

    async def reload(self) -> None:
        """Read anew what the store holds, and have the devices told whose apps were removed.

        :raises StateUnavailable: the store cannot be read; what was known stays so, and this is to be tried again.
        """
        async with self._changing:
            await self._read()

    async def _read(self) -> None:
        apps = {app.client_id: app for app in await self._store.apps()}
        secrets: dict[str, list[SecretRow]] = {client_id: [] for client_id in apps}
        rows = await self._store.secrets()
        self._kept = KeptApps(frozenset(apps.values()), frozenset(rows))
        for row in rows:
            secrets.get(row.client_id, []).append(row)
        for client_id, its in secrets.items():
            if its and all(row.hash in self._untold for row in its):
                del apps[client_id]  # its ids were told to none: it may be registered again
        gone = [app for client_id, app in self._apps.items() if client_id not in apps]
        devices = [await self._store.devices_of(app.client_id, self._now()) for app in gone]
        for app in list(self._apps.values()):
            self._let_go(app)
        for app in apps.values():
            self._hold(app, secrets[app.client_id])
        for app, those in zip(gone, devices, strict=True):
            _log("removed", app, "the app %s was removed, with its tokens and channels (client id %s)")
            self.on_removed(those)

    async def _change(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Change them, one change after the other, from what the store holds."""

        async def read_and_change() -> T:
            await self._read()
            return await attempt()

        async with self._changing:
            return await decided(read_and_change)

    async def register(self, name: str) -> AppRegistration:
        """Register an app, or give a registered one another secret; its ids stay the same.

        :raises InvalidArgument: the name is empty, too long or not printable.
        :raises StateUnavailable: it could not be stored.
        """
        check_app_name(name)
        return await self._change(lambda: self._give_secret(self._named(name) or _new_app(name, family="")))

    async def adopt(self, app: AppRegistration) -> None:
        """Register an app with the ids and the secret that it has, and no other secret: those that its caller knows stay good.

        :raises StateUnavailable: it could not be stored.
        """
        row = AppRow(app.client_id, app.name, app.remote_id, app.family)
        rows = [SecretRow(hash_of(app.client_secret), app.client_id, self._now(), expires=None)]
        await self._change(lambda: self._save(row, rows))

    def recall(self, name: str, secret: str) -> AppRegistration | None:
        """Return the registration of an app whose newest secret the caller has kept; None where there is no such app, or it has another."""
        app = self._named(name)
        if app is None:
            return None
        newest, given = self._secrets[app.client_id][-1:], hash_of(secret)
        if not newest or newest[0].expires is not None or not hmac.compare_digest(newest[0].hash, given):
            return None
        return AppRegistration(app.name, app.client_id, secret, app.remote_id, app.family)

    async def add(self, name: str, family: str = "") -> AppRegistration:
        """Register an app that is not registered yet.

        :param family: its package family name, if it has one.
        :raises InvalidArgument: a name is empty, too long or not printable.
        :raises IllegalCall: there is an app of that name, or of that family.
        :raises StateUnavailable: it could not be stored.
        """
        check_app_name(name)
        if family:
            check_app_name(family, "a package family name")
        return await self._change(lambda: self._add(name, family))

    async def _add(self, name: str, family: str) -> AppRegistration:
        if self._named(name) is not None:
            raise IllegalCall(f"an app is registered as {quoted(name)} already; 'rotate' gives it another secret")
        other = next(iter(self._by_family.get(family, ())), None)
        if other is not None:
            raise IllegalCall(f"the package family {quoted(family)} is that of the app {quoted(other)}")
        return await self._give_secret(_new_app(name, family))

    async def set_family(self, name: str, family: str) -> None:
        """Give a registered app the package family of its manifest.

        Unlike in :meth:`add` it may be that of another app too: those of one package have one manifest, and a service
        of their own, which has registered them by the names that they ask under.

        :raises NotFound: no app has that name.
        :raises InvalidArgument: the family's name is empty, too long or not printable.
        :raises StateUnavailable: it could not be stored.
        """
        check_app_name(family, "a package family name")
        await self._change(lambda: self._set_family(self._known(name), family))

    async def _set_family(self, app: AppRow, family: str) -> None:
        if app.family != family:
            await self._save(evolve(app, family=family), self._secrets[app.client_id])

    async def rotate(self, name: str) -> AppRegistration:
        """Give an app another secret; the one that it has stays valid for ``SECRET_OVERLAP`` seconds.

        :raises NotFound: no app has that name.
        :raises StateUnavailable: it could not be stored.
        """
        return await self._change(lambda: self._give_secret(self._known(name)))

    def apps(self) -> list[AppRow]:
        """Return all registered apps, by name."""
        return sorted(self._apps.values(), key=lambda app: app.name)

    def living_secrets(self, client_id: str) -> int:
        """Return how many secrets of an app are valid now."""
        now = self._now()
        return sum(row.expires is None or row.expires > now for row in self._secrets.get(client_id, ()))

    async def remove(self, name: str) -> None:
        """Forget an app: its secrets, tokens and channels are good for nothing from now on, and its devices are told.

        :raises NotFound: no app has that name.
        :raises StateUnavailable: it could not be stored.
        """
        await self._change(lambda: self._remove(self._known(name)))

    async def _remove(self, app: AppRow) -> None:
        devices = await self._store.devices_of(app.client_id, self._now())
        await self._store.remove_app(app.client_id, self._kept)
        self._let_go(app)
        _log("removed", app, "the app %s was removed, with its tokens and channels (client id %s)")
        self.on_removed(devices)

    def name_of(self, client_id: str) -> str | None:
        """Return the name of an app; None where it is not registered."""
        app = self._apps.get(client_id)
        return None if app is None else app.name

    def known(self, client_id: str) -> bool:
        """Tell whether that app is registered, or that stands for senders of Web Push, which need not be."""
        return client_id in self._apps or is_web_push(client_id)

    def client_of(self, remote_id: str) -> str | None:
        """Return the client id of the app with that remote id, which is spelled as by :func:`parse_guid`."""
        app = self._by_remote_id.get(remote_id)
        return None if app is None else app.client_id

    def client_of_family(self, family: str, name: str) -> str | None:
        """Return the client id of the app of a package family; of several, that of the one with this name."""
        apps = self._by_family.get(family, {})
        app = apps.get(name) or (next(iter(apps.values())) if len(apps) == 1 else None)
        return None if app is None else app.client_id

    def verify(self, client_id: str, secret: str) -> SecretVerdict:
        """Judge a client id and secret; the time it takes does not depend on how much of the secret is right."""
        if client_id not in self._apps:
            return SecretVerdict.UNKNOWN_APP
        now = self._now()
        given = hash_of(secret)
        valid = False
        for row in self._secrets[client_id]:
            alive = row.expires is None or row.expires > now
            valid |= hmac.compare_digest(row.hash, given) and alive
        return SecretVerdict.VALID if valid else SecretVerdict.INVALID_SECRET

    async def _give_secret(self, app: AppRow) -> AppRegistration:
        secret = secrets.token_hex(32)  # letters and digits: no command line takes one that begins with a dash
        now = self._now()
        before = self._overlapping(app.client_id, now)
        # The last is that of the latest moment, also where it comes from a node whose clock is behind.
        created = max([now, *(nextafter(row.created, inf) for row in before)])
        rows = [*before, SecretRow(hash_of(secret), app.client_id, created, expires=None)][-MAX_SECRETS:]
        is_new = not self.known(app.client_id)
        await self._save(app, rows)
        if is_new:
            _log("added", app, "the app %s was added (client id %s)")
        else:
            _log("rotated", app, "the app %s was given another secret (client id %s)")
        return AppRegistration(app.name, app.client_id, secret, app.remote_id, app.family)

    async def _save(self, app: AppRow, rows: list[SecretRow]) -> None:
        given = {row.hash for row in rows} - {row.hash for row in self._kept.secrets}
        try:
            await self._store.save_app(app, rows, self._kept)
        except BaseException as failure:
            if may_be_there(failure):
                self._untold |= given
            raise
        self._untold -= {row.hash for row in rows}
        before = self._apps.get(app.client_id)
        if before is not None:
            self._let_go(before)
        self._hold(app, rows)

    def _hold(self, app: AppRow, rows: list[SecretRow]) -> None:
        self._apps[app.client_id] = app
        self._by_remote_id[app.remote_id] = app
        self._secrets[app.client_id] = rows
        if app.family:
            self._by_family.setdefault(app.family, {})[app.name] = app

    def _let_go(self, app: AppRow) -> None:
        del self._apps[app.client_id], self._by_remote_id[app.remote_id], self._secrets[app.client_id]
        family = self._by_family.get(app.family, {})
        family.pop(app.name, None)
        if not family:
            self._by_family.pop(app.family, None)

    def _named(self, name: str) -> AppRow | None:
        return next((app for app in self._apps.values() if app.name == name), None)

    def _known(self, name: str) -> AppRow:
        app = self._named(name)
        if app is None:
            raise NotFound(f"no app is registered as {quoted(name)}")
        return app

    def _overlapping(self, client_id: str, now: float) -> list[SecretRow]:
        """Return the app's living secrets, none of which outlives the overlap from now on."""
        return [
            evolve(row, expires=now + SECRET_OVERLAP if row.expires is None else row.expires)
            for row in self._secrets.get(client_id, ())
            if row.expires is None or row.expires > now
        ]


def _new_app(name: str, family: str) -> AppRow:
    return AppRow(client_id=str(uuid4()), name=name, remote_id=str(uuid4()), family=family)


def _log(done: str, app: AppRow, text: str) -> None:
    fields = with_fields(f"app_{done}", app=app.name, client_id=app.client_id)
    logger.info(text, quoted(app.name), app.client_id, extra=fields)
