"""An app's session with the platform: questions and answers, and the payloads that come."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import anyio
from anyio import EndOfStream
from anyio.abc import TaskGroup

from tocsin.api.activated import LaunchedPayload
from tocsin.api.background_work import BackgroundWork
from tocsin.api.outcomes import OutcomeReports
from tocsin.api.port import Port
from tocsin.api.questions import Questions
from tocsin.api.subscription import PushHandler, Subscription
from tocsin.api.toast_activated import ToastClicks
from tocsin.api.workers import Workers
from tocsin.protocol import errors
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.batches import by_channel
from tocsin.protocol.delivery.plain_rows import PlainRow, sequence_of
from tocsin.protocol.messages.codec import decode_own
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.values import Outcome
from tocsin.tasks import task_group

logger = logging.getLogger(__name__)

CLOSE_GRACE = 0.5
"""Seconds that a handler has to finish when its app closes the session; then it is cancelled."""

STAY = 5.0
"""Seconds after which it is said which handlers have not ended though they were cancelled: leaving waits for them."""


class Session:
    """One app's mailbox, its open questions, and the subscriptions of its channels."""

    _workers: Workers

    def __init__(self, port: Port) -> None:
        self.port = port
        self.name = port.name
        self.questions = Questions(self._post)
        self._subscriptions: dict[str, Subscription] = {}
        self.outcomes = OutcomeReports(port.send_urgent)
        self._lost: set[str] = set()
        self._ends_with: dict[str, dict[Callable[[], None], None]] = {}
        self._closing: set[str] = set()
        self.background = BackgroundWork(self.questions.ask, lambda: self.make_background("background work"))
        self.toast_clicks = ToastClicks(self.questions, self.say, self.call)
        """The clicks on the app's toasts."""
        self.launched: LaunchedPayload | None = None
        """The payload that this process was launched for; None where it was not launched."""
        self.on_revoked: Callable[[str], None] | None = None
        """Called with the name of a channel that the app has lost without closing it."""
        self.on_channel_list: Callable[[frozenset[str]], None] | None = None
        """Called with all channels that the device holds."""
        self.on_renewed: Callable[[m.ChannelRenewed], None] | None = None
        """Called with a channel that came without having been asked for."""
        self.host = HostState()
        """How the machine stands."""
        self.settings = AppSettings()
        """What the user has decided for the app."""
        self._connection: tuple[bool, ConnectionCause | None] = (False, None)
        self.on_connection: Callable[[], None] | None = None
        """Called when there is a connection to the push service, when there is none, and when that has another cause."""
        self.on_toast_dismissed: list[Callable[[m.ToastDismissed], None]] = []
        """All called when a toast of the app has gone without a click."""
        self._receives: dict[type[m.Message], Callable[[Any], None]] = {
            m.Deliveries: self._deliver,
            m.Activation: self._activate,
            m.CancelDelivery: self._cancel,
            m.AbortDelivery: self._abort,
            m.Done: self.questions.answered,
            m.Failed: self.questions.answered,
            m.ToastShown: self.questions.answered,
            m.ToastUpdated: self.questions.answered,
            m.ToastList: self.questions.answered,
            m.TileList: self.questions.answered,
            m.UsageFound: self.questions.answered,
            m.ToastDismissed: self._toast_dismissed,
            m.ToastActivated: self.toast_clicks.receive,
            m.CreateChannelProgress: self.questions.listened,
            m.CreateChannelDone: self.questions.listened,
            m.ChannelLost: self._channel_lost,
            m.ChannelList: self._channel_list,
            m.ChannelRenewed: self._channel_renewed,
            m.PlatformStanding: self._standing_changed,
            m.HostChanged: self._host_changed,
            m.AppSettingsChanged: self._settings_changed,
            m.SessionLost: self._agent_gone,
            m.SessionRestored: self._restored,
            m.SessionDismissed: self._dismissed,
            m.ActorRestarted: self._peer_restarted,
            m.Fence: self._fence,
        }

    def start(self, tasks: TaskGroup) -> None:
        """Begin to take what comes, and to run handlers, in these tasks."""
        self._workers = Workers(tasks, self._at_rest)
        tasks.start_soon(self._run, name=f"session {self.name}")

    def subscribe(self, channel: str, handler: PushHandler) -> int:
        """Attach a handler to a channel, and return the token to detach it by.

        :raises ChannelClosed: the channel is closed.
        :raises IllegalCall: the session takes the payloads of as many channels as it may.
        """
        if channel in self._lost:
            raise errors.ChannelClosed("the channel is closed; request another")
        self._check_room_for(channel)
        subscription = self._subscription(channel)
        token = self.questions.number()
        subscription.attach(token, handler)
        if len(subscription.handlers) == 1:
            self.outcomes.attached(channel, attached=True)
        return token

    def _check_room_for(self, channel: str) -> None:
        limit = self.port.max_subscriptions
        if limit is None or len(self._subscriptions) < limit:
            return
        taken = sum(1 for name, each in self._subscriptions.items() if each.handlers and name != channel)
        if taken >= limit:
            raise errors.IllegalCall(
                f"one session takes the payloads of {limit} channels at most: connect another for more"
            )

    def unsubscribe(self, channel: str, handler: int | PushHandler) -> None:
        """Detach a handler, by its token or by itself.

        :raises InvalidArgument: it is neither a token nor a handler.
        :raises NotFound: it is not attached to the channel.
        """
        subscription = self._subscription(channel)
        subscription.detach(handler)
        if not subscription.handlers:
            self.outcomes.attached(channel, attached=False)
            subscription.give_back()

    async def close_channel(self, channel: str) -> None:
        """Close a channel; that the app loses it is no revocation.

        :raises PushError: it could not be closed.
        """
        number = self.questions.number()
        self._closing.add(channel)
        try:
            await self.questions.ask(m.CloseChannel(number, channel), number)
        finally:
            self._closing.discard(channel)
        self.lose(channel)

    def is_lost(self, channel: str) -> bool:
        """Whether the channel was closed or revoked."""
        return channel in self._lost

    def lose_unheard(self, channel: str) -> None:
        """Note that a channel is gone of which we were not told."""
        self._channel_lost(m.ChannelLost(channel))

    def lose(self, channel: str) -> None:
        """Note that a channel was closed or revoked; loops over its payloads end."""
        self._lost.add(channel)
        for end in self._ends_with.pop(channel, {}):
            end()

    @contextmanager
    def ending_with(self, channel: str, end: Callable[[], None]) -> Iterator[None]:
        """Have it called in the moment in which the channel is lost, while the block runs."""
        self._ends_with.setdefault(channel, {})[end] = None
        try:
            yield
        finally:
            ends = self._ends_with.get(channel, {})
            ends.pop(end, None)
            if not ends:
                self._ends_with.pop(channel, None)

    def call(self, what: str, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function of the app in a task of its own: what it raises is logged, and ends nothing else."""
        self._workers.call(what, function, *arguments)

    def say(self, message: m.Message) -> None:
        """Tell the platform, behind all outcomes so far."""
        self.outcomes.report()
        self.port.send_urgent(message)

    async def _run(self) -> None:
        """Take what comes, until the mailbox is closed."""
        async with task_group() as tasks:
            tasks.start_soon(self.outcomes.report_each_moment)
            tasks.start_soon(self._workers.start_for_others)
            await self._take_in()
            tasks.cancel_scope.cancel()

    async def _take_in(self) -> None:
        self.port.follow(self._take)
        try:
            while True:
                self._take(await self.port.receive())
        except EndOfStream:
            return
        finally:
            self.port.follow(None)

    def _take(self, frames: list[bytes]) -> None:
        for frame in frames:
            self._receive(frame)

    def _at_rest(self, others_work: bool) -> None:  # noqa: FBT001  # the only argument
        """Tell the platform of what handlers have done; where others are at work, with what these do in the same moment."""
        if self.outcomes.is_untold:
            if others_work:
                self.outcomes.tell_soon()
            else:
                self.port.at_once(self.outcomes.report)

    def _receive(self, frame: bytes) -> None:
        """Take a message; one that cannot be taken costs what it was about, and not the app."""
        try:
            message = decode_own(frame)
            self._receives[type(message)](message)
        except Exception:
            logger.exception("a message for %s could not be taken", self.name)

    async def close(self, *, failed: bool) -> None:
        """Give back what no handler has begun with, and let those that run finish, for ``CLOSE_GRACE`` at most."""
        if self.launched is not None:
            await self.launched.settle(failed=failed)
        self.say(m.LeaveSession())
        for subscription in self._all_subscriptions():
            subscription.close()
        with anyio.move_on_after(CLOSE_GRACE):
            await self._workers.done()
        self.toast_clicks.close()
        self.port.close()

    def end(self) -> None:
        """Call nothing of the app any more, and report the handlers that were cancelled in the end."""
        self._workers.end()
        self.outcomes.report()

    async def tell_who_stays(self) -> None:
        """Log once, after ``STAY``, what goes on although it was cancelled: leaving waits for it."""
        await anyio.sleep(STAY)
        handlers = [subscription.at_work for subscription in self._all_subscriptions() if subscription.at_work]
        for what in (*handlers, *self._workers.calls):
            logger.error("leaving waits for %s, which goes on although it was cancelled", what)

    def _subscription(self, channel: str) -> Subscription:
        if channel not in self._subscriptions:
            self._subscriptions[channel] = Subscription(channel, self.outcomes, self._workers)
        return self._subscriptions[channel]

    def make_background(self, name: str) -> Subscription:
        """Make what does background work, under a name for the log."""
        return Subscription(name, self.outcomes, self._workers, background=True)

    def _background(self) -> list[Subscription]:
        launched = None if self.launched is None else self.launched.subscription
        return [each for each in (self.background.subscription, launched) if each is not None]

    def _all_subscriptions(self) -> list[Subscription]:
        return [*self._subscriptions.values(), *self._background()]

    def _deliver(self, message: m.Deliveries) -> None:
        for channel, rows in by_channel(message.rows).items():
            subscription = self._subscriptions.get(channel)
            if subscription is not None:
                subscription.offer(rows)
            else:
                self._give_back(rows)

    def _activate(self, message: m.Activation) -> None:
        deliveries = decode_own(message.delivery)
        assert isinstance(deliveries, m.Deliveries)  # noqa: S101  # the supervisor has made it
        if message.request:
            self.questions.answered(m.Done(message.request))  # the payload is the answer
        kept = [each for each in self._background() if each.kept == sequence_of(deliveries.rows[0])]
        if kept:  # from before the agent was away
            kept[0].offer(deliveries.rows)
        elif message.request and self.launched is not None:
            self.launched.take(deliveries.rows)
        elif self.background.subscription is not None:
            if self.launched is not None:
                self.launched.note_handler_has(deliveries.rows[0])
            self.background.subscription.offer(deliveries.rows)
        else:
            self._give_back(deliveries.rows)

    def _give_back(self, rows: Sequence[PlainRow]) -> None:
        for sequence, _, _, _, attempt, _, _, _, _ in rows:
            self.outcomes.note(m.OutcomeRow(sequence, Outcome.GIVEN_BACK, "", attempt))

    def _cancel(self, message: m.CancelDelivery) -> None:
        for subscription in self._all_subscriptions():
            subscription.cancel(message.sequence, message.reason)

    def _abort(self, message: m.AbortDelivery) -> None:
        for subscription in self._all_subscriptions():
            subscription.abort(message.sequence)

    def _channel_lost(self, message: m.ChannelLost) -> None:
        if message.channel not in self._lost:
            self.lose(message.channel)
            if self.on_revoked is not None and message.channel not in self._closing:
                self.on_revoked(message.channel)

    def _channel_list(self, message: m.ChannelList) -> None:
        if self.on_channel_list is not None:
            self.on_channel_list(frozenset(message.channels))

    def _channel_renewed(self, message: m.ChannelRenewed) -> None:
        if self.on_renewed is not None:
            self.on_renewed(message)

    def _standing_changed(self, message: m.PlatformStanding) -> None:
        connection = (message.connected, message.cause)
        before, self._connection = self._connection, connection
        if before != connection and self.on_connection is not None:
            self.on_connection()

    def _toast_dismissed(self, message: m.ToastDismissed) -> None:
        for hear in self.on_toast_dismissed:
            hear(message)

    def _host_changed(self, message: m.HostChanged) -> None:
        self.host = message.state

    def _settings_changed(self, message: m.AppSettingsChanged) -> None:
        self.settings = message.settings

    def _agent_gone(self, _message: m.SessionLost) -> None:
        self.questions.fail_asked("the agent has gone: whether it was done is not known")

    def _restored(self, _message: m.SessionRestored) -> None:
        """Tell another agent what it must know; what is being handled goes on, and is taken for its next attempt."""
        for subscription in self._all_subscriptions():
            subscription.keep_running()
        if kept := tuple(each.kept for each in self._background() if each.kept):
            self.port.send_urgent(m.Holding(kept))
        for actor in ("supervisor", "activator_registry", "channel_requester", "shell"):
            self._peer_restarted(m.ActorRestarted(actor))
        self.say(m.Resumed())

    def _dismissed(self, word: m.SessionDismissed) -> None:
        """Let all questions fail: the app was removed from the agent."""
        self.questions.dismiss(word.text)
        if self.on_connection is not None:
            self.on_connection()

    async def _post(self, question: m.Message) -> None:
        self.outcomes.report()
        await self.port.send(question)

    def _fence(self, _message: m.Fence) -> None:
        for subscription in self._all_subscriptions():
            subscription.begin_anew()

    def _peer_restarted(self, message: m.ActorRestarted) -> None:
        """Tell an actor again what it has forgotten; what was on its way through it is being handed on again."""
        match message.actor:
            case "supervisor":
                for channel, subscription in self._subscriptions.items():
                    if subscription.handlers:
                        self.outcomes.attached(channel, attached=True)
            case "activator_registry":
                for question in self.background.questions():
                    self.say(question)
            case "channel_requester":
                self.questions.resume()
            case "shell":
                self.toast_clicks.resume()
