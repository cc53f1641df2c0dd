"""The payload router: puts what the service sends into the inbox, acknowledges it, and hands it on in order.

A payload is acknowledged only after its row has committed; one commit serves a whole batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from attrs import frozen

from tocsin.actors.actor import Actor, Wait, receives, receives_from_apps
from tocsin.actors.admission import Admission
from tocsin.actors.clock import ServiceClock
from tocsin.actors.inbox_effects import InboxEffects
from tocsin.actors.operator_desk import OperatorDesk
from tocsin.actors.push_messages import SEED_KEY, PushMessages
from tocsin.mailbox import Mailbox
from tocsin.persistence.dead_letter_choice import check_drop, check_retry
from tocsin.persistence.store import Store
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.channel_window import ChannelWindow
from tocsin.protocol.delivery.channel_windows import ChannelWindows
from tocsin.protocol.delivery.plain_rows import PlainRow, channel_of
from tocsin.protocol.errors import Busy, NotFound, PlatformUnavailable
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.service_time import Verdict
from tocsin.protocol.values import DropReason, Outcome

ACKNOWLEDGE_AT_ONCE = 512
"""How many ids one acknowledgement carries."""

ENDS_KNOWN = 4_096
"""Channels that have ended of which is known why, at most."""

HANDED_ON_AT_ONCE = 512
"""How many payloads, of whatever channels, go on together."""


@frozen
class RouterNeighbours:
    """Where the router's messages go."""

    connection: Mailbox
    supervisor: Mailbox
    desk: OperatorDesk
    messages: PushMessages
    """Opens messages of Web Push."""
    has_shell: Callable[[], bool] = bool
    """Tells whether there is a shell, which takes what is to be shown of every app."""


