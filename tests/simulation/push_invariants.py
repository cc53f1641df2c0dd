"""What always holds of Web Push, and of what apps are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import World


def apps_get_what_was_sent(world: World) -> None:
    """Each payload to the byte, and messages of Web Push as they were before they were encrypted."""
    _no_offence(world, "apps_get_what_was_sent")


def what_was_sealed_can_be_read(world: World) -> None:
    """No message dies unread that was encrypted by the keys that an app was told, whatever became of the device since."""
    _no_offence(world, "what_was_sealed_can_be_read")


def subscriptions_keep_their_keys(world: World) -> None:
    """However often an app asks for one again."""
    _no_offence(world, "subscriptions_keep_their_keys")


def subscriptions_are_kept_that_an_app_was_told_of(world: World) -> None:
    """Until they are ended, or their time is over at the service."""
    lost = [
        endpoint
        for endpoint in world.record.keys
        if not world.service.has_ended(endpoint) and endpoint not in world.sim.store._channels
    ]
    assert not lost, f"an app was told of {lost}, which the device does not keep"


def nothing_comes_after_the_end(world: World) -> None:
    """No app is given what was sent to its channel, or its subscription, after that had ended on the device."""
    _no_offence(world, "nothing_comes_after_the_end")


def _no_offence(world: World, invariant: str) -> None:
    offences = world.record.offences[invariant]
    assert not offences, offences[0]
