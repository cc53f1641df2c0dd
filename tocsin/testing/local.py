"""A push service of one's own for a test: it runs in a thread, so that senders of any kind can be tested."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tocsin.persistence.paths import read_path
from tocsin.protocol.arguments import check_kind
from tocsin.service.operations.settings import ServiceSettings
from tocsin.testing.faults import SentRequest
from tocsin.testing.played_host import PlayedHost
from tocsin.testing.pushes import Push
from tocsin.testing.twin import PATIENCE, Twin, check_wait, missed, open_twin


class LocalWns:
    """A running push service with a registered app, a device that is online, and its channel.

    Made by the fixture ``wns`` or by :func:`local_wns`. Its methods may be called from any thread and from sync and
    async tests alike; they return when what they do has been done. Faults come in the order in which they were asked
    for.
    """

    def __init__(self, portal: BlockingPortal, twin: Twin) -> None:
        self._portal = portal
        self._twin = twin
        self.host: PlayedHost = twin.host
        """The machine of the device, and of apps that are told of it: ``with wns.host.battery_saver(): ...``."""
        self.host.changed = lambda: portal.call(twin.play)
        self.channel_uri = twin.channel_uri
        """Where to push; :meth:`new_channel` gives others."""
        self.clock = twin.clock
        """The service's clock: ``wns.clock.advance(hours=1)``."""
        self.url = twin.service.url
        """The service itself: for ``tocsin.embedded(service=...)``."""
        self.token_url = twin.service.token_url
        """The token endpoint in the Live form (``accesstoken.srf``)."""
        self.aad_token_url = twin.service.aad_token_url
        """The token endpoint in the form of Entra v2; any tenant will do."""
        self.client_id = twin.app.client_id
        self.client_secret = twin.app.client_secret
        self.remote_id = twin.app.remote_id
        """What apps ask for channels with."""

    @property
    def pushes(self) -> list[Push]:
        """What has reached the device so far; what was answered with ``received`` while it is online, has."""
        return self._twin.pushes.all()

    @property
    def requests(self) -> list[SentRequest]:
        """The notifications that were posted so far, with their headers and how they were answered."""
        return self._portal.call(lambda: list(self._twin.faults.requests))

    @property
    def token_requests(self) -> int:
        """How often a token was asked for."""
        return self._portal.call(lambda: self._twin.faults.sign_ins)

    def wait_for(self, count: int = 1, timeout: float = PATIENCE) -> list[Push]:
        """Block this thread until the device has that many pushes, and return them.

        :raises InvalidArgument: an argument is of another kind.
        :raises TimedOut: it takes longer than so many seconds; the text says what has come.
        """
        check_wait(count, timeout)
        if not self._twin.pushes.wait_until(lambda there: there >= count, timeout):
            raise missed(count, timeout, self._twin.pushes)
        return self.pushes

    async def wait_for_async(self, count: int = 1, timeout: float = PATIENCE) -> list[Push]:  # noqa: ASYNC109  # as its twin
        """Wait likewise without blocking the event loop, for a sender that runs in it."""
        return await anyio.to_thread.run_sync(self.wait_for, count, timeout)

    def fail(
        self, status: int = 503, *, times: int | None = 1, retry_after: int | str | None = None, description: str = ""
    ) -> None:
        """Answer the next notifications with that status, so many times, or with None until :meth:`heal`.

        :param retry_after: seconds, or any other text to put into the header, such as a date.
        :raises InvalidArgument: an argument is of another kind, or cannot be in an answer.
        """
        fail = self._twin.fail
        self._portal.call(lambda: fail(status, times=times, retry_after=retry_after, description=description))

    def throttle(self, *, times: int | None = 1, retry_after: int | str | None = 1) -> None:
        """Answer the next notifications with 406 and ``channelthrottled``; arguments are as of :meth:`fail`."""
        self._portal.call(lambda: self._twin.throttle(times=times, retry_after=retry_after))

    def refuse_token(
        self, *, error: str = "invalid_client", status: int | None = None, times: int | None = None
    ) -> None:
        """Answer token requests with that error, so many times, or with None until :meth:`heal`.

        :param status: the HTTP status; None for what the form of the endpoint has for a wrong secret, 400 or 401.
        :raises InvalidArgument: an argument is of another kind, or cannot be in an answer.
        """
        self._portal.call(lambda: self._twin.refuse_token(error=error, status=status, times=times))

    def expire_tokens(self) -> None:
        """Let all tokens issued so far be expired: they are answered with 401. New ones are good."""
        self._portal.call(self._twin.expire_tokens)

    def expire_channel(self) -> None:
        """Let the channel be expired: it is answered with 410, until :meth:`new_channel` gives another."""
        self._portal.call(self._twin.expire_channel)

    def revoke_channel(self) -> None:
        """Have the app close its channels: they are answered with 410, until :meth:`new_channel` gives another."""
        self._portal.call(self._twin.revoke_channel)

    def new_channel(self) -> str:
        """Have the app ask for another channel; its URI is returned and is ``channel_uri`` from now on."""
        self.channel_uri = self._portal.call(self._twin.new_channel)
        return self.channel_uri

    def go_offline(self) -> None:
        """Cut the device off."""
        self._portal.call(self._twin.go_offline)

    def go_online(self) -> None:
        """Bring the device back; what was kept for it comes, and can be waited for."""
        self._portal.call(self._twin.go_online)

    def heal(self) -> None:
        """Take back all faults that are still to come; what has expired or was revoked stays so."""
        self._portal.call(self._twin.heal)

    def reset(self) -> None:
        """Begin anew: no faults, nothing noted, all is well with the machine, the clock is right, and the channel good.

        The channel stays the same if it is good; what was sent before does not come any more.
        """
        self.host.restore()
        self._portal.call(self._twin.reset)
        self.channel_uri = self._twin.channel_uri


@contextmanager
def local_wns(state: Path | str | None = None, settings: ServiceSettings | None = None) -> Iterator[LocalWns]:
    """Run a push service on this machine in a thread of its own, for as long as the block lasts.

    :param state: an empty folder for it; by default a temporary one.
    :raises InvalidArgument: an argument is of another kind.
    """
    check_kind(settings, "settings", ServiceSettings, NoneType)
    own = None if state is None else read_path(state, "a state folder")
    with (
        TemporaryDirectory(prefix="tocsin-") as folder,
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(open_twin(own or Path(folder), settings)) as twin,
    ):
        yield LocalWns(portal, twin)
