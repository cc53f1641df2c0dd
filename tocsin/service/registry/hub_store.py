"""The promise of what is kept of notification hubs: hubs and their keys, registrations, installations, and messages on their way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from attrs import Factory, field, frozen

from tocsin.durations import Durations
from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.hub.hub_outcomes import Tally
from tocsin.protocol.hub.message_life import Phase
from tocsin.protocol.hub.rights import Right
from tocsin.service.registry.service_store import ChannelRow, ServiceStore, hash_of
from tocsin.service.url_paths import token_of_uri


@frozen
class HubRow:
    """A hub; ``client_id`` is that of the app to whose channels it sends, None: to those of every app of the service."""

    id: int
    name: str
    client_id: str | None
    created: float
    endpoint: str = ""
    """Where clients reach the service, as its owner has said; empty: at the service's own URL."""


@frozen
class HubKeyRow:
    """A shared access key: kept as it is, since a signature is checked by signing once more; ``expires`` None: the newest."""

    hub: int
    right: Right
    key: str = field(repr=False)
    created: float
    expires: float | None


@frozen
class KeptHubs:
    """All hubs and all of their keys, as a change of one of them was decided from; at first there are none."""

    hubs: frozenset[HubRow] = frozenset()
    keys: frozenset[HubKeyRow] = frozenset()


NO_HUBS: Final = KeptHubs()
"""What is kept before the first hub is made."""


@frozen
class HubCounts:
    """How much is kept of a hub."""

    registrations: int
    """Those that stand for themselves."""
    parts: int
    """Those that are of installations."""
    installations: int
    waiting: int
    """Messages that have not ended, those that are scheduled included."""


@frozen
class InstallationRow:
    """An installation; ``expires`` is when all of it ends, whatever becomes of its channels, None: it does not."""

    id: str
    document: str = field(repr=False)
    etag: int
    expires: float | None = None


@frozen
class MessageRow:
    """A message that a hub has accepted; its ``number`` tells which came first.

    ``format`` is ``windows`` or ``template``. ``devices`` are the channel URIs that it is for; where there are none, it is for
    the registrations that ``tags`` matches, all of them where that is empty. ``headers`` are lower-cased. ``due`` is None for
    what is sent at once. Times are the service's.
    """

    number: int
    id: str
    hub: int
    phase: Phase
    format: str
    tags: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    accepted: float
    devices: tuple[str, ...] = field(default=(), repr=False)
    due: float | None = None
    began: float | None = None
    ended: float | None = None
    place: int = 0
    """The last target that has an outcome, or waits to be tried again: its registration's sequence number, or its number in ``devices``."""
    until: int | None = None
    """The last place that there was when it was begun; None until then."""
    tally: Tally = Factory(Tally)


@frozen
class Retry:
    """A target of a message that is to be tried once more."""

    message: str
    place: int
    attempts: int
    due: float


@frozen
class TargetRow:
    """A registration that a message may be for, with the channel that it names; None: no such channel is kept."""

    sequence: int
    registration: RegistrationDescription
    channel: ChannelRow | None


@frozen
class DeadTarget:
    """A registration whose channel leads nowhere any more; it is forgotten unless it has another one by now."""

    sequence: int
    channel: bytes
    installation: str = ""


def channel_of(uri: str) -> bytes | None:
    """Return the SHA-256 of the token in a channel's URI, by which its channel is found; None where there is not exactly one."""
    token = token_of_uri(uri)
    return hash_of(token) if token else None


