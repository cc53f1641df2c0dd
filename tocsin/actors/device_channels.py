"""The channels that a device holds: found by name and by app, and known by when each is to be renewed or forgotten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, ValuesView
from heapq import heapify, heappop, heappush

from tocsin.persistence.store import StoredChannel
from tocsin.protocol.platform.channel_request import renewal

LOOK_EVERY = 3600.0
"""Seconds after which it is looked again at least, since alarms may stand still while the machine sleeps."""

_COMPACT_FROM = 1024  # moments; below that, those of channels that are gone may stay until they come


class DeviceChannels:
    """All channels of a device; whatever their number, each question looks only at those it is about."""

    def __init__(self, channels: Iterable[StoredChannel] = ()) -> None:
        self._channels = {channel.channel: channel for channel in channels}
        self._of_app: defaultdict[tuple[str, str], dict[str, StoredChannel]] = defaultdict(dict)
        for channel in self._channels.values():
            self._of_app[channel.app, channel.remote_id][channel.channel] = channel
        self._moments = [moment for channel in self._channels.values() for moment in _moments(channel)]
        heapify(self._moments)
        self._to_renew: dict[str, StoredChannel] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._channels

    def __getitem__(self, name: str) -> StoredChannel:
        return self._channels[name]

    def values(self) -> ValuesView[StoredChannel]:
        """Return all of them."""
        return self._channels.values()

    def add(self, channel: StoredChannel, now: float) -> None:
        """Hold a channel, instead of one of the same name; ``now``, as all moments here, in the service's time.

        One that lasts less than the time before its end at which channels are renewed is not: it would be so for ever.
        """
        self.discard(channel.channel)
        self._channels[channel.channel] = channel
        self._of_app[channel.app, channel.remote_id][channel.channel] = channel
        to_renew, to_forget = _moments(channel)
        heappush(self._moments, to_forget)
        if to_renew[0] > now:
            heappush(self._moments, to_renew)

    def discard(self, name: str) -> StoredChannel | None:
        """Forget a channel, and return it; None where it was not there."""
        channel = self._channels.pop(name, None)
        if channel is None:
            return None
        self._to_renew.pop(name, None)
        siblings = self._of_app[channel.app, channel.remote_id]
        del siblings[name]
        if not siblings:
            del self._of_app[channel.app, channel.remote_id]
        if len(self._moments) > _COMPACT_FROM + 4 * len(self._channels):
            self._moments = [moment for moment in self._moments if self._in_force(moment)]  # what is over stays over
            heapify(self._moments)
        return channel

    def newest(self, app: str, remote_id: str) -> StoredChannel | None:
        """Return the channel of an app that ends last."""
        known = self._of_app.get((app, remote_id), {})
        return max(known.values(), key=lambda channel: channel.expires, default=None)

    def take_due(self, now: float) -> list[StoredChannel]:
        """Take those whose time has come since the last look: forget and return what has ended, and note what is to be renewed."""
        due: dict[str, StoredChannel] = {}
        while self._moments and self._moments[0][0] <= now:
            moment = heappop(self._moments)
            if self._in_force(moment):
                due[moment[1]] = self._channels[moment[1]]
        ended = [channel for channel in due.values() if channel.expires <= now]
        self._to_renew |= due
        for channel in ended:
            self.discard(channel.channel)
        return ended

    def to_renew(self) -> list[StoredChannel]:
        """Return the channels of which it is time that newer ones take their places, and none has, or it was lost."""
        return [
            channel for channel in self._to_renew.values() if self.newest(channel.app, channel.remote_id) is channel
        ]

    def next_moment(self) -> float | None:
        """Return when the next one will be, in the service's time; None where none is."""
        while self._moments and not self._in_force(self._moments[0]):
            heappop(self._moments)
        return self._moments[0][0] if self._moments else None

    def wait(self, now: float) -> float:
        """Return the seconds until it is to be looked again."""
        moment = self.next_moment()
        return LOOK_EVERY if moment is None else min(moment - now, LOOK_EVERY)

    def _in_force(self, moment: tuple[float, str, float]) -> bool:
        _, name, expires = moment
        channel = self._channels.get(name)
        return channel is not None and channel.expires == expires


def _moments(channel: StoredChannel) -> tuple[tuple[float, str, float], tuple[float, str, float]]:
    """Return when it is to be renewed, and when it is to be forgotten."""
    name, expires = channel.channel, channel.expires
    return (renewal(channel.remote_id, expires), name, expires), (expires, name, expires)
