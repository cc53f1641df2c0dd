"""What may be shown: by group policy, by what the user has decided, and by the type."""

from __future__ import annotations

import pytest

from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.toasts.toast_rules import refusal
from tocsin.protocol.values import DropReason, NotificationType

TOAST, TILE, BADGE = NotificationType.TOAST, NotificationType.TILE, NotificationType.BADGE
OFF, TYPE_OFF = DropReason.NOTIFICATIONS_DISABLED, DropReason.TYPE_DISABLED


@pytest.mark.parametrize(
    ("kind", "host", "settings", "reason", "words"),
    [
        (TOAST, HostState(notifications=False), AppSettings(), OFF, "the user has switched off notifications"),
        (TILE, HostState(), AppSettings(notifications=False), OFF, "the user has switched off the notifications of this app"),
        (BADGE, HostState(), AppSettings(notifications=False, by_policy=True), OFF, "group policy has switched off the notifications of this app"),
        (TOAST, HostState(toasts=False), AppSettings(), TYPE_OFF, "group policy forbids toasts"),
        (TILE, HostState(tiles=False), AppSettings(), TYPE_OFF, "group policy forbids tiles"),
        (BADGE, HostState(badges=False), AppSettings(), TYPE_OFF, "group policy forbids badges"),
        (TOAST, HostState(), AppSettings(toasts=False), TYPE_OFF, "the user has switched off toasts of this app"),
        (TOAST, HostState(), AppSettings(toasts=False, by_policy=True), TYPE_OFF, "group policy has switched off toasts of this app"),
        (TILE, HostState(), AppSettings(tiles=False), TYPE_OFF, "tiles of this app are switched off"),
        (BADGE, HostState(), AppSettings(badges=False), TYPE_OFF, "badges of this app are switched off"),
    ],
)  # fmt: skip
def test_what_may_not_be_shown_has_its_reason(
    kind: NotificationType, host: HostState, settings: AppSettings, reason: DropReason, words: str
) -> None:
    """It says who has decided, as far as that is known."""
    assert refusal(kind, host, settings) == (reason, words)


@pytest.mark.parametrize("kind", [TOAST, TILE, BADGE])
def test_what_is_off_for_another_type_is_shown(kind: NotificationType) -> None:
    """And where nothing is off."""
    on = {f"{other}s": other is kind for other in (TOAST, TILE, BADGE)}
    assert refusal(kind, HostState(**on), AppSettings(**on)) is None
    assert refusal(kind, HostState(cloud_notifications=False), AppSettings(background=False)) is None
