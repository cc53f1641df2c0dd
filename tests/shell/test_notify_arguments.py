"""A popup as the arguments of ``Notify``: each of its type, and escaped where a daemon reads markup."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tocsin.protocol.toasts.popup import Popup, PopupButton, PopupInput
from tocsin.shell.daemon_traits import STANDARD, says_absent, says_full, traits_of
from tocsin.shell.notify_arguments import CRITICAL, DIFFERENCE, NORMAL, made_different, notify_arguments

BUTTONS = (PopupButton("0", "Yes"), PopupButton("1", "No"))
POPUP = Popup("contoso.mail", "A <b>", "x & <i>y</i>\nz", BUTTONS)
ALL = frozenset({"actions", "body", "body-markup", "sound", "inline-reply"})


def test_the_body_is_escaped_where_markup_is_told_of_and_the_title_never() -> None:
    """A daemon that reads none would show the entities."""
    marked = notify_arguments(POPUP, ALL, STANDARD)
    assert (marked.title, marked.body) == ("A <b>", "x &amp; &lt;i&gt;y&lt;/i&gt;\nz")
    assert notify_arguments(POPUP, ALL - {"body-markup"}, STANDARD).body == POPUP.body


def test_a_click_on_the_popup_has_a_label_and_is_no_button() -> None:
    """Keys and labels in turn; where there are no actions, or no buttons, the text says what there is to choose."""
    arguments = notify_arguments(POPUP, ALL, STANDARD)
    assert arguments.actions == ["default", "Open", "0", "Yes", "1", "No"]
    without = notify_arguments(POPUP, frozenset({"body"}), STANDARD)
    assert (without.actions, without.body.splitlines()[-1]) == ([], "In contoso.mail: Yes, No")
    dunst = notify_arguments(POPUP, frozenset({"actions"}), traits_of("dunst", "knopwob"))
    assert (len(dunst.actions), dunst.body.splitlines()[-1]) == (6, "In its menu: Yes, No")


@pytest.mark.parametrize(
    ("changes", "urgency", "milliseconds"),
    [
        ({}, NORMAL, 7000),
        ({"seconds": 25.0}, NORMAL, 25_000),
        ({"seconds": 0.0}, NORMAL, 0),
        ({"seconds": 0.0001}, NORMAL, 1),
        ({"seconds": 1e12}, NORMAL, 24 * 3600 * 1000),
        ({"urgent": True, "seconds": 0.0}, CRITICAL, 0),
        ({"urgent": True, "seconds": 9.0}, CRITICAL, 0),
    ],
)
def test_what_is_urgent_stays(changes: dict[str, Any], urgency: int, milliseconds: int) -> None:
    """Its urgency is a byte, and it has no time; others have some, which is never 0 by rounding."""
    arguments = notify_arguments(evolve(POPUP, **changes), ALL, STANDARD)
    assert arguments.hints["urgency"] == ("y", urgency)
    assert arguments.milliseconds == milliseconds


def test_hints_are_what_a_daemon_knows() -> None:
    """Progress, sound, picture, reply; and what one daemon needs and another must not have."""
    rich = evolve(POPUP, progress=0.404, sound="bell", image="/a.png", inputs=(PopupInput("r", "", "Type", ""),))
    hints = notify_arguments(rich, ALL, STANDARD).hints
    assert hints == {
        "urgency": ("y", NORMAL),
        "value": ("i", 40),
        "sound-name": ("s", "bell"),
        "image-path": ("s", "/a.png"),
        "x-kde-reply-placeholder-text": ("s", "Type"),
    }
    assert "value" not in notify_arguments(rich, ALL, traits_of("Xfce Notify Daemon", "Xfce")).hints
    alone = traits_of("Notification Daemon", "GNOME")
    assert notify_arguments(rich, ALL, alone).hints["transient"] == ("b", True)
    assert "transient" not in notify_arguments(evolve(rich, urgent=True), ALL, alone).hints
    for quiet in (
        notify_arguments(rich, ALL, STANDARD, rings=True),
        notify_arguments(evolve(rich, silent=True), ALL, STANDARD),
    ):
        assert quiet.hints["suppress-sound"] == ("b", True)
        assert "sound-name" not in quiet.hints


def test_equal_popups_are_made_different() -> None:
    """To a daemon; a person sees no difference."""
    arguments = notify_arguments(POPUP, ALL, STANDARD)
    looks = list[tuple[str, str, str]]()
    for _ in range(3):
        different = made_different(arguments, looks)
        assert different.look not in looks
        assert different.body.rstrip(DIFFERENCE) == arguments.body
        looks.append(different.look)
    assert made_different(arguments, []) == arguments


def test_what_d_bus_cannot_carry_is_left_out() -> None:
    """A NUL, and half of a character."""
    arguments = notify_arguments(Popup("a\0b", "\ud800", "c\0", (PopupButton("0", "d\0\udfff"),)), ALL, STANDARD)
    texts = [arguments.app, arguments.title, arguments.body, *arguments.actions]
    assert "\0".join(texts).encode().count(b"\0") == len(texts) - 1


def test_errors_are_known_by_their_names_and_words() -> None:
    """Two daemons say that they are full, each in its own way."""
    assert says_full("org.freedesktop.Notifications.MaxNotificationsExceeded", "")
    assert says_full("org.gtk.GDBus.UnmappedGError.Quark._x.Code0", "Exceeded maximum number of notifications")
    assert not says_full("org.freedesktop.DBus.Error.InvalidArgs", "too long")
    assert says_absent("org.freedesktop.DBus.Error.ServiceUnknown")
    assert says_absent("org.freedesktop.DBus.Error.Spawn.ChildExited")
    assert not says_absent("org.freedesktop.DBus.Error.InvalidArgs")
    assert traits_of("GNOME Shell", "GNOME") == STANDARD