class PayloadRouter(Actor):
    """Owns the inbox and the windows."""

    name = "payload_router"
    _admission: Admission

    def __init__(
        self, store: Store, at_service: ServiceClock, effects: InboxEffects, neighbours: RouterNeighbours
    ) -> None:
        super().__init__()
        self._store = store
        self._at_service = at_service
        self._connection = neighbours.connection
        self._supervisor = neighbours.supervisor
        self._desk = neighbours.desk
        self._messages = neighbours.messages
        self._windows = ChannelWindows(has_shell=neighbours.has_shell())
        self._lost: list[str] = []
        self._ended_by: dict[str, DropReason] = {}
        """Why channels ended, the oldest first, as far as it is known."""
        self._in_doubt: set[str] = set()
        self._release_parked = False
        self._late: list[m.HandledLate] = []
        self._asked: list[m.SettleDeadLetter] = []
        self._effects = effects
        self._acknowledged: list[str] = []
        self._batches: defaultdict[str, list[PlainRow]] = defaultdict(list)
        self._forward: list[bytes] = [encode(m.Fence())]

    async def start(self) -> None:
        """Find what was accepted and not ended; payloads of channels that are gone die now."""
        self._messages.recall(await self._store.value(SEED_KEY))
        await self._store.release(parked=True)
        inbox = await self._store.inbox()
        self._admission = Admission(self._at_service, self._windows, self._effects, inbox)
        for channel in await self._store.channels():
            self._windows.open_channel(channel.channel, channel.app)
        self._effects.watch.channels = self._windows.channels
        self._windows.note_stored(inbox.open_channels)
        self._lost = [name for name in inbox.open_channels if name not in self._windows.channels]
        if self._lost:
            await self._bury_lost()
        await self._effects.prune()

    # From the service

    @receives(m.Arrivals)
    def accept(self, message: m.Arrivals, _: bytes) -> None:
        """Take payloads in; one that was sent again is only acknowledged again."""
        self._acknowledged += message.ids
        app_of = self._windows.channels
        for row in self._admission.admit(*self._messages.open(message, app_of)):
            self._batches[app_of[channel_of(row)]].append(row)

    @receives(m.WithdrawToasts)
    def withdraw_toasts(self, message: m.WithdrawToasts, _: bytes) -> None:
        """A sender has deleted toasts: those that came before go on their way before the word of it."""
        app = self._windows.channels.get(message.channel)
        if app is not None:
            self._pass_on(encode(m.ToastsWithdrawn(app, message.tag, message.group)))

    @receives(m.ConnectionUp)
    def connected(self, _message: m.ConnectionUp, _: bytes) -> None:
        """The service has said what time it is there: look again at what may have expired while the machine was off."""
        for channel in sorted(self._in_doubt & self._windows.channels.keys()):
            self._windows.look_again(channel)
        self._in_doubt.clear()

    # From the requester, the registry and the supervisor

    @receives(m.ChannelOpened)
    def channel_opened(self, message: m.ChannelOpened, _: bytes) -> None:
        """Payloads may come for that channel."""
        self._windows.open_channel(message.channel, message.app)

    @receives(m.ForgetApp)
    def forget(self, message: m.ForgetApp, _: bytes) -> None:
        """An app was removed: its payloads die of that."""
        for channel in [name for name, app in self._windows.channels.items() if app == message.app]:
            self._note_end(channel, DropReason.UNINSTALL)
            self.channel_lost(m.ChannelLost(channel), b"")

    @receives(m.ClosedByApp)
    def closed(self, message: m.ClosedByApp, _: bytes) -> None:
        """What waits for a channel dies of that its app has closed it."""
        self._note_end(message.channel, DropReason.CLOSED)

    @receives(m.ChannelLost)
    def channel_lost(self, message: m.ChannelLost, _: bytes) -> None:
        """The device holds that channel no more: its payloads have no handler."""
        self._windows.lose_channel(message.channel)
        self._lost.append(message.channel)

    @receives(m.ChannelList)
    def channel_list(self, message: m.ChannelList, _: bytes) -> None:
        """Whatever else we knew is gone."""
        for channel in sorted(self._windows.channels.keys() - set(message.channels)):
            self.channel_lost(m.ChannelLost(channel), b"")

    @receives(m.ChannelSubscribed)
    def channel_subscribed(self, message: m.ChannelSubscribed, _: bytes) -> None:
        """A session takes the payloads of that channel."""
        self._windows.subscribe(message.app, message.channel)

    @receives(m.ChannelUnsubscribed)
    def channel_unsubscribed(self, message: m.ChannelUnsubscribed, _: bytes) -> None:
        """No session takes them in the foreground any more."""
        self._windows.unsubscribe(message.app, message.channel)

    @receives(m.AppReady)
    def app_ready(self, message: m.AppReady, _: bytes) -> None:
        """Whether a session does the app's background work, or a process can be started that does."""
        self._windows.set_ready(message.app, ready=message.ready)

    @receives(m.ShellOpened)
    def shell_opened(self, _message: m.ShellOpened, _: bytes) -> None:
        """What is to be shown needs no session any more."""
        self._windows.open_shell()

    @receives(m.Parked)
    def parked(self, message: m.Parked, _: bytes) -> None:
        """A payload waits for the background: its place in the window is free."""
        # Where none is settled, it speaks of what an earlier router handed on.
        if self._windows.settle(message.sequence, given_back=False):
            self._effects.park(message.sequence)
            self._windows.set_aside(message.channel)
            if message.channel not in self._windows.channels:  # lost while it was on its way
                self._lost.append(message.channel)

    @receives(m.Handled)
    def handled(self, message: m.Handled, _: bytes) -> None:
        """Payloads have ended well."""
        self._windows.settle_handled(message.sequences)
        self._effects.handled += message.sequences

    @receives(m.HandledLate)
    def handled_late(self, message: m.HandledLate, _: bytes) -> None:
        """Payloads have ended well, if they are those of the app that says so."""
        self._late.append(message)

    @receives(m.Settlements)
    def settled(self, message: m.Settlements, _: bytes) -> None:
        """Payloads are no longer on their way: they died, came back, or were handled late or in the background."""
        for sequence, channel, outcome, reason, detail in message.rows:
            was_on_its_way = self._windows.settle(sequence, given_back=outcome == Outcome.GIVEN_BACK)
            if outcome in {Outcome.HANDLED, Outcome.SHOWN, Outcome.SUPPRESSED}:
                self._effects.end(sequence, outcome, reason, detail)
            elif reason is not None:
                self._effects.bury(sequence, reason, detail)
            elif channel not in self._windows.channels:
                self._effects.bury(sequence, self._reason_of_loss(channel), "")
            elif not was_on_its_way:
                self._effects.release(sequence)  # it was parked
                self._windows.look_again(channel)

    # From the app's side, about the machine and the user

    @receives(m.HostChanged)
    def host_changed(self, message: m.HostChanged, frame: bytes) -> None:
        """Judge by the new state from now on; what was held back is judged anew."""
        self._windows.gates.set_host(message.state)
        self._gates_changed(frame)

    @receives(m.AppSettingsChanged)
    def settings_changed(self, message: m.AppSettingsChanged, frame: bytes) -> None:
        """Judge by what the user has decided."""
        self._windows.gates.set_settings(message.app, message.settings)
        self._gates_changed(frame)

    @receives_from_apps(m.CancelWork)
    def cancel_work(self, _message: m.CancelWork, stamped: m.Stamped) -> None:
        """Pass on what is for the supervisor, in order with the payloads."""
        self._pass_on(encode(stamped))

    # From the user of the machine

    @receives(m.SettleDeadLetter)
    def settle_dead_letter(self, message: m.SettleDeadLetter, _: bytes) -> None:
        """A dead letter is to become a payload again, or to be dropped."""
        self._asked.append(message)

    # From the kernel

    @receives(m.ActorRestarted)
    def peer_restarted(self, message: m.ActorRestarted, _: bytes) -> None:
        """What a supervisor had on its way came back, and who takes what is to be heard anew."""
        if message.actor == "supervisor":
            self._release_parked = True
            self._lost += self._windows.take_all_back()
            self._windows.forget_subscribers()
            gates = self._windows.gates
            self._pass_on(encode(m.Fence()))
            self._pass_on(encode(m.HostChanged(gates.host)))
            for app, settings in gates.settings.items():
                self._pass_on(encode(m.AppSettingsChanged(app, settings)))

    @receives(m.Quiesce)
    def quiesce(self, _message: m.Quiesce, _: bytes) -> None:
        """Hand nothing on any more; what comes is still stored."""
        self._windows.quiesce()
        self._effects.hurry()

    @receives(m.AlarmRang)
    def ring(self, _message: m.AlarmRang, _: bytes) -> None:
        """Write what has waited for a commit to share, when this batch ends."""

    def flush(self) -> Iterator[Wait]:
        """Commit, then acknowledge, then hand on; then fetch for the windows that have room."""
        if self._late:
            yield self._judge_late
        if self._asked:
            yield self._settle_dead_letters
        if self._effects.are_due():
            yield from self._effects.commit()
        if self._release_parked:
            yield self._release_all
        if self._lost:
            yield self._bury_lost
        if self._acknowledged:
            self._acknowledge()
        if self._batches or self._forward:
            yield from self._send_on()
        while (turn := self._windows.next_fetch()) is not None:
            yield partial(self._fetch, *turn)
            yield from self._send_on()
        if self._effects.are_to_prune():
            yield self._effects.prune

    def _acknowledge(self) -> None:
        for start in range(0, len(self._acknowledged), ACKNOWLEDGE_AT_ONCE):
            ids = tuple(self._acknowledged[start : start + ACKNOWLEDGE_AT_ONCE])
            self._connection.send_urgent(m.Acknowledge(ids))
        self._acknowledged.clear()

    def _send_on(self) -> Iterator[Wait]:
        self._close_batches()
        with suppress(PlatformUnavailable):  # the platform stops: what is not on its way stays in the inbox
            for frame in self._forward:
                try:
                    self._supervisor.send_frame_nowait(frame)
                except Busy:
                    yield partial(self._supervisor.send_frame, frame)
        self._forward.clear()

    async def _release_all(self) -> None:
        await self._store.release(parked=True)
        self._release_parked = False

    async def _fetch(self, window: ChannelWindow, wanted: int) -> None:
        await self._effects.perform()  # or what was handled would be found once more
        types = None if window.is_whole else window.types
        page = await self._store.fetch(window.channel, window.cursor, wanted, types)
        self._windows.fetched(window, [payload.sequence for payload in page], wanted)
        for payload in page:
            match self._admission.judge(payload.expires):
                case Verdict.AHEAD:
                    self._hand_on(payload)
                case Verdict.PAST:
                    self._windows.settle(payload.sequence, given_back=False)
                    self._effects.bury(payload.sequence, DropReason.EXPIRED, "")
                case Verdict.IN_DOUBT:
                    self._windows.settle(payload.sequence, given_back=False)
                    self._windows.set_aside(payload.channel)
                    self._in_doubt.add(payload.channel)
        await self._effects.perform()

    async def _judge_late(self) -> None:
        """Look in the store whose payloads they are that were handled late."""
        late, self._late = self._late, []
        for message in late:
            await self._effects.perform()  # or one that came just now would not be there
            for sequence, channel in (await self._store.channels_of(message.sequences)).items():
                if self._windows.channels.get(channel) == message.app:
                    self._windows.settle(sequence, given_back=False)
                    self._effects.handled.append(sequence)

    async def _settle_dead_letters(self) -> None:
        """Do what was asked for with each dead letter, and answer when that is on disk."""
        asked, self._asked = self._asked, []
        for message in asked:
            await self._effects.perform()  # as above
            refused, letter = "", await self._store.dead_letter(message.id)
            try:
                if message.retry:
                    for row in self._admission.readmit(check_retry(letter, message.id, self._windows.channels)):
                        self._hand_on(row)
                else:
                    self._effects.drop(check_drop(letter, message.id).sequence)
            except NotFound as absent:
                refused = str(absent)
            await self._effects.perform()
            self._desk.answer(message.request, refused)

    async def _bury_lost(self) -> None:
        await self._effects.perform()  # as above
        for channel in self._lost:
            for sequence in await self._store.open_sequences(channel):
                if not self._windows.on_its_way(sequence):
                    self._effects.bury(sequence, self._reason_of_loss(channel), "")
        self._lost.clear()
        await self._effects.perform()

    def _note_end(self, channel: str, reason: DropReason) -> None:
        self._ended_by[channel] = reason
        if len(self._ended_by) > ENDS_KNOWN:
            del self._ended_by[next(iter(self._ended_by))]

    def _reason_of_loss(self, channel: str) -> DropReason:
        return self._ended_by.get(channel, DropReason.UNKNOWN_CHANNEL)

    def _gates_changed(self, frame: bytes) -> None:
        """Tell the supervisor, and let what was held back be taken again, where the gates are open now."""
        self._pass_on(frame)
        if not self._windows.gates.host.energy_saver:
            self._effects.release_gated()
        self._windows.reconsider_all()

    def _hand_on(self, payload: PlainRow) -> None:
        self._batches[self._windows.channels.get(channel_of(payload), "")].append(payload)

    def _pass_on(self, frame: bytes) -> None:
        """Let a frame follow the payloads so far."""
        self._close_batches()
        self._forward.append(frame)

    def _close_batches(self) -> None:
        """Make frames of the payloads of each app."""
        for app, rows in self._batches.items():
            for start in range(0, len(rows), HANDED_ON_AT_ONCE):
                several = tuple(rows[start : start + HANDED_ON_AT_ONCE])
                self._forward.append(encode(m.Deliveries(app, several)))  # type: ignore[arg-type]  # plain rows
        self._batches.clear()
