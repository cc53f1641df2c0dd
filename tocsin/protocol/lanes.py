"""All lanes together: which of them are open, what is on its way, and whose turn it is to fetch."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from itertools import repeat

from attrs import Factory, define

from tocsin.protocol.batches import PayloadRow
from tocsin.protocol.conditions import Gates
from tocsin.protocol.lane import Lane

MAX_IN_FLIGHT = 8192
"""How many payloads of all channels together may be between the router and their handlers."""


@define
class Lanes:
    """The lanes of a device, by channel.

    A lane is open while somebody takes its payloads, a sink of the channel or background work of its app, and no gate
    holds back what waits for the app. It fetches only while the store may hold something for it, so that many channels
    without payloads cost the store nothing.
    """

    gates: Gates = Factory(Gates)
    channels: dict[str, str] = Factory(dict)
    """The app of each channel that the device holds."""
    _sinks: set[str] = Factory(set)
    _ready: set[str] = Factory(set)
    _lanes: dict[str, Lane] = Factory(dict)
    _in_flight: dict[int, Lane] = Factory(dict)
    _hungry: OrderedDict[str, Lane] = Factory(OrderedDict)
    _stored: set[str] = Factory(set)
    """The channels for which there may be something in the store that is not on its way."""
    _aside: set[str] = Factory(set)
    """Those of which something was held back or parked: any change may let it be taken again."""
    _quiet: bool = False

    def on_its_way(self, sequence: int) -> bool:
        """Tell whether a payload is between the router and its handler."""
        return sequence in self._in_flight

    def note_stored(self, channels: Iterable[str]) -> None:
        """There are payloads in the store for these channels."""
        self._stored.update(channels)

    def set_aside(self, channel: str) -> None:
        """A payload of that channel is stored, and will be taken when the gates or the background let it."""
        self._stored.add(channel)
        self._aside.add(channel)

    # Who takes payloads

    def open_channel(self, channel: str, app: str) -> None:
        """The device holds a channel."""
        self.channels[channel] = app
        self._reconsider(channel)

    def lose_channel(self, channel: str) -> None:
        """The device holds it no more."""
        self.channels.pop(channel, None)
        self._hungry.pop(channel, None)
        self._stored.discard(channel)
        self._aside.discard(channel)
        lane = self._lanes.pop(channel, None)
        if lane is not None:
            lane.close()
            if lane.in_flight:  # it may come back when the channel is there again
                self._stored.add(channel)

    def open_sink(self, channel: str) -> None:
        """Somebody takes the payloads of a channel in the foreground."""
        self._sinks.add(channel)
        self._reconsider(channel)

    def close_sink(self, channel: str) -> None:
        """Nobody does so any more."""
        self._sinks.discard(channel)
        self._reconsider(channel)

    def set_ready(self, app: str, *, ready: bool) -> None:
        """Say whether there is somebody to do an app's background work."""
        if ready:
            self._ready.add(app)
        else:
            self._ready.discard(app)
        for channel in [channel for channel, owner in self.channels.items() if owner == app]:
            self._reconsider(channel)

    def forget_takers(self) -> None:
        """Nobody is known to take anything: whoever does will say so again."""
        self._sinks.clear()
        self._ready.clear()
        self._close_all()

    def reconsider_all(self) -> None:
        """The gates have changed: open or close lanes, and look at the whole inbox again."""
        for channel in self.channels:
            self._reconsider(channel)
        self.look_at_all_again()

    def quiesce(self) -> None:
        """Begin nothing new."""
        self._quiet = True
        self._close_all()
        self._hungry.clear()

    # What is on its way

    def admit(self, rows: Iterable[PayloadRow]) -> list[PayloadRow]:
        """Let payloads into their lanes, and return those that go on at once, from memory."""
        going: list[PayloadRow] = []
        room = MAX_IN_FLIGHT - len(self._in_flight)
        for row in rows:
            lane = self._lanes.get(row[6])
            if lane is not None and len(going) < room and lane.accept(row[0]):
                self._in_flight[row[0]] = lane
                going.append(row)
            elif row[6] in self.channels:
                self._stored.add(row[6])
                if lane is not None:
                    lane.fall_behind()
                    self._feed(lane)
        return going

    def settle(self, sequence: int, *, came_back: bool) -> bool:
        """Note that a payload is no longer on its way, and tell whether it was."""
        lane = self._in_flight.pop(sequence, None)
        if lane is None:
            return False
        if came_back:
            self._stored.add(lane.channel)
        lane.settle(came_back=came_back)
        if lane.is_behind:
            self._feed(lane)
        return True

    def settle_handled(self, sequences: Iterable[int]) -> None:
        """Note that payloads are no longer on their way, because they were handled; any of them may have been no more."""
        for lane, count in Counter(map(self._in_flight.pop, sequences, repeat(None))).items():
            if lane is not None:
                lane.settle(count, came_back=False)
                if lane.is_behind:
                    self._feed(lane)

    def all_came_back(self) -> list[str]:
        """Whatever was on its way is lost, and will be handed on again; return the channels of it that are gone."""
        gone = [lane.channel for lane in self._in_flight.values() if lane.channel not in self.channels]
        for sequence in list(self._in_flight):
            self.settle(sequence, came_back=True)
        self.look_at_all_again()
        return list(dict.fromkeys(gone))

    def look_again(self, channel: str) -> None:
        """Begin a lane anew: there may be payloads in the inbox that it has passed."""
        self._stored.add(channel)
        lane = self._lanes.get(channel)
        if lane is not None:
            lane.begin_anew()
            self._feed(lane)

    def look_at_all_again(self) -> None:
        """Begin every lane anew for which there may be anything."""
        for channel in sorted(self._stored | self._aside):
            self.look_again(channel)

    # Fetching

    def next_fetch(self) -> tuple[Lane, int] | None:
        """Return the lane whose turn it is to fetch, and how many payloads it wants; None where none does."""
        while self._hungry and len(self._in_flight) < MAX_IN_FLIGHT:
            _, lane = self._hungry.popitem(last=False)
            if lane.room:
                return lane, lane.room
        return None

    def fetched(self, lane: Lane, sequences: list[int], wanted: int) -> None:
        """Note the page that a lane has fetched; what of it does not go on is to be settled."""
        lane.fetched(sequences, wanted)
        if not lane.is_behind:
            self._stored.discard(lane.channel)
        for sequence in sequences:
            self._in_flight[sequence] = lane
        self._feed(lane)

    def _reconsider(self, channel: str) -> None:
        app = self.channels.get(channel)
        taken = app is not None and (channel in self._sinks or app in self._ready) and not self.gates.holds(app)
        if taken and not self._quiet:
            lane = self._lanes.setdefault(channel, Lane(channel))
            lane.open()
            self._feed(lane)
        elif channel in self._lanes:
            self._lanes[channel].close()

    def _feed(self, lane: Lane) -> None:
        """Let a lane fetch; where the store holds nothing for it, it has caught up without that."""
        if lane.is_behind and lane.channel not in self._stored:
            lane.catch_up()
        elif lane.room and not self._quiet:
            self._hungry[lane.channel] = lane

    def _close_all(self) -> None:
        for lane in self._lanes.values():
            lane.close()
