"""The channel requester: asks the service for channels, renews them a day before they end, and reports to the apps that wait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import count

from attrs import frozen

from tocsin.actors.actor import Actor, Wait, receives, receives_from_apps
from tocsin.actors.channel_effects import ChannelEffects
from tocsin.actors.connection_status import ConnectionRecord
from tocsin.actors.device_channels import DeviceChannels
from tocsin.actors.push_messages import SEED_KEY, PushMessages, refusal_words
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.store import Store, StoredChannel, StoredRequest
from tocsin.protocol import messages as m
from tocsin.protocol.hresult import HResult
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.network.causes import hresult_of
from tocsin.protocol.platform.channel_request import (
    OPEN,
    PATIENCE,
    TABLE,
    ChannelRequest,
    Effect,
    Event,
    Phase,
    fault_of_grant,
)
from tocsin.protocol.platform.conditions import AppSettings, HostState, channel_refusal
from tocsin.protocol.platform.power import is_unified_push
from tocsin.protocol.platform.retry_schedule import left
from tocsin.protocol.webpush.sender import is_web_push

_SERVICE_TIME = "service_time"  # the setting in which what is known of the service's time is kept for the next start
_KEYS = 2**52  # a random one below it begins, and all that follow are exact


@frozen
class Neighbours:
    """Whom the requester speaks to, besides the sessions of apps."""

    connection: Mailbox
    scheduler: Mailbox
    router: Mailbox
    messages: PushMessages
    """Gives push subscriptions their keys."""


class ChannelRequester(Actor):
    """Owns the channel requests that are open and the channels that the device holds."""

    name = "channel_requester"

    def __init__(self, store: Store, senses: Senses, sessions: Sessions, neighbours: Neighbours) -> None:
        super().__init__()
        self._store = store
        self._clock, self._at_service, self._alarm = senses.clock, senses.at_service, senses.alarm
        self._connection = neighbours.connection
        self._scheduler = neighbours.scheduler
        self._messages = neighbours.messages
        self._sessions = sessions
        self._effects = ChannelEffects(store, sessions, neighbours.router)
        self._link = ConnectionRecord(senses.clock)
        # Not from 1 each time: a late answer to a question of an earlier instance must find no request.
        self._keys = count(int(senses.clock.fraction() * _KEYS))
        self._requests: dict[int, ChannelRequest] = {}
        self._open: dict[tuple[str, str], ChannelRequest] = {}
        self._closing: dict[int, tuple[str, int]] = {}
        self._to_revoke: set[str] = set()
        """Apps that were removed while there was no connection to the service."""
        self._forgotten: list[str] = []
        self._host = HostState()
        self._settings: defaultdict[str, AppSettings] = defaultdict(AppSettings)
        self._channels = DeviceChannels()
        self._perform: dict[Effect, Callable[[ChannelRequest], None]] = {
            Effect.REPORT_PROGRESS: self._effects.progress,
            Effect.SEND_REQUEST: self._send_request,
            Effect.PLAN_RETRY: self._plan_retry,
            Effect.RESUME_WAIT: self._resume_wait,
            Effect.KEEP_REQUEST: self._keep_request,
            Effect.DROP_REQUEST: self._drop_request,
            Effect.REPORT_RETRY: self._effects.progress,
            Effect.FORGET_RETRY: lambda request: self._effects.send(self._scheduler, m.ForgetRetry(request.key)),
            Effect.KEEP_CHANNEL: lambda request: self._effects.keep_channel(self._granted(request)),
            Effect.REPORT_SUCCESS: self._report_success,
            Effect.REPORT_FAILURE: self._effects.failure,
        }

    async def start(self) -> None:
        """Read the channels that the device holds, and go on with the requests that wait for their next attempt."""
        if not self._at_service.known:
            self._at_service.recall(await self._store.value(_SERVICE_TIME))
        self._messages.recall(await self._store.value(SEED_KEY))
        self._channels = DeviceChannels(await self._store.channels())
        self._effects.announce(self._channels.values())
        for stored in await self._store.requests():
            request = ChannelRequest(next(self._keys), stored.app, stored.remote_id, [], kept=True)
            request.failures = request.retry_count = stored.failures
            request.hresult, request.text = stored.hresult, stored.text
            request.delay = left(stored.due, stored.planned, self._clock.wall())
            self._enter(request)
            self._step(request, Event.RESUME)
        await self._perform_all()

    # From apps

    @receives_from_apps(m.CreateChannel)
    def create(self, message: m.CreateChannel, stamped: m.Stamped) -> None:
        """Begin a request, or join one that is out for the same app."""
        asker = (stamped.session, message.request)
        refusal = refusal_words() if is_web_push(message.remote_id) and not is_unified_push(stamped.app) else ""
        if refusal:
            self._effects.refuse(asker, refusal, HResult.ERROR_NOT_SUPPORTED)
            return
        request = self._open.get((stamped.app, message.remote_id))
        if request is None:
            self._begin(stamped.app, message.remote_id, [asker])
        else:
            request.askers.append(asker)
            self._effects.progress(request, [asker])

    @receives_from_apps(m.CancelCreateChannel)
    def cancel(self, message: m.CancelCreateChannel, stamped: m.Stamped) -> None:
        """One asker leaves; with the last one the request ends."""
        asker = (stamped.session, message.request)
        for request in [request for request in self._requests.values() if asker in request.askers]:
            request.askers.remove(asker)
            if not request.askers:
                self._step(request, Event.CANCEL)

    @receives_from_apps(m.CloseChannel)
    def close(self, message: m.CloseChannel, stamped: m.Stamped) -> None:
        """Revoke all channels of the app, at the service first."""
        asker = (stamped.session, message.request)
        if message.channel not in self._channels or self._channels[message.channel].app != stamped.app:
            self._effects.failed(asker, "ChannelClosed", "the channel is closed", HResult.WPN_E_CHANNEL_CLOSED)
        elif not self._link.connected:
            text = "the channel cannot be closed while there is no connection to the push service"
            text += f": {self._link.down.text}" if self._link.down else ""
            self._effects.failed(asker, "PlatformUnavailable", text, HResult.WNP_E_NOT_CONNECTED)
        else:
            key = next(self._keys)
            self._closing[key] = asker
            self._effects.send(self._connection, m.RevokeChannels(key, stamped.app))

    @receives(m.ForgetApp)
    def forget(self, message: m.ForgetApp, _: bytes) -> None:
        """An app was removed: its requests and channels go, at the service as soon as there is a connection."""
        for request in [request for request in self._requests.values() if request.app == message.app]:
            request.askers.clear()
            self._step(request, Event.CANCEL)
        channels = [channel for channel in self._channels.values() if channel.app == message.app]
        for channel in channels:
            self._channels.discard(channel.channel)
            self._effects.drop_channel(channel)
        if channels:
            self._to_revoke.add(message.app)
            self._revoke_forgotten()
        self._settings.pop(message.app, None)
        self._forgotten.append(message.app)

    def _revoke_forgotten(self) -> None:
        for app in sorted(self._to_revoke) if self._link.connected else ():
            self._effects.send(self._connection, m.RevokeChannels(next(self._keys), app))
            self._to_revoke.discard(app)

    # From the service

    @receives(m.ConnectionUp)
    def connected(self, message: m.ConnectionUp, _: bytes) -> None:
        """Send what has waited for the connection, and do what was due while the service's time was not known."""
        self._link.note(message)
        self._revoke_forgotten()
        for request in self._in_phase(Phase.QUEUED):
            self._step(request, Event.CONNECTED)
        self.renew(m.AlarmRang(), b"")

    @receives(m.ConnectionDown)
    def disconnected(self, message: m.ConnectionDown, _: bytes) -> None:
        """Whatever waits for the service has failed for now."""
        self._link.note(message)
        hresult = hresult_of(message.cause)
        for request in self._in_phase(Phase.QUEUED, Phase.REQUESTED):
            self._fail(request, Event.DISCONNECTED, hresult, message.text)
        for session, number in self._closing.values():
            text = f"the connection was lost while the channel was being closed: {message.text}"
            self._effects.failed((session, number), "PlatformUnavailable", text, hresult)
        self._closing.clear()

    @receives(m.ChannelGranted)
    def granted(self, message: m.ChannelGranted, _: bytes) -> None:
        """A request has succeeded; one that was cancelled meanwhile has no use for its channel."""
        request = self._requests.get(message.request)
        if request is None or request.phase is not Phase.REQUESTED:
            return
        fault = fault_of_grant(message.expires, message.now)
        if fault:
            self._fail(request, Event.REFUSED, HResult.E_UNEXPECTED, fault)
            return
        channel = StoredChannel(message.channel, request.app, request.remote_id, message.uri, message.expires)
        self._begin_secret(request)
        self._channels.add(channel, message.now)
        request.channel = channel.channel
        self._step(request, Event.GRANTED)

    @receives(m.ChannelRefused)
    def refused(self, message: m.ChannelRefused, _: bytes) -> None:
        """A request, or a wish to close, was turned down."""
        request = self._requests.get(message.request)
        if request is not None and request.phase is Phase.REQUESTED:
            self._fail(request, Event.REFUSED, message.hresult, message.text, message.retry_after)
        elif message.request in self._closing:
            session, number = self._closing.pop(message.request)
            self._effects.failed((session, number), "PushError", message.text, message.hresult)

    @receives(m.ChannelsRevoked)
    def revoked(self, message: m.ChannelsRevoked, _: bytes) -> None:
        """Channels are gone, because an app closed them or the service took them back; the one before may be due."""
        is_closed = message.request in self._closing
        for name in message.channels:
            channel = self._channels.discard(name)
            if channel is not None:
                self._effects.drop_channel(channel, is_closed=is_closed)
        self._ask_for_newer()
        if is_closed:
            session, number = self._closing.pop(message.request)
            self._effects.done(session, number)

    # About the machine and the user

    @receives(m.HostChanged)
    def host_changed(self, message: m.HostChanged, _: bytes) -> None:
        """Where channels are forbidden from now on, requests fail; else those that were not renewed are."""
        self._host = message.state
        self._look_again()

    @receives(m.AppSettingsChanged)
    def settings_changed(self, message: m.AppSettingsChanged, _: bytes) -> None:
        """The same for one app."""
        self._settings[message.app] = message.settings
        self._look_again()

    def _look_again(self) -> None:
        for request in list(self._requests.values()):
            self._fail_forbidden(request)
        self._ask_for_newer()

    # From the retry scheduler and the kernel

    @receives(m.RetryPlanned)
    def planned(self, message: m.RetryPlanned, _: bytes) -> None:
        """There will be another attempt; a scheduler that began anew may say so twice."""
        request = self._requests.get(message.key)
        if request is not None and request.phase in {Phase.DECIDING, Phase.BACKING_OFF}:
            request.retry_count, request.delay = message.retry_count, message.delay
            self._step(request, Event.RETRY_PLANNED)

    @receives(m.RetryDenied)
    def denied(self, message: m.RetryDenied, _: bytes) -> None:
        """There will be none."""
        request = self._requests.get(message.key)
        if request is not None and request.phase is Phase.DECIDING:
            self._step(request, Event.RETRY_DENIED)

    @receives(m.RetryDue)
    def due(self, message: m.RetryDue, _: bytes) -> None:
        """The wait is over."""
        request = self._requests.get(message.key)
        if request is not None and request.phase is Phase.BACKING_OFF:
            self._step(request, Event.RETRY_DUE_ONLINE if self._link.connected else Event.RETRY_DUE_OFFLINE)
            self._fail_without_prospect(request)

    @receives(m.ActorRestarted)
    def peer_restarted(self, message: m.ActorRestarted, _: bytes) -> None:
        """A scheduler that begins anew has forgotten its waits."""
        if message.actor == self._scheduler.name:
            for request in self._in_phase(Phase.DECIDING, Phase.BACKING_OFF):
                self._step(request, Event.SCHEDULER_LOST)

    @receives(m.AlarmRang)
    def renew(self, _message: m.AlarmRang, _: bytes) -> None:
        """Ask for new channels in time, and forget those whose time is over, by the time of the service that set both.

        Before that is known, nothing is forgotten. What could not be renewed is asked for again at the next look.
        """
        if not self._at_service.known:
            return
        self._effects.keep_value(_SERVICE_TIME, self._at_service.mark())
        for channel in self._channels.take_due(self._at_service.least()):
            self._effects.drop_channel(channel)
        self._ask_for_newer()

    def flush(self) -> Iterable[Wait]:
        """Perform the effects of the batch, which begin with what is to be written."""
        return (self._perform_all,)

    async def _perform_all(self) -> None:
        """Write first, then tell; ring when the next channel is to be renewed or forgotten, and now and then."""
        await self._effects.perform()
        for app in self._forgotten:
            self._sessions.work.forget(self.name, app)
        self._forgotten.clear()
        if self._at_service.known:
            self._alarm.set(self._clock.monotonic() + self._channels.wait(self._at_service.least()))

    def _ask_for_newer(self) -> None:
        """Ask for the channels that are to take the places of those whose time has come."""
        for channel in self._channels.to_renew() if self._link.connected else ():
            open_already = (channel.app, channel.remote_id) in self._open
            if not open_already and channel_refusal(self._host, self._settings[channel.app]) is None:
                self._begin(channel.app, channel.remote_id, [])

    def _begin(self, app: str, remote_id: str, askers: list[tuple[str, int]]) -> None:
        request = ChannelRequest(next(self._keys), app, remote_id, askers)
        self._enter(request)
        if not self._fail_forbidden(request):
            self._step(request, Event.BEGIN_ONLINE if self._link.connected else Event.BEGIN_OFFLINE)
            self._fail_without_prospect(request)

    def _fail_forbidden(self, request: ChannelRequest) -> bool:
        """Let a request fail whose app may have no channel, and tell whether it has."""
        refusal = channel_refusal(self._host, self._settings[request.app])
        if refusal is not None:
            self._fail(request, Event.FORBIDDEN, *refusal)
        return refusal is not None

    def _fail_without_prospect(self, request: ChannelRequest) -> None:
        """Let a request fail that would wait too long for a connection to be tried."""
        down = self._link.down
        if down is not None and self._link.until_attempt() > PATIENCE:
            self._fail(request, Event.DISCONNECTED, hresult_of(down.cause), down.text)

    def _enter(self, request: ChannelRequest) -> None:
        self._requests[request.key] = self._open[request.app, request.remote_id] = request

    def _in_phase(self, *phases: Phase) -> list[ChannelRequest]:
        return [request for request in self._requests.values() if request.phase in phases]

    def _step(self, request: ChannelRequest, event: Event) -> None:
        request.phase, effects = step(TABLE, request.phase, event)
        for effect in effects:
            self._perform[effect](request)
        if request.phase not in OPEN:
            del self._requests[request.key], self._open[request.app, request.remote_id]

    def _fail(
        self, request: ChannelRequest, event: Event, hresult: int, text: str, retry_after: float | None = None
    ) -> None:
        request.failures += 1
        request.hresult, request.text, request.retry_after = hresult, text, retry_after
        self._step(request, event)

    def _begin_secret(self, request: ChannelRequest) -> None:
        """Have the device's secret kept, before the first subscription whose messages are opened here is told of."""
        if is_web_push(request.remote_id) and not is_unified_push(request.app):
            seed = self._messages.begin()
            if seed is not None:
                self._effects.keep_value(SEED_KEY, seed)

    def _granted(self, request: ChannelRequest) -> StoredChannel:
        return self._channels[request.channel]

    def _send_request(self, request: ChannelRequest) -> None:
        newest = self._channels.newest(request.app, request.remote_id)
        uri = newest.uri if newest else ""
        message = m.RequestChannel(request.key, request.app, request.remote_id, uri)
        self._effects.send(self._connection, message)

    def _plan_retry(self, request: ChannelRequest) -> None:
        plan = m.PlanRetry(request.key, request.failures, request.hresult, request.retry_after)
        self._effects.send(self._scheduler, plan)

    def _resume_wait(self, request: ChannelRequest) -> None:
        self._effects.send(self._scheduler, m.ResumeRetry(request.key, request.delay))

    def _keep_request(self, request: ChannelRequest) -> None:
        request.kept = True
        now = self._clock.wall()
        due = now + request.delay
        self._effects.keep_request(
            StoredRequest(request.app, request.remote_id, request.failures, request.hresult, request.text, due, now)
        )

    def _drop_request(self, request: ChannelRequest) -> None:
        if request.kept:
            self._effects.drop_request(request.app, request.remote_id)

    def _report_success(self, request: ChannelRequest) -> None:
        channel = self._granted(request)
        keys = self._messages.public(channel.channel) if is_web_push(request.remote_id) else b""
        self._effects.success(request, channel, self._at_service.on_our_wall(channel.expires), keys)
