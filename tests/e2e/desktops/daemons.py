"""The five daemons: where their programs are, and how they are set up so that it is known where they draw what."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

BUTTON_COLOUR = bytes.fromhex("e8e7e6")
"""Of all buttons and of nothing else, where they are to be found by a click."""

_GTK = """\
button{which} {{ background-image: none; background-color: #e8e7e6; border: 1px solid #b0aeac; border-radius: 0;
                 box-shadow: none; }}
"""
_QT = "QPushButton { background-color: #e8e7e6; border: 1px solid #b0aeac; padding: 4px 2px; text-align: center; }\n"

_PICKING = """\
#!/bin/sh
IFS= read -r label < '{folder}/label'
grep -F -m 1 -- "#$label "
"""

_DUNST = """\
[global]
monitor = 0
follow = none
origin = top-right
offset = 10x10
width = 320
font = DejaVu Sans 10
format = "<b>%s</b>\\n%b"
progress_bar = true
dmenu = {folder}/pick
mouse_left_click = close_current
mouse_middle_click = do_action, close_current
mouse_right_click = none
"""

_XFCE = """\
<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-notifyd" version="1.0">
  <property name="do-fadeout" type="bool" value="false"/>
  <property name="do-slideout" type="bool" value="false"/>
  <property name="initial-opacity" type="double" value="1.0"/>
  <property name="notify-location" type="uint" value="2"/>
</channel>
"""

# The other themes draw how much time is left.
_MATE = "[org/mate/notification-daemon]\ntheme='standard'\npopup-location='top_right'\n"

_LXQT = "[General]\nplacement=top-right\nserver_decides=10\nunattendedMaxNum=0\nscreenWithMouse=false\n"


@frozen
class Home:
    """The folders of a daemon's user."""

    folder: Path
    findable: bool
    """Whether buttons are drawn in a colour of their own."""

    @property
    def environment(self) -> dict[str, str]:
        """What programs need to find it."""
        names = {"HOME": "", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache"}
        places = {name: str(self.folder / place) for name, place in names.items()}
        return places | {"XDG_RUNTIME_DIR": str(self.folder / "run")}

    def make(self) -> None:
        """Make them, empty."""
        for place in self.environment.values():
            Path(place).mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, name: str, text: str, mode: int = 0o600) -> None:
        """Write a file in one of them."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)


def _dunst(home: Home) -> None:
    home.write("config/dunst/dunstrc", _DUNST.format(folder=home.folder))
    home.write("pick", _PICKING.format(folder=home.folder), 0o700)


def _xfce(home: Home) -> None:
    home.write("config/xfce4/xfconf/xfce-perchannel-xml/xfce4-notifyd.xml", _XFCE)
    _gtk(home)


def _gtk(home: Home) -> None:
    if home.findable:
        home.write("config/gtk-3.0/gtk.css", _GTK.format(which=":not(.image-button)"))


def _mate(home: Home) -> None:
    home.write("config/glib-2.0/settings/keyfile", _MATE)
    _gtk(home)


def _lxqt(home: Home) -> None:
    home.write("config/lxqt/notifications.conf", _LXQT)
    home.write("config/lxqt/lxqt.conf", "[General]\ntheme=known\n")
    home.write("data/lxqt/themes/known/lxqt-notificationd.qss", _QT if home.findable else "")


@frozen
class Daemon:
    """A daemon, and what of its ways a click has to know."""

    name: str
    package: str
    program: str
    set_up: Callable[[Home], None]
    helper: str = ""
    """A program that it needs, which owns ``helper_name``."""
    helper_name: str = ""
    draws_buttons: bool = True
    draws_default: bool = False
    """Whether the action ``default`` is one more button."""
    leading_buttons: int = 0
    """What looks like a button and stands before them: the one that closes."""
    body_invokes: bool = True
    """Whether a click on the toast itself is the action ``default``."""
    leaves_closed: bool = False
    """Whether it leaves on the screen what it says to have closed."""
    body_button: int = 1
    """The button of the pointer for that."""

    @property
    def installed(self) -> bool:
        """Whether it can be run."""
        return all(shutil.which(program) for program in (self.program, self.helper) if program)


_LIBRARIES = "/usr/lib/x86_64-linux-gnu/xfce4"

DAEMONS = {
    daemon.name: daemon
    for daemon in (
        Daemon("dunst", "dunst", "dunst", _dunst, draws_buttons=False, body_button=2),
        Daemon(
            "xfce4-notifyd",
            "xfce4-notifyd",
            f"{_LIBRARIES}/notifyd/xfce4-notifyd",
            _xfce,
            f"{_LIBRARIES}/xfconf/xfconfd",
            "org.xfce.Xfconf",
            draws_default=True,
            body_invokes=False,
        ),
        Daemon(
            "mate-notification-daemon",
            "mate-notification-daemon",
            "/usr/lib/mate-notification-daemon/mate-notification-daemon",
            _mate,
            leading_buttons=1,
        ),
        Daemon(
            "notification-daemon",
            "notification-daemon",
            "/usr/lib/notification-daemon/notification-daemon",
            _gtk,
            leading_buttons=1,
            leaves_closed=True,
        ),
        Daemon("lxqt-notificationd", "lxqt-notificationd", "lxqt-notificationd", _lxqt, draws_default=True),
    )
}

IN_CI = ("dunst", "xfce4-notifyd", "mate-notification-daemon")
"""Those that every run of the tests tries."""
