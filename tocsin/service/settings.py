"""What an operator may choose about the push service."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

from tocsin.protocol.errors import InvalidArgument


def _within(least: float, most: float) -> Any:
    """Build the validator of a number with limits."""

    def check(_: Any, attribute: Attribute[Any], value: float) -> None:
        if not least <= value <= most:
            raise InvalidArgument(f"{attribute.name} must be from {least:g} to {most:g}, not {value!r}")

    return check


@frozen
class ServiceSettings:
    """The choices, each with its default.

    :raises InvalidArgument: a value is outside its limits.
    """

    host: str = "127.0.0.1"
    """The address or name to listen on; the default can be reached from this machine only."""

    port: int = field(default=0, validator=_within(0, 65_535))
    """The TCP port; 0 takes the one of the last time, or a free one."""

    public_url: str = ""
    """The URL by which senders and devices reach the service where a proxy stands before it; empty: host and port."""

    device_window: int = field(default=1_024, validator=_within(1, 65_536))
    """Payloads that may be on their way to one device, sent and not yet acknowledged."""

    device_backlog: int = field(default=4_096, validator=_within(1, 1_048_576))
    """Payloads that may wait for a place in one device's window; above it senders are told to come back."""

    acknowledge_timeout: float = field(default=10.0, validator=_within(0.001, 3_600))
    """Seconds in which a device has to acknowledge a payload, waiting for the window included."""

    hello_timeout: float = field(default=10.0, validator=_within(0.001, 3_600))
    """Seconds in which a new device connection has to say hello."""

    body_timeout: float = field(default=10.0, validator=_within(0.001, 3_600))
    """Seconds in which the body of a request has to arrive."""

    strict_wns: bool = False
    """Store for a device that is away one notification of each type and channel, as WNS does, and not more."""
