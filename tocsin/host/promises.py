"""What the owner of the machine's state is told by: sensors, and the source of the group policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from attrs import frozen

from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.policy import Policy


@runtime_checkable
class Sensor(Protocol):
    """Tells some of the facts of the machine; what it does not know is None, and it never fails."""

    name: str
    """What it is called in ``tocsin status``; no other sensor of the platform is called so."""

    @property
    def is_polled(self) -> bool:
        """Whether it looks only when it is asked: nothing tells it of a change. It tells anew when this has changed."""
        ...

    @property
    def standing(self) -> str:
        """What it looks at, or why it knows nothing, in words."""
        ...

    async def run(self, tell: Callable[[HostFacts], None]) -> None:
        """Tell all that it knows at once, and again whenever that has changed, until cancelled."""
        ...

    def ask(self) -> None:
        """A caller waits for what it knows: look again soon, where it is polled."""
        ...


@runtime_checkable
class PolicySource(Protocol):
    """Tells the group policy."""

    is_polled: bool
    """Whether it looks only when it is asked: nothing tells it of a change; that may change while it runs."""

    @property
    def faults(self) -> tuple[str, ...]:
        """What of it cannot be read, a sentence each; that is passed over."""
        ...

    async def run(self, tell: Callable[[Policy], None]) -> None:
        """Tell it at once, and again whenever it has changed, until cancelled; not for apps."""
        ...

    def ask(self) -> None:
        """A caller waits for what it says: look again soon, where no system tells of a change."""
        ...


@frozen
class HostParts:
    """What a platform is told of its machine by; sensors that come first count first."""

    sensors: Sequence[Sensor] = ()
    policy: PolicySource | None = None
