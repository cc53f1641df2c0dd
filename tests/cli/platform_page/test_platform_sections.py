"""What the page of a platform shows of a picture."""

from __future__ import annotations

import re

from attrs import evolve

from tocsin.cli.platform_page.asked_platform import PlatformPicture, read_event
from tocsin.cli.platform_page.platform_sections import MOST, platform_sections
from tocsin.persistence.store import StoredActivator, StoredChannel
from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage
from tocsin.protocol.platform.activation import Activators, SystemConditionType

PICTURE = PlatformPicture(
    {
        "kind": "agent",
        "version": "9.9",
        "pid": 7,
        "socket": "/run/<agent>.sock",
        "service": "https://push.example",
        "causes": {},
        "sessions": {"contoso.mail": 2},
        "over_budget": ["fabrikam"],
        "host": {
            "sensors": [{"name": "UPower", "standing": "reads", "tells": {"on_battery": True}}],
            "told": {},
            "said": {},
            "assumed": {"energy_saver": False},
            "unknown": [],
        },
    },
    {
        "settings": [
            {"setting": "toasts", "value": False, "from": "/etc/policy.toml"},
            {"setting": "quiet_hours", "value": {"begin": "22:00", "end": "07:00"}, "from": "/etc/policy.toml"},
            {"setting": "raw", "value": True, "from": "default"},
        ],
        "faults": ["the file says <nonsense>"],
        "overruled": [],
    },
    {},
    [StoredChannel("0123456789abcdef", "contoso.mail", "0a", "http://push/w/?token=SECRET", 4_000_000_000.0)],
    [
        StoredActivator("contoso.mail", Activators.PUSH_TRIGGER, "", (), False, b"COMMAND"),  # noqa: FBT003
        StoredActivator("fabrikam", Activators.COM_ACTIVATOR, "", (SystemConditionType.USER_PRESENT, 99), True),  # noqa: FBT003
    ],
    {"0123456789abcdef": 3},
    {"crash_loop": 2},
)


def words(markup: str) -> str:
    """Return what is read, an element a blank."""
    return " ".join(re.sub("<[^>]*>", " ", markup).split())


def test_apps_are_shown_with_what_wakes_them() -> None:
    """Those that run, and those that a push would start."""
    shown = words(platform_sections(PICTURE)["app-rows"])
    assert shown == (
        "contoso.mail 2 connected PUSH_TRIGGER — its command fabrikam not running COM_ACTIVATOR USER_PRESENT, 99 nothing"
    )


def test_channels_and_dead_letters_are_shown() -> None:
    """A channel by its short name, with what waits in it."""
    sections = platform_sections(PICTURE)
    assert words(sections["channel-rows"]) == "01234567 contoso.mail 2096-10-02 07:06 3"
    assert words(sections["dead-rows"]) == "crash_loop 2"


def test_no_secret_is_shown() -> None:
    """Neither a URI nor a command; what is from outside is text."""
    everything = "".join(platform_sections(PICTURE).values())
    assert [
        secret for secret in ("SECRET", "http://push/w", "COMMAND", "<agent>", "<nonsense>") if secret in everything
    ] == []


def test_what_decides_is_shown() -> None:
    """What is known of the machine, what the policy says that is no default, and what has gone wrong there."""
    shown = words(platform_sections(PICTURE)["machine"])
    assert shown == (
        "assumed energy saver: no policy: toasts false, says /etc/policy.toml policy: quiet_hours 22:00 to 07:00, says"
        " /etc/policy.toml fabrikam has used up its data of today the file says &lt;nonsense&gt;"
        " Sensors sensor UPower reads; tells on battery: yes"
    )
    assert "policy nothing but defaults" in words(platform_sections(evolve(PICTURE, policy={}))["machine"])


def test_what_is_wrong_is_said() -> None:
    """By the platform itself, and of it where it says nothing."""
    assert "well Version 9.9 Process 7 Push service https://push.example, connected" in words(
        platform_sections(PICTURE)["standing"]
    )
    assert PICTURE.status is not None
    away = evolve(PICTURE, status=PICTURE.status | {"causes": {"connection": "refused"}})
    assert words(platform_sections(away)["standing"]).startswith("State not well connection: refused")
    assert "https://push.example, not connected" in words(platform_sections(away)["standing"])
    gone = PlatformPicture(None, {}, {"here": "nothing runs on x any more"})
    sections = platform_sections(gone)
    assert words(sections["standing"]) == "State not well here: nothing runs on x any more"
    assert words(sections["app-rows"] + sections["channel-rows"] + sections["dead-rows"]) == (
        "No app has connected yet. No app has a channel. No payload has ended unhandled."
    )


def test_tables_are_bounded() -> None:
    """What is left out is said."""
    channels = [StoredChannel(f"{number:016x}", "a", "0a", "", 4e9) for number in range(MOST + 1)]
    sections = platform_sections(evolve(PICTURE, channels=channels))
    assert sections["channel-rows"].count("<tr>") == MOST
    assert words(sections["channel-note"]) == f"The first {MOST} are shown. Channels: {MOST + 1}."


def test_a_stage_is_read_as_a_row_shows_it() -> None:
    """All words on why are its reason; a stage that is not wanted, or that another version has, is none."""
    told = {"at": 1.5, "stage": "dead", "app": "a", "type": "raw", "size": 4, "attempt": 2, "reason": "launch_failed",
            "detail": "no such file", "later": 1}  # fmt: skip
    assert read_event(told) == PayloadEvent(
        1.5,
        Stage.DEAD,
        app="a",
        type="raw",
        size=4,
        attempt=2,
        reason="launch_failed: no such file",
        detail="attempt 2",
    )
    assert read_event({"at": 1.0, "stage": "handled", "attempt": 1}) == PayloadEvent(1.0, Stage.HANDLED, attempt=1)
    assert read_event({"at": 1.0, "stage": "stored"}) is None
    assert read_event({"at": 1.0, "stage": "thawed"}) is None
