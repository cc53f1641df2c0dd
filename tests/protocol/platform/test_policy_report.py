"""What is told of a policy: every setting with its value, and where it is from."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.effective_policy import effective_policy
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.policy_report import PolicyQuestion, policy_report
from tocsin.protocol.platform.policy_text import OF_ALL, OF_APP, read_policy
from tocsin.protocol.values import NotificationType

SYSTEM = """\
quiet_hours = { begin = "22:00", end = "07:00" }
daily_data = "5 MB"
[apps.a]
background = false
"""


def record(user: str = "") -> HostRecord:
    """Return a record under the system's policy and the user's."""
    policy = effective_policy([("/etc", read_policy(SYSTEM)), ("~", read_policy(user))])
    return HostRecord(policy=policy).change_settings("a", {"tiles": False, "background": True})


def rows(app: str | None) -> dict[str, tuple[Any, str]]:
    """Return the settings that are told."""
    report = policy_report(record("toasts = false"), PolicyQuestion(app))
    return {row["setting"]: (row["value"], row["from"]) for row in report["settings"]}


def test_each_setting_is_told_with_where_it_is_from() -> None:
    """Those for all, and the rules for apps."""
    assert rows(None) == {
        "cloud_notifications": (True, "default"),
        "toasts": (False, "~"),
        "tiles": (True, "default"),
        "badges": (True, "default"),
        "quiet_hours": ({"begin": "22:00", "end": "07:00"}, "/etc"),
        "daily_data": (5_000_000, "/etc"),
        "daily_metered_data": (None, "default"),
        'apps."a".background': (False, "/etc"),
    }


def test_of_an_app_all_settings_are_told() -> None:
    """Also what its user has decided, where the policy is silent, and the budget that it has from all."""
    found = rows("a")
    assert set(found) == {*OF_ALL, *(f'apps."a".{name}' for name in OF_APP)}
    assert {name.removeprefix('apps."a".'): row for name, row in found.items() if "apps" in name} == {
        "notifications": (True, "default"),
        "background": (False, "/etc"),
        "toasts": (True, "default"),
        "tiles": (False, "the user"),
        "badges": (True, "default"),
        "exempt_from_energy_saver": (False, "default"),
        "daily_data": (5_000_000, "/etc"),
        "daily_metered_data": (None, "default"),
    }


def test_a_payload_is_told_with_its_gates() -> None:
    """Only where an app is named."""
    assert "payload" not in policy_report(record(), PolicyQuestion())
    payload = policy_report(record(), PolicyQuestion("a", NotificationType.TILE, 4))["payload"]
    assert payload["meets"] == "it is dropped: the user has switched off tiles of this app"
    assert (payload["app"], payload["type"], payload["priority"]) == ("a", "tile", 4)
    assert payload["gates"][0] == {"gate": "cloud notifications", "does": "passes", "why": ""}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"app": 7}, "an app's name"),
        ({"app": ""}, "an app's name"),
        ({"type": "wns/raw"}, "the type of a payload is one of raw, toast, tile, badge, not 'wns/raw'"),
        ({"type": []}, "the type of a payload is one of"),
        ({"priority": 5}, "a priority must be from 1 to 4"),
        ({"priority": "1"}, "a priority must be"),
    ],
)
def test_a_question_that_cannot_be_right_is_refused(fields: dict[str, Any], words: str) -> None:
    """In words."""
    with pytest.raises(InvalidArgument, match=words):
        PolicyQuestion.of(fields)


def test_what_does_not_count_is_told() -> None:
    """As the system's policy says otherwise."""
    (overruled,) = policy_report(record('daily_data = "9 MB"'), PolicyQuestion())["overruled"]
    assert overruled.startswith("~: daily_data = 9 MB does not count: /etc says 5 MB")


def test_what_an_app_has_said_is_no_policy() -> None:
    """It is told as the app's, also as the reason of a gate; where the policy forbids it, too, that is told."""
    said = record("toasts = false").change_host({"cloud_notifications": False, "toasts": False, "badges": True})
    report = policy_report(said, PolicyQuestion("a", NotificationType.RAW))
    found = {row["setting"]: (row["value"], row["from"]) for row in report["settings"]}
    assert found["cloud_notifications"] == (False, "an app (set_host)")
    assert found["toasts"] == (False, "~")
    assert found["badges"] == (True, "default")
    assert report["payload"]["gates"][0]["why"] == "an app (set_host) has switched off notifications from the network"
