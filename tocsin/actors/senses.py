"""What an actor takes time by."""

from __future__ import annotations

from attrs import frozen

from tocsin.actors.alarm import Alarm
from tocsin.actors.clock import LoopClock, ServiceClock


@frozen
class Senses:
    """The clock and the alarm of this device, and what it knows of the service's clock."""

    clock: LoopClock
    at_service: ServiceClock
    alarm: Alarm