class HubStore(Protocol):
    """What hubs need of what outlives the service; each change is one transaction, and on disk when the call returns.

    A change of what others may change says by ``was`` what it was decided from, as with :class:`ServiceStore`. All methods
    raise ``StateUnavailable`` where the store cannot be read or written, or not within its patience.
    """

    async def hubs(self) -> list[HubRow]:
        """Return all hubs, by name."""
        ...

    async def keys(self) -> list[HubKeyRow]:
        """Return the keys of all hubs, the oldest first."""
        ...

    async def save_hub(self, hub: HubRow, keys: Sequence[HubKeyRow], was: KeptHubs = NO_HUBS) -> None:
        """Keep a hub with these keys, and no others; another of its name goes: its maker was told that it had failed.

        :param was: all that was kept when this was decided: names and numbers are of one hub among all.
        :raises ChangedMeanwhile: something else is kept by now.
        """
        ...

    async def remove_hub(self, hub: int, was: KeptHubs) -> None:
        """Forget a hub with all that is kept for it.

        :raises ChangedMeanwhile: as :meth:`save_hub`.
        """
        ...

    async def forget_rest(self, hub: int) -> None:
        """Forget what is kept for a hub that is not there; of one that is there nothing goes."""
        ...

    async def counts(self, hub: int) -> HubCounts:
        """Count what is kept of a hub."""
        ...

    async def registration(self, hub: int, id: str) -> RegistrationDescription | None:  # noqa: A002 - the field's name
        """Return a registration, or None."""
        ...

    async def save_registration(self, hub: int, registration: RegistrationDescription, was: int | None = None) -> None:
        """Keep a registration, in the place of the one with its id if there is one.

        :param was: the ETag of that one; None where there is none.
        :raises ChangedMeanwhile: there is another by now, or none any more.
        """
        ...

    async def remove_registration(self, hub: int, id: str, was: int) -> None:  # noqa: A002 - the field's name
        """Forget a registration.

        :param was: its ETag.
        :raises ChangedMeanwhile: it has another by now, or is not there any more.
        """
        ...

    async def registrations(
        self, hub: int, after: int, limit: int, *, tag: str | None = None, channel: bytes | None = None
    ) -> list[tuple[int, RegistrationDescription]]:
        """Return registrations with their sequence numbers, in order, behind one of these.

        :param tag: those that have it; :param channel: those for the channel whose token has this SHA-256.
        """
        ...

    async def installation(self, hub: int, id: str, now: float) -> tuple[str, int] | None:  # noqa: A002 - the field's name
        """Return an installation's document and its ETag; None where there is none that has not expired."""
        ...

    async def save_installation(
        self,
        hub: int,
        installation: InstallationRow,
        parts: Sequence[RegistrationDescription],
        was: tuple[str, int] | None = None,
        now: float = 0.0,
    ) -> None:
        """Keep an installation with its parts, and no others of it.

        :param was: what :meth:`installation` has returned.
        :param now: when it has done so.
        :raises ChangedMeanwhile: it would return something else by now.
        """
        ...

    async def remove_installation(self, hub: int, id: str, was: tuple[str, int]) -> None:  # noqa: A002 - the field's name
        """Forget an installation with its parts.

        :param was: as for :meth:`save_installation`.
        :raises ChangedMeanwhile: as there.
        """
        ...

    async def add_message(self, message: MessageRow) -> None:
        """Keep a message that was accepted."""
        ...

    async def message(self, hub: int, id: str) -> MessageRow | None:  # noqa: A002 - the field's name
        """Return a message, or None."""
        ...

    async def count_scheduled(self, hub: int, limit: int) -> int:
        """Count the messages of a hub that are scheduled, ``limit`` at most."""
        ...

    async def message_of_any(self, id: str) -> MessageRow | None:  # noqa: A002 - the field's name
        """Return a message of whatever hub, or None."""
        ...

    async def last_number(self) -> int:
        """Return the highest number of a message, or 0."""
        ...

    async def open_messages(self, phase: Phase, after: int, limit: int) -> list[MessageRow]:
        """Return messages of a phase that have not ended, behind that number, the oldest first."""
        ...

    async def due_messages(self, now: float, limit: int) -> list[MessageRow]:
        """Return messages that are scheduled for now or before, the first due first."""
        ...

    async def save_progress(
        self, message: MessageRow, retries: Sequence[Retry], done: Sequence[int], dead: Sequence[DeadTarget]
    ) -> None:
        """Keep where a message stands (its phase, times, place and tally), what of it is to be tried again, and forget what leads nowhere.

        A message that has ended stays as it is, and one that is being sent is not cancelled any more: another node may have
        done either meanwhile.

        :param done: places that are not tried again any more.
        """
        ...

    async def due_retries(self, now: float, limit: int) -> list[Retry]:
        """Return what is to be tried again now, the first due first."""
        ...

    async def has_retries(self, message: str, besides: Sequence[int] = ()) -> bool:
        """Tell whether something of a message is to be tried again, at other places than these."""
        ...

    async def next_scheduled(self) -> float | None:
        """Return when the next message is due that is scheduled, or None."""
        ...

    async def next_retry(self) -> float | None:
        """Return when the next target is due that is to be tried again, or None."""
        ...

    async def last_sequence(self, hub: int) -> int:
        """Return the highest sequence number of a registration of a hub, or 0."""
        ...

    async def weights(self, hub: int, tags: Collection[str], limit: int) -> Mapping[str, int]:
        """Return how many registrations have each of these tags, ``limit`` at most."""
        ...

    async def targets(
        self, hub: int, tags: Collection[str] | None, after: int, until: int, limit: int
    ) -> list[TargetRow]:
        """Return registrations that have one of these tags (None: all), in order, from behind one place to another."""
        ...

    async def targets_at(self, hub: int, sequences: Sequence[int]) -> list[TargetRow]:
        """Return the registrations with these sequence numbers that are there."""
        ...

    async def forget_channels(self, channels: Sequence[bytes]) -> None:
        """Forget what names these channels, by the SHA-256 of their tokens: they have ended."""
        ...

    async def prune(self, now: float, before: float, keep: int) -> None:
        """Forget registrations and installations that have expired, and messages that ended before that moment or are beyond so many of a hub.

        So is forgotten what was saved for a hub while it was being removed.
        """
        ...


class SharedHubStore(HubStore, Protocol):
    """What hubs need of a store that several nodes share."""

    async def next_number(self) -> int:
        """Return a number for a message, above those that were returned before."""
        ...

    async def count_waiting(self, limit: int) -> int:
        """Count the messages of all hubs that are to be sent at once and were not begun, ``limit`` at most."""
        ...


class EngineStore(ServiceStore, Protocol):
    """All that a service keeps: what an engine keeps for it."""

    @property
    def durations(self) -> Mapping[str, Durations]:
        """How long what the store is asked in one go takes, by kind."""
        ...

    @property
    def hubs(self) -> HubStore:
        """What is kept of notification hubs."""
        ...
