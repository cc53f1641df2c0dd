"""What one batch of the channel requester does: written first, then told, so that no app hears of what is not on disk."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.store import Store, StoredChannel, StoredRequest
from tocsin.protocol import messages as m
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.channel_request import ChannelRequest
from tocsin.protocol.values import PushNotificationChannelStatus as Status
from tocsin.protocol.webpush.sender import is_web_push


class ChannelEffects:
    """The effects that wait for the end of the batch."""

    def __init__(self, store: Store, sessions: Sessions, router: Mailbox) -> None:
        self._store = store
        self._sessions = sessions
        self._router = router
        self._keep: list[StoredChannel] = []
        self._pending: dict[tuple[str, str], StoredRequest | None] = {}
        self._drop: list[StoredChannel] = []
        self._closed: list[str] = []  # those of the dropped that their apps have closed
        self._values: dict[str, str] = {}
        self._outgoing: list[tuple[Mailbox, m.Message]] = []
        self._replies: list[tuple[str, m.Message]] = []
        self._news: list[m.ChannelRenewed] = []

    def keep_channel(self, channel: StoredChannel) -> None:
        """Keep a channel, then tell the router."""
        self._keep.append(channel)

    def announce(self, channels: Collection[StoredChannel]) -> None:
        """Tell the router and the sessions which channels there are: an earlier instance may not have come to it."""
        for channel in channels:
            self._router.send_urgent(m.ChannelOpened(channel.channel, channel.app))
        self._router.send_urgent(m.ChannelList(tuple(channel.channel for channel in channels)))
        for app in self._sessions.apps():
            self._sessions.send_to_app(app, m.ChannelList(tuple(c.channel for c in channels if c.app == app)))

    def keep_value(self, key: str, value: str) -> None:
        """Keep a setting."""
        self._values[key] = value

    def drop_channel(self, channel: StoredChannel, *, is_closed: bool = False) -> None:
        """Forget a channel, which its app may have closed, then tell the router and the sessions of its app."""
        if is_closed:
            self._closed.append(channel.channel)
        self._drop.append(channel)

    def keep_request(self, request: StoredRequest) -> None:
        """Keep a request that waits for its next attempt."""
        self._pending[request.app, request.remote_id] = request

    def drop_request(self, app: str, remote_id: str) -> None:
        """Forget a request."""
        self._pending[app, remote_id] = None

    def send(self, mailbox: Mailbox, message: m.Message) -> None:
        """Tell a neighbour, waiting for room."""
        self._outgoing.append((mailbox, message))

    def done(self, session: str, number: int) -> None:
        """Answer that it was done."""
        self._replies.append((session, m.Done(number)))

    def failed(self, asker: tuple[str, int], error: str, text: str, hresult: int) -> None:
        """Answer that it could not be done."""
        self._replies.append((asker[0], m.Failed(asker[1], error, text, hresult)))

    def progress(self, request: ChannelRequest, askers: Sequence[tuple[str, int]] | None = None) -> None:
        """Report progress, to all who asked if it is not said to whom: the last error only once a retry is planned."""
        for session, number in request.askers if askers is None else askers:
            progress = m.CreateChannelProgress(number, Status.IN_PROGRESS, HResult.S_OK, 0, "")
            if request.retry_count:
                count, text = request.retry_count, request.text
                progress = m.CreateChannelProgress(number, Status.IN_PROGRESS_RETRY, request.hresult, count, text)
            self._replies.append((session, progress))

    def success(self, request: ChannelRequest, channel: StoredChannel, ends: float, keys: bytes) -> None:
        """Report the channel to those who asked; one that no app asked for is news for the sessions of the app.

        A push subscription is none: its URI stays what it was.

        :param ends: its end as this machine's wall clock will show it, in seconds since the epoch.
        :param keys: of a push subscription, what its senders need beside the URI.
        """
        name, uri = channel.channel, channel.uri
        for session, number in request.askers:
            done = m.CreateChannelDone(number, Status.COMPLETED_SUCCESS, HResult.S_OK, "", name, uri, ends, keys)
            self._replies.append((session, done))
        if not request.askers and not is_web_push(channel.remote_id):
            self._news.append(m.ChannelRenewed(channel.app, channel.remote_id, name, uri, ends))

    def failure(self, request: ChannelRequest) -> None:
        """Report that there is none, and why."""
        for asker in request.askers:
            self.refuse(asker, request.text, request.hresult)

    def refuse(self, asker: tuple[str, int], text: str, hresult: int) -> None:
        """Report to one who asked that there is none."""
        session, number = asker
        done = m.CreateChannelDone(number, Status.COMPLETED_FAILURE, hresult, text, "", "", 0.0)
        self._replies.append((session, done))

    async def perform(self) -> None:
        """Write, then tell.

        :raises StateUnavailable: there is nothing to wait for, and no session was told; a full disk is waited out in here.
        """
        await self._write()
        for channel in self._keep:
            self._router.send_urgent(m.ChannelOpened(channel.channel, channel.app))
        for name in self._closed:
            self._router.send_urgent(m.ClosedByApp(name))
        for channel in self._drop:
            lost = m.ChannelLost(channel.channel)
            self._router.send_urgent(lost)
            self._sessions.send_to_app(channel.app, lost)
        for mailbox, message in self._outgoing:
            await mailbox.send(message)
        for session, message in self._replies:
            self._sessions.send(session, message)
        for news in self._news:
            self._sessions.send_to_app(news.app, news)
        noted = self._keep, self._pending, self._drop, self._closed, self._values, self._outgoing, self._replies
        for effects in (*noted, self._news):
            effects.clear()

    async def _write(self) -> None:
        for channel in self._keep:
            await self._store.keep_channel(channel)
        for (app, remote_id), stored in self._pending.items():
            if stored is None:
                await self._store.drop_request(app, remote_id)
            else:
                await self._store.keep_request(stored)
        if self._drop:
            await self._store.drop_channels([channel.channel for channel in self._drop])
        for key, value in self._values.items():
            await self._store.keep_value(key, value)
