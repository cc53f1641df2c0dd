"""How a policy is written: each setting by itself, with its fault and its line."""

from __future__ import annotations

from contextlib import suppress

import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.policy import NO_RULES, AppRules, Policy, QuietHours
from tocsin.protocol.platform.policy_text import (
    MAX_APPS,
    MAX_FAULTS,
    MAX_POLICY_LINE,
    MAX_POLICY_SIZE,
    MAX_SIZE,
    OF_ALL,
    OF_APP,
    PolicyKey,
    PolicyValue,
    WrittenPolicy,
    read_policy,
    sized,
)

ALL = """\
cloud_notifications = false
toasts = false
tiles = true
badges = false
quiet_hours = { begin = "22:00", end = "07:30" }
daily_data = "5 MB"
daily_metered_data = "1.5 kB"

[apps."contoso.mail"]
notifications = false
background = true
toasts = true
tiles = false
badges = true
exempt_from_energy_saver = true
daily_data = "512 KiB"
daily_metered_data = "0 B"
"""

OF_MAIL: dict[str, PolicyValue] = {
    "notifications": False,
    "background": True,
    "toasts": True,
    "tiles": False,
    "badges": True,
    "exempt_from_energy_saver": True,
    "daily_data": 512 * 1024,
    "daily_metered_data": 0,
}


def test_every_setting_is_read() -> None:
    """Those of all apps, and those of one."""
    written = read_policy(ALL)
    assert written == WrittenPolicy({
        PolicyKey("", "cloud_notifications"): False,
        PolicyKey("", "toasts"): False,
        PolicyKey("", "tiles"): True,
        PolicyKey("", "badges"): False,
        PolicyKey("", "quiet_hours"): QuietHours(22 * 60, 7 * 60 + 30),
        PolicyKey("", "daily_data"): 5_000_000,
        PolicyKey("", "daily_metered_data"): 1_500,
        **{PolicyKey("contoso.mail", name): value for name, value in OF_MAIL.items()},
    })  # fmt: skip


def test_each_field_of_a_policy_may_be_written() -> None:
    """None is forgotten here, and nothing may be written that no policy has."""
    assert set(OF_ALL) == {each.name for each in fields(Policy)} - {"apps", "origins", "overruled"}
    assert set(OF_APP) == {each.name for each in fields(AppRules)}
    assert all(getattr(NO_RULES, name) is None for name in OF_APP)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "tosts = false",
            "line 1: tosts: there is no such setting of a policy; there are cloud_notifications, toasts,",
        ),
        ("\n\ntoasts = 'no'", "line 3: toasts: it is true or false, not 'no'"),
        ("toasts = 0", "line 1: toasts: it is true or false, not 0"),
        ("# toasts = 1\ndaily_data = 5", 'line 2: daily_data: a size is a number with its unit, such as "5 MB"'),
        ('daily_data = "5 megabytes"', "a size is a number with its unit"),
        ('daily_data = "-5 MB"', "a size is a number with its unit"),
        ('daily_data = "\u0665 MB"', "a size is a number with its unit"),
        ('daily_data = "999999 TB"', "a size is 1000 TB at most"),
        ("quiet_hours = true", "line 1: quiet_hours: quiet hours are a table with begin"),
        ('[quiet_hours]\nbegin = "22:00"', "line 1: quiet_hours: quiet hours are a table with begin"),
        ('[quiet_hours]\nbegin = "22:00"\nend = "24:00"', 'line 1: quiet_hours: end is a time from "00:00" to "23:59"'),
        ('quiet_hours = { begin = 22:00:00, end = "07:00" }', 'line 1: quiet_hours: begin is a time from "00:00"'),
        ('quiet_hours = { begin = "07:00", end = "07:00" }', "quiet hours end at another time than they begin"),
        ("apps = 7", "line 1: apps: the rules of an app stand under [apps."),
        ("[apps]\nmail = 7", "line 2: apps.mail: the rules of an app are a table"),
        ("[[apps.mail]]\ntoasts = true", "line 1: apps.mail: the rules of an app are a table"),
        ('[apps.""]\ntoasts = true', "line 1: apps.'': the name of an app has 1 to 128 printable characters"),
        ('[apps."a\\tb"]\ntoasts = true', "line 1: apps.'a\\tb': the name of an app"),
        ('[apps."a.b"]\n\ncolour = 1', "line 3: apps.'a.b'.colour: there is no such setting of one app; there are"),
        ('apps."a=b".toasts = 1', "line 1: apps.'a=b'.toasts: it is true or false, not 1"),
        ("[apps.mail]\nquiet_hours = 1", "line 2: apps.mail.quiet_hours: there is no such setting of one app"),
        ("toasts = [\n1,\n]", "line 1: toasts: it is true or false, not [1]"),
    ],
)
def test_what_cannot_be_right_is_a_fault(text: str, fault: str) -> None:
    """With its line and its key; all else counts."""
    written = read_policy(f"{text}\n[apps.well]\nbackground = false\n" if "apps = 7" not in text else text)
    (told,) = written.faults
    assert fault in told
    well = {PolicyKey("well", "background"): False}
    assert written.rules == ({} if "apps = 7" in text else well)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("toasts = yes", r"it is no TOML: .*line 1, column 10"),
        ("toasts = true\ntoasts = false", r"it is no TOML: .*overwrite"),
        ("x = " + "[" * 1_900, "it is no TOML: it is too deep"),
        ("x = " + "9" * 1_900, None),
        ("x = 1" + "9" * MAX_POLICY_LINE, f"line 1 has more than {MAX_POLICY_LINE} characters"),
        ("\n" * (MAX_POLICY_SIZE + 1), "a policy has at most 262144"),
        ("\x1b]0;x = 1", r"it is no TOML: .*\\x1b|it is no TOML: [ -~]+"),
    ],
)
def test_what_is_no_toml_is_refused_whole(text: str, words: str | None) -> None:
    """So that the policy before it stays; a number that is too long is a value that is wrong, as any other."""
    if words is None:
        assert len(read_policy(text).faults) == 1
        return
    with pytest.raises(InvalidArgument, match=words) as refused:
        read_policy(text)
    assert str(refused.value).isprintable()


def test_what_is_written_at_length_is_bounded() -> None:
    """Apps behind the last that may be are passed over, and so many faults are told."""
    many = read_policy("".join(f"[apps.a{number}]\ntoasts = true\n" for number in range(MAX_APPS + 2)))
    assert len(many.rules) == MAX_APPS
    (fault,) = many.faults
    assert fault.startswith(
        f"line {2 * MAX_APPS + 1}: apps.a{MAX_APPS}: a policy has rules for {MAX_APPS} apps at most"
    )
    wrong = read_policy("".join(f"a{number} = 1\n" for number in range(MAX_FAULTS + 5)))
    assert len(wrong.faults) == MAX_FAULTS


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else comes of it."""
    faults = tuple[str, ...]()
    with suppress(InvalidArgument):
        faults = read_policy(text).faults
    assert all(fault.isprintable() for fault in faults)


@given(st.integers(0, MAX_SIZE))
def test_a_size_is_written_as_it_may_be_read(size: int) -> None:
    """To the byte."""
    (value,) = read_policy(f'daily_data = "{sized(size)}"').rules.values()
    assert value == size


@pytest.mark.parametrize(("size", "words"), [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (5_000_000, "5 MB")])
def test_a_size_has_the_greatest_unit_that_is_exact(size: int, words: str) -> None:
    """With one decimal at most."""
    assert sized(size) == words
