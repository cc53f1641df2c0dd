"""Background work as the specification's apps with low integrity have it: one method that is called with a task instance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid5

from attrs import field, frozen

from tocsin.api.args import CanceledHandler, PushNotificationReceivedEventArgs
from tocsin.api.deferral import Deferral
from tocsin.protocol.platform.activation import CancellationReason

_INSTANCES = UUID("6f1c1e0e-5b0f-4c6e-9a2b-0f4f7d0c7a51")


@frozen
class BackgroundTaskInstance:
    """One run of an app's background work (WinRT interface ``IBackgroundTaskInstance``)."""

    trigger_details: PushNotificationReceivedEventArgs = field()
    """The payload that has begun it, with its type, id and attempt."""

    @property
    def instance_id(self) -> UUID:
        """The id of this run: the same payload has another at each attempt."""
        return uuid5(_INSTANCES, f"{self.trigger_details.id}/{self.trigger_details.attempt}")

    @property
    def cancellation(self) -> CancellationReason | None:
        """Why the work was cancelled; None while it was not."""
        return self.trigger_details.cancellation

    def get_deferral(self) -> Deferral:
        """Keep the work open after the handler has returned, as :meth:`PushNotificationReceivedEventArgs.get_deferral`.

        :raises IllegalCall: the work has ended.
        """
        return self.trigger_details.get_deferral()

    def canceled(self, handler: CanceledHandler) -> int:
        """Call the handler, sync or async, when the work is cancelled; return the token to take it back by.

        :raises InvalidArgument: the handler cannot be called.
        """
        return self.trigger_details.canceled(handler)

    def remove_canceled(self, handler: CanceledHandler | int) -> None:
        """Take a handler back, by itself or by its token.

        :raises NotFound: it is not attached.
        """
        self.trigger_details.remove_canceled(handler)


@frozen
class BackgroundActivatedEventArgs:
    """What a handler of :meth:`PushNotificationManager.on_background_activated` gets (WinRT class of the same name)."""

    task_instance: BackgroundTaskInstance


BackgroundActivatedHandler = Callable[[BackgroundActivatedEventArgs], Awaitable[Any] | Any]
"""What does an app's background work: sync or async."""


def with_task_instance(
    handler: BackgroundActivatedHandler,
) -> Callable[[PushNotificationReceivedEventArgs], Awaitable[Any] | Any]:
    """Return a handler of payloads that calls this one."""

    def call(args: PushNotificationReceivedEventArgs) -> Awaitable[Any] | Any:
        return handler(BackgroundActivatedEventArgs(BackgroundTaskInstance(args)))

    return call
