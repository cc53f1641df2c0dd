"""A channel request, as the app sees it: progress while it runs, then one result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import anyio
from attrs import field, frozen

from tocsin.api.channel import PushNotificationChannel
from tocsin.api.session import Session
from tocsin.protocol import messages as m
from tocsin.protocol.errors import ChannelNotGranted, OperationCanceled, PushError
from tocsin.protocol.hresult import describe, named
from tocsin.protocol.values import PushNotificationChannelStatus


@frozen
class PushNotificationCreateChannelStatus:
    """The progress of a channel request (WinRT struct of the same name)."""

    extended_error: int = field(converter=named, repr=describe)
    """The HRESULT of the last failure; 0 while nothing has failed."""
    status: PushNotificationChannelStatus
    """IN_PROGRESS, or IN_PROGRESS_RETRY before each wait."""
    retry_count: int
    """How many retries there have been, the one that is waited for included."""
    detail: str = field(default="", eq=False)
    """What went wrong last, in a sentence; no part of the struct, so it does not count where two are compared."""

    def __str__(self) -> str:
        if not self.retry_count:
            return self.status.name
        return f"{self.status.name}, retry {self.retry_count}: {self.detail} [{describe(self.extended_error)}]"


@frozen
class PushNotificationCreateChannelResult:
    """The result of a channel request (WinRT class of the same name); a failure is a result too."""

    channel: PushNotificationChannel | None
    """The channel; None on failure."""
    extended_error: int = field(converter=named, repr=describe)
    """The HRESULT of the failure; 0 on success."""
    status: PushNotificationChannelStatus
    """COMPLETED_SUCCESS or COMPLETED_FAILURE."""
    detail: str = ""
    """On failure, what went wrong, in a sentence."""

    def __str__(self) -> str:
        return str(self.channel) if self.channel else f"no channel: {self.detail} [{describe(self.extended_error)}]"


class CreateChannelOperation:
    """A channel request on its way (``IAsyncOperationWithProgress``).

    Await it for the result, iterate it for the progress from the first on, or both, from any number of tasks.

    Example::

        operation = manager.create_channel(manager.remote_id)
        async for progress in operation:
            print(progress)
        result = await operation
        print(result.channel.uri if result.channel else f"failed: {result}")
    """

    def __init__(
        self,
        session: Session,
        remote_id: str,
        held: Callable[[m.CreateChannelDone], PushNotificationChannel],
        *,
        owed: bool = False,
    ) -> None:
        """Request the channel; one that is ``owed`` for a lost channel does not mind how many requests wait."""
        self._session = session
        self._number = session.questions.number()
        self._question = m.CreateChannel(self._number, remote_id)
        self._held = held
        self._progress: list[PushNotificationCreateChannelStatus] = []
        self._result: PushNotificationCreateChannelResult | None = None
        self._canceled = False
        self._changed = anyio.Event()
        session.questions.listen(self._number, self, owed=owed)
        if owed:
            session.port.send_urgent(self._question)
            return
        try:
            session.port.send_nowait(self._question)
        except PushError:
            session.questions.unlisten(self._number)
            raise

    def __await__(self) -> Generator[Any, Any, PushNotificationCreateChannelResult]:
        return self._wait().__await__()

    async def __aiter__(self) -> AsyncIterator[PushNotificationCreateChannelStatus]:
        seen = 0
        while True:
            while seen < len(self._progress):
                seen += 1
                yield self._progress[seen - 1]
            if self._ended:
                return
            await self._changed.wait()

    async def channel(self) -> PushNotificationChannel:
        """Wait for the channel, and raise where there is none; a cancellation meanwhile cancels the operation.

        :raises ChannelNotGranted: the request has failed; ``hresult`` is that of the result.
        :raises OperationCanceled: the operation was cancelled.
        """
        try:
            result = await self._wait()
        finally:
            self.cancel()  # without effect where it has ended
        if result.channel is None:
            raise ChannelNotGranted(result.detail or "no channel was granted", result.extended_error)
        return result.channel

    def cancel(self) -> None:
        """End the operation now; tasks that await it get OperationCanceled. Without effect once it has ended."""
        if not self._ended:
            self._canceled = True
            self._wake()
            if self._progress:
                self._withdraw()

    def receive(self, message: m.Message) -> None:
        """Take an answer of the platform; not for apps."""
        if self._canceled:
            self._withdraw()
        elif isinstance(message, m.CreateChannelProgress):
            status = PushNotificationCreateChannelStatus(
                message.extended_error, message.status, message.retry_count, message.text
            )
            if not self._progress or self._progress[-1] != status:  # a restarted requester reports once more
                self._progress.append(status)
                self._wake()
        elif isinstance(message, m.CreateChannelDone):
            channel = self._held(message) if message.channel else None
            self._result = PushNotificationCreateChannelResult(
                channel, message.extended_error, message.status, message.text
            )
            self._session.questions.unlisten(self._number)
            self._wake()

    def resume(self) -> None:
        """Ask again; not for apps."""
        if not self._canceled:
            self._session.port.send_urgent(self._question)

    def _withdraw(self) -> None:
        """Take the question back, which has come: that it has is seen by an answer, as what takes it back would overtake it."""
        self._session.questions.unlisten(self._number)
        self._session.port.send_urgent(m.CancelCreateChannel(self._number))

    @property
    def _ended(self) -> bool:
        return self._canceled or self._result is not None

    async def _wait(self) -> PushNotificationCreateChannelResult:
        while not self._ended:
            await self._changed.wait()
        if self._result is None:
            raise OperationCanceled("the channel request was cancelled")
        return self._result

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
