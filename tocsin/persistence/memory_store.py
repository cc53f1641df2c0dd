"""The store in memory: for tests, and for programs whose payloads need not outlive them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice

from anyio.lowlevel import checkpoint
from attrs import Factory, define, evolve

from tocsin.persistence.store import (
    FORMER_CHANNELS,
    HELD,
    PARKED,
    REMEMBERED,
    Changes,
    DeadLetter,
    DeadPayload,
    InboxSummary,
    StoredActivator,
    StoredChannel,
    StoredRequest,
)
from tocsin.protocol.delivery.batches import by_channel
from tocsin.protocol.delivery.plain_rows import PlainRow, channel_of, id_of, sequence_of, type_of
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.platform.usage import NetworkKind, UsageRow
from tocsin.protocol.toast_label import LabelText

_FORGET_EVERY = 4096


@define(eq=False)
class MemoryStore:
    """Keeps what :class:`tocsin.persistence.store.Store` promises for as long as the object lives, on any event loop."""

    _values: dict[str, str] = Factory(dict)
    _channels: dict[str, StoredChannel] = Factory(dict)
    _former: dict[str, str] = Factory(dict)
    """The apps of the channels that were dropped last."""
    _activators: dict[tuple[str, int], StoredActivator] = Factory(dict)
    _requests: dict[tuple[str, str], StoredRequest] = Factory(dict)
    _ids: dict[int, str] = Factory(dict)
    """The ids of those that came last, by their sequence numbers."""
    _older_ids: dict[int, str] = Factory(dict)
    _open: dict[int, PlainRow] = Factory(dict)
    _back: dict[int, int] = Factory(dict)
    """How open payloads stand that may not be taken: parked or held."""
    _numbers: defaultdict[str, list[int]] = Factory(lambda: defaultdict(list))
    """The sequence numbers of each channel in order; those that have ended are taken out now and then."""
    _dead: dict[int, DeadLetter] = Factory(dict)
    _let_go: Counter[str] = Factory(Counter)
    """How many dead letters of each reason are not kept any more."""
    _usage: dict[tuple[int, str, NetworkKind], UsageRow] = Factory(dict)
    _unfiled: list[int] = Factory(list)
    """Those that are not among the numbers of their channel yet: most have ended before they are looked for there."""
    _ended: int = 0

    async def value(self, key: str) -> str | None:
        """Return a setting."""
        await checkpoint()
        return self._values.get(key)

    async def keep_value(self, key: str, value: str) -> None:
        """Keep a setting."""
        await checkpoint()
        self._values[key] = value

    async def channels(self) -> list[StoredChannel]:
        """Return all channels."""
        await checkpoint()
        return list(self._channels.values())

    async def keep_channel(self, channel: StoredChannel) -> None:
        """Add or replace a channel."""
        await checkpoint()
        self._channels[channel.channel] = channel

    async def drop_channels(self, channels: Sequence[str]) -> None:
        """Forget channels, but for some time not whose they were."""
        await checkpoint()
        for name in channels:
            channel = self._channels.pop(name, None)
            if channel is not None:
                self._former.pop(name, None)
                self._former[name] = channel.app
        for name in list(self._former)[:-FORMER_CHANNELS]:
            del self._former[name]

    async def inbox(self) -> InboxSummary:
        """Look at the inbox, on start; sequence numbers go on behind those of the dead letters too."""
        await checkpoint()
        ids = self._older_ids | self._ids | {number: id_of(payload) for number, payload in self._open.items()}
        return InboxSummary(
            max((0, *ids, *self._dead)),
            tuple(ids[number] for number in sorted(ids)[-REMEMBERED:]),
            tuple(dict.fromkeys(map(channel_of, self._open.values()))),
        )

    async def requests(self) -> list[StoredRequest]:
        """Return the channel requests that wait for their next attempt."""
        await checkpoint()
        return list(self._requests.values())

    async def keep_request(self, request: StoredRequest) -> None:
        """Add or replace the request of an app."""
        await checkpoint()
        self._requests[request.app, request.remote_id] = request

    async def drop_request(self, app: str, remote_id: str) -> None:
        """Forget the request of an app."""
        await checkpoint()
        self._requests.pop((app, remote_id), None)

    async def activators(self) -> list[StoredActivator]:
        """Return all activators."""
        await checkpoint()
        return list(self._activators.values())

    async def keep_activator(self, activator: StoredActivator) -> None:
        """Add or replace an activator of an app."""
        await checkpoint()
        self._activators[activator.app, activator.activator] = activator

    async def drop_activator(self, app: str, activator: int) -> None:
        """Forget an activator of an app."""
        await checkpoint()
        self._activators.pop((app, activator), None)

    async def commit(self, changes: Changes) -> None:
        """Change the inbox, all of it or nothing.

        :raises StateUnavailable: a sequence number was accepted before.
        """
        await checkpoint()
        accepted = dict(zip(map(sequence_of, changes.accepted), changes.accepted, strict=True))
        if len(accepted) < len(changes.accepted) or not self._open.keys().isdisjoint(accepted):
            raise StateUnavailable("the store in memory cannot be used: a sequence number was accepted before")
        self._remember(accepted)
        self._open |= accepted
        self._unfiled += accepted
        for sequences, standing in ((changes.gated, HELD), (changes.parked, PARKED)):
            self._back |= {sequence: standing for sequence in sequences if sequence in self._open}
        for sequence in changes.released:
            self._back.pop(sequence, None)
        for dead in changes.dead:
            if dead.sequence in self._open:
                self._dead.setdefault(dead.sequence, _letter(self._open[dead.sequence], dead))
        self._end([*changes.handled, *(dead.sequence for dead in changes.dead)])
        for sequence in changes.retried:
            self._dead.pop(sequence, None)
        for sequence in changes.dropped:
            letter = self._dead.pop(sequence, None)
            if letter is not None:
                self._let_go[letter.reason] += 1

    async def release(self, *, parked: bool) -> None:
        """Let all payloads that are held, or also those that are parked, be taken again."""
        await checkpoint()
        freed = {PARKED, HELD} if parked else {HELD}
        self._back = {number: standing for number, standing in self._back.items() if standing not in freed}

    async def dead_letters(self, limit: int, *, app: str | None = None, reason: str | None = None) -> list[DeadLetter]:
        """Return the newest dead payloads, the newest first; of one app, or that died of one reason, where it is given."""
        await checkpoint()
        letters = self._letters()
        return [each for each in letters if app in {None, each.app} and reason in {None, each.reason}][:limit]

    async def dead_letter(self, id_: str) -> DeadLetter | None:
        """Return the dead payload with an id, of several the newest; None where there is none."""
        await checkpoint()
        return next((letter for letter in self._letters() if letter.id == id_), None)

    async def dead_letter_ids(self, beginning: str, limit: int) -> list[str]:
        """Return the first ids of dead payloads that begin so, in order, each once."""
        await checkpoint()
        return sorted({letter.id for letter in self._dead.values() if letter.id.startswith(beginning)})[:limit]

    async def dead_letter_counts(self) -> dict[str, int]:
        """Return how many payloads have died of each reason, those that are not kept any more included."""
        await checkpoint()
        return dict(sorted((self._let_go + Counter(letter.reason for letter in self._dead.values())).items()))

    async def prune_dead_letters(self, keep: int, before: float) -> int:
        """Let go of all dead payloads but the newest, and of those from before that time; return how many they were."""
        await checkpoint()
        newest = sorted(self._dead, reverse=True)[:keep]
        kept = {number: self._dead[number] for number in newest if self._dead[number].at >= before}
        gone = [letter.reason for number, letter in self._dead.items() if number not in kept]
        self._dead = kept
        self._let_go.update(gone)
        return len(gone)

    async def fetch(
        self, channel: str, after: int, limit: int, types: frozenset[str] | None = None
    ) -> list[PayloadRow]:
        """Return the next open payloads of a channel in order, each with its ``attempt`` raised by one."""
        await checkpoint()
        self._file()
        numbers = self._numbers.get(channel, [])
        behind = islice(numbers, bisect_right(numbers, after), None)
        waiting = (number for number in behind if number in self._open and number not in self._back)
        found = islice((each for each in waiting if types is None or type_of(self._open[each]) in types), limit)
        payloads = [PayloadRow._make(self._open[number]) for number in found]
        taken = [payload._replace(attempt=payload.attempt + 1) for payload in payloads]
        self._open |= {payload.sequence: payload for payload in taken}
        return taken

    async def channels_of(self, sequences: Sequence[int]) -> dict[int, str]:
        """Return the channel of each of these payloads that is open."""
        await checkpoint()
        return {sequence: channel_of(self._open[sequence]) for sequence in sequences if sequence in self._open}

    async def open_sequences(self, channel: str) -> list[int]:
        """Return the sequence numbers of all open payloads of a channel."""
        await checkpoint()
        return [number for number, payload in self._open.items() if channel_of(payload) == channel]

    async def usage(self, first: int, last: int, app: str | None = None) -> list[UsageRow]:
        """Return what was sent and received from one day to another, both included; of one app where it is given."""
        await checkpoint()
        return [row for row in self._usage.values() if first <= row.day <= last and app in {None, row.app}]

    async def keep_usage(self, rows: Sequence[UsageRow], oldest: int) -> None:
        """Add rows, or replace those of the same day, app and network, and forget all days before the oldest."""
        await checkpoint()
        self._usage |= {(row.day, row.app, row.network): row for row in rows}
        self._usage = {key: row for key, row in self._usage.items() if row.day >= oldest}

    async def drop_usage(self, app: str) -> None:
        """Forget what an app has sent and received."""
        await checkpoint()
        self._usage = {key: row for key, row in self._usage.items() if row.app != app}

    def _letters(self) -> list[DeadLetter]:
        """Return all dead letters with their apps, the newest first."""
        apps = self._former | {channel.channel: channel.app for channel in self._channels.values()}
        letters = (self._dead[number] for number in sorted(self._dead, reverse=True))
        return [evolve(letter, app=apps.get(letter.channel, "")) for letter in letters]

    def _remember(self, accepted: dict[int, PlainRow]) -> None:
        """Keep the ids of new payloads, and of at least as many before them as are to be remembered."""
        if len(self._ids) >= REMEMBERED:
            self._older_ids, self._ids = self._ids, {}
        self._ids.update(zip(accepted, map(id_of, accepted.values()), strict=True))

    def _file(self) -> None:
        """Put the numbers of new payloads among those of their channels, in order."""
        for channel, payloads in by_channel(
            [self._open[number] for number in self._unfiled if number in self._open]
        ).items():
            self._numbers[channel] += map(sequence_of, payloads)
            self._numbers[channel].sort()  # as good as nothing where they come in order, as they do
        self._unfiled.clear()

    def _end(self, sequences: Sequence[int]) -> None:
        """Take payloads out."""
        for sequence in sequences:
            self._open.pop(sequence, None)
        if self._back:
            for sequence in sequences:
                self._back.pop(sequence, None)
        self._ended += len(sequences)
        if self._ended >= _FORGET_EVERY:
            self._ended = 0
            self._file()
            for channel, numbers in self._numbers.items():
                self._numbers[channel] = [number for number in numbers if number in self._open]


def _letter(payload: PlainRow, dead: DeadPayload) -> DeadLetter:
    number, id_, type_, body, attempt, _, channel, label, _ = payload
    of_payload = number, "", channel, id_, str(type_), body, attempt
    return DeadLetter(*of_payload, str(dead.reason), dead.detail, dead.at, LabelText(label))
