"""All windows together: which of them are open, what is on its way, and whose turn it is to fetch."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from itertools import compress, product, repeat

from attrs import Factory, define

from tocsin.protocol.delivery.channel_window import ALL, AppShare, ChannelWindow
from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.delivery.recipients import Recipient, taken_by
from tocsin.protocol.platform.conditions import Gates

MAX_IN_FLIGHT = 8192
"""How many payloads of all channels together may be between the router and their handlers.

An app may have as many of them as are still free. So one whose handlers never return has half of them at most, the next
such has half of the rest, and whatever they do, there is room for another.
"""

_NONE: frozenset[str] = frozenset()


def _taken(*present: bool) -> frozenset[str]:
    recipients = (Recipient.FOREGROUND, Recipient.BACKGROUND, Recipient.SHELL)
    types = taken_by(compress(recipients, present))
    return ALL if types == ALL else types


_TAKEN = {present: _taken(*present) for present in product((False, True), repeat=3)}
"""The types that are taken: by whether a session has subscribed, background work is ready, and there is a shell."""


@define
class ChannelWindows:
    """The windows of a device, by channel.

    A window is open while a subscriber of the channel, background work of its app or the shell takes payloads of it, and no
    gate holds back what waits for the app; only types that one of them takes go through. It fetches only while the store may
    hold something for it, so that many channels without payloads cost the store nothing.
    """

    gates: Gates = Factory(Gates)
    has_shell: bool = False
    """Whether there is a shell, which takes what is to be shown of every app."""
    channels: dict[str, str] = Factory(dict)
    """The app of each channel that the device holds."""
    _subscribed: set[tuple[str, str]] = Factory(set)
    _ready: set[str] = Factory(set)
    _windows: dict[str, ChannelWindow] = Factory(dict)
    _in_flight: dict[int, ChannelWindow] = Factory(dict)
    _shares: dict[str, AppShare] = Factory(dict)
    _hungry: OrderedDict[str, ChannelWindow] = Factory(OrderedDict)
    _stored: set[str] = Factory(set)
    """The channels for which there may be something in the store that is not on its way."""
    _aside: set[str] = Factory(set)
    """Those of which something was held back or parked: any change may let it be taken again."""
    _passed: set[str] = Factory(set)
    """Those of which something may be stored that did not go through their window because of its type."""
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
        self._passed.discard(channel)
        window = self._windows.pop(channel, None)
        if window is not None:
            window.close()
            if window.in_flight:  # it may come back when the channel is there again
                self._stored.add(channel)

    def subscribe(self, app: str, channel: str) -> None:
        """A session of an app takes the payloads of a channel in the foreground, if it is the app's."""
        self._subscribed.add((app, channel))
        self._reconsider(channel)

    def unsubscribe(self, app: str, channel: str) -> None:
        """None does so any more."""
        self._subscribed.discard((app, channel))
        self._reconsider(channel)

    def set_ready(self, app: str, *, ready: bool) -> None:
        """Say whether an app's background work is done, or a process can be started that does it."""
        if ready:
            self._ready.add(app)
        else:
            self._ready.discard(app)
        for channel in [channel for channel, owner in self.channels.items() if owner == app]:
            self._reconsider(channel)

    def forget_subscribers(self) -> None:
        """No session is known to take anything: each that does will say so again."""
        self._subscribed.clear()
        self._ready.clear()
        for channel in self.channels:
            self._reconsider(channel)

    def open_shell(self) -> None:
        """There is a shell, which takes what is to be shown of every app."""
        self.has_shell = True
        for channel in self.channels:
            self._reconsider(channel)

    def reconsider_all(self) -> None:
        """The gates have changed: open or close windows, and look at the whole inbox again."""
        for channel in self.channels:
            self._reconsider(channel)
        self.look_at_all_again()

    def quiesce(self) -> None:
        """Begin nothing new."""
        self._quiet = True
        self._close_all()
        self._hungry.clear()

    # What is on its way

    def admit(self, rows: Iterable[PlainRow]) -> list[PlainRow]:
        """Let payloads into their windows, and return those that go on at once, from memory."""
        going: list[PlainRow] = []
        free = MAX_IN_FLIGHT - len(self._in_flight)
        for row in rows:
            sequence, _, kind, _, _, _, channel, _, _ = row
            window = self._windows.get(channel)
            if window is not None and not window.is_whole and kind not in window.types:
                self._passed.add(channel)
            elif window is not None and window.share.in_flight < free and window.accept(sequence):
                self._in_flight[sequence] = window
                going.append(row)
                free -= 1
            elif channel in self.channels:
                self._stored.add(channel)
                if window is not None:
                    window.fall_behind()
                    self._feed(window)
        return going

    def settle(self, sequence: int, *, given_back: bool) -> bool:
        """Note that a payload is no longer on its way, and tell whether it was."""
        window = self._in_flight.pop(sequence, None)
        if window is None:
            return False
        if given_back:
            self._stored.add(window.channel)
        window.settle(given_back=given_back)
        if window.is_behind:
            self._feed(window)
        return True

    def settle_handled(self, sequences: Sequence[int]) -> None:
        """Note that payloads are no longer on their way, because they were handled; any of them may have been no more."""
        windows = list(map(self._in_flight.pop, sequences, repeat(None)))
        for window, count in Counter(windows).items() if len(windows) > 1 else ((windows[0], 1),):
            if window is not None:
                window.settle(count, given_back=False)
                if window.is_behind:
                    self._feed(window)

    def take_all_back(self) -> list[str]:
        """Whatever was on its way is lost, and will be handed on again; return the channels of it that are gone."""
        gone = [window.channel for window in self._in_flight.values() if window.channel not in self.channels]
        for sequence in list(self._in_flight):
            self.settle(sequence, given_back=True)
        self.look_at_all_again()
        return list(dict.fromkeys(gone))

    def look_again(self, channel: str) -> None:
        """Begin a window anew: there may be payloads in the inbox that it has passed."""
        self._stored.add(channel)
        window = self._windows.get(channel)
        if window is not None:
            window.begin_anew()
            self._feed(window)

    def look_at_all_again(self) -> None:
        """Begin every window anew for which there may be anything."""
        for channel in sorted(self._stored | self._aside):
            self.look_again(channel)

    # Fetching

    def next_fetch(self) -> tuple[ChannelWindow, int] | None:
        """Return the window whose turn it is to fetch, and how many payloads it wants; None where none does."""
        if not self._hungry:  # as after most batches
            return None
        free = MAX_IN_FLIGHT - len(self._in_flight)
        turn, skipped = None, list[ChannelWindow]()
        while self._hungry and turn is None:
            _, window = self._hungry.popitem(last=False)
            left = free - window.share.in_flight
            if window.room and left > 0 and left >= min(window.room, free // 2):  # else pages would be small
                turn = window, min(window.room, (left + 1) // 2)  # what its app takes is no longer free
            elif window.room:
                skipped.append(window)
        for window in reversed(skipped):  # they stay the first, or those behind them would be served for ever
            self._hungry[window.channel] = window
            self._hungry.move_to_end(window.channel, last=False)
        return turn

    def fetched(self, window: ChannelWindow, sequences: list[int], wanted: int) -> None:
        """Note the page that a window has fetched; what of it does not go on is to be settled."""
        window.fetched(sequences, wanted)
        if not window.is_behind:
            self._stored.discard(window.channel)
            if not window.is_whole:
                self._passed.add(window.channel)
        for sequence in sequences:
            self._in_flight[sequence] = window
        self._feed(window)

    def _reconsider(self, channel: str) -> None:
        types = self._types_taken(channel)
        app = self.channels.get(channel, "")
        if types and not self.gates.holds(app) and not self._quiet:
            window = self._windows.get(channel)
            if window is None:
                share = self._shares.setdefault(app, AppShare())
                window = self._windows[channel] = ChannelWindow(channel, share=share)
            window.open()
            if window.types is not types:
                window.types = types
                if channel in self._passed:  # what it has passed may be wanted now
                    self._passed.discard(channel)
                    self._stored.add(channel)
                    window.begin_anew()
            self._feed(window)
        elif channel in self._windows:
            self._windows[channel].close()

    def _types_taken(self, channel: str) -> frozenset[str]:
        """Return the types of payload of a channel that are taken by any."""
        app = self.channels.get(channel)
        if app is None:
            return _NONE
        return _TAKEN[(app, channel) in self._subscribed, app in self._ready, self.has_shell]

    def _feed(self, window: ChannelWindow) -> None:
        """Let a window fetch; where the store holds nothing for it, it has caught up without that."""
        if window.is_behind and window.channel not in self._stored:
            window.catch_up()
        elif window.room and not self._quiet:
            self._hungry[window.channel] = window

    def _close_all(self) -> None:
        for window in self._windows.values():
            window.close()
