"""What a device may say of itself, and as whom it is sent away where it may not."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages import Hello, Message, PowerState, UnwantedChanged
from tocsin.protocol.network.causes import OTHER_VERSION
from tocsin.protocol.platform.power import MAX_EXEMPT, PLUGGED_IN, Power
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.values import OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION

MIN_KEY: Final = 32
"""Characters of a device's key at least."""


class Unwelcome(Exception):
    """The device is sent away, with this close code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def read_hello(message: Message) -> Hello:
    """Read the first message of a connection.

    :raises ProtocolViolation: it is no hello, or one with a key that is too short.
    :raises Unwelcome: the device speaks another version.
    """
    if not isinstance(message, Hello):
        raise ProtocolViolation(f"a device begins with Hello, not with {type(message).__name__}")
    if not OLDEST_PROTOCOL_VERSION <= message.version <= PROTOCOL_VERSION:
        versions = f"{OLDEST_PROTOCOL_VERSION} to {PROTOCOL_VERSION}"
        raise Unwelcome(OTHER_VERSION, f"this service speaks the versions {versions}, not {message.version}")
    if len(message.device_key) < MIN_KEY:
        raise ProtocolViolation(f"a device key has at least {MIN_KEY} characters, not {len(message.device_key)}")
    return message


def read_power(said: PowerState) -> Power:
    """Read the power state of a device, which is kept for as long as its connection lasts.

    :raises ProtocolViolation: it names too many apps.
    """
    if len(said.exempt) > MAX_EXEMPT:
        raise ProtocolViolation(f"{len(said.exempt)} apps are exempt from battery saver, more than {MAX_EXEMPT}")
    power = Power(said.screen_on_or_plugged, said.battery_saver, said.exempt)
    return PLUGGED_IN if power == PLUGGED_IN else power


def read_unwanted(said: UnwantedChanged) -> Unwanted:
    """Read what a device does not want to be sent.

    :raises ProtocolViolation: it names too much.
    """
    if said.unwanted.fault:
        raise ProtocolViolation(said.unwanted.fault)
    return said.unwanted
