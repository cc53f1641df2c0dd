"""A device at one node whose row and queue only one task reads and changes, together with what others do for other devices."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from typing import Self

from anyio import WouldBlock
from attrs import define, field

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.nodes.device_row import DeviceRow, Home
from tocsin.protocol.service.nodes.lease_row import LeaseRow
from tocsin.service.nodes.claims import Claims
from tocsin.service.nodes.known_devices import CachedDevice, KnownDevices
from tocsin.service.nodes.queue_changes import QueueChanges
from tocsin.service.nodes.storing import BegunStore, Kept, Storing
from tocsin.service.registry.node_store import SeenDevice
from tocsin.service.registry.service_store import ChannelRow


@define(eq=False)
class DeviceTurn:
    """A device's turn, from :meth:`take` to :meth:`end`. Each step is begun, and then waited for."""

    _known: CachedDevice
    _all: KnownDevices
    _changes: QueueChanges
    _claims: Claims
    _storing: Storing
    _reading: Future[SeenDevice] | None = field(default=None, init=False)
    _begun: BegunStore | None = field(default=None, init=False)

    @classmethod
    def take(
        cls, device: str, known: KnownDevices, changes: QueueChanges, claims: Claims, storing: Storing
    ) -> Self | None:
        """Take a device's turn; None: another task has it."""
        attended = known.attend(device)
        try:
            attended.lock.acquire_nowait()
        except WouldBlock:
            known.leave(attended)
            return None
        return cls(attended, known, changes, claims, storing)

    def end(self) -> None:
        """Let others have it; what is still being done is broken off, and of what is being written it is not known then what became of it."""
        if self._reading is not None:
            self._reading.cancel()
        if self._begun is not None and self._begun.writing is not None:
            self._begun.writing.cancel()
            self._changes.lose_sight(self._known)
        self._known.lock.release()
        self._all.leave(self._known)

    @property
    def is_current(self) -> bool:
        """Whether the row is known as it was written last, as far as this node can know."""
        return self._known.is_current

    @property
    def row(self) -> DeviceRow:
        """The row as it was read or written last."""
        return self._known.row

    @property
    def at(self) -> LeaseRow | None:
        """The lease that its home names."""
        return self._known.at

    def begin_look(self) -> None:
        """Begin to read it anew."""
        self._reading = self._changes.begin_read(self._known)

    async def looked(self) -> SeenDevice:
        """Wait for what is read.

        :raises StateUnavailable: it cannot be read.
        """
        assert self._reading is not None  # noqa: S101  # it was begun
        seen = await self._changes.was_read(self._known, self._reading)
        self._claims.saw(self._known)
        return seen

    async def begin_store(
        self, posts: Sequence[tuple[ChannelRow, Payload]], denied: frozenset[Home], failed: StateUnavailable | None
    ) -> StateUnavailable | None:
        """Begin to store payloads, in this order; return why that fails.

        :param failed: why it has failed already, for another device: it is not tried then.
        """
        try:
            if failed is None:
                self._begun = await self._storing.begin(self._known, posts, denied)
        except StateUnavailable as failure:
            failed = failure
        except BaseException:  # it may have places in the queue already
            self._changes.lose_sight(self._known, may_be_written=False)
            raise
        if failed is not None:
            self._begun = BegunStore(self._known, [self._storing.failed(failed) for _ in posts])
        return failed

    async def stored(self) -> Sequence[Kept]:
        """Wait until they are stored, and return what became of each."""
        begun, self._begun = self._begun, None
        assert begun is not None  # noqa: S101  # it was begun
        try:
            return await self._storing.stored(begun)
        except StateUnavailable as failure:
            return [self._storing.failed(failure) if kept is None else kept for kept in begun.results]
