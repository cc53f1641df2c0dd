"""``X-WNS-Match``: which stored toasts a sender deletes."""

from __future__ import annotations

import pytest

from tocsin.protocol.service import wns
from tocsin.protocol.service.wns import WnsRefusal
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import NotificationStatus


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("type:wns/toast;all", ToastMatch()),
        ("type:wns/toast;group=g1", ToastMatch(group="g1")),
        ("type:wns/toast;tag=t1", ToastMatch(tag="t1")),
        ("type:wns/toast;group=g1;tag=t1", ToastMatch(group="g1", tag="t1")),
    ],
)
def test_a_match_says_which_toasts_go(value: str, match: ToastMatch) -> None:
    """The four forms that WNS documents."""
    assert wns.read_match({"x-wns-match": value}) == match


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "all",
            "type:wns/toast",
            "type:wns/toast;",
            "type:wns/raw;all",
            "type:wns/toast;tag=",
            "type:wns/toast;x=y",
        ),
        *("type:wns/toast;tag=t;group=g", "type:wns/toast;tag=a b", f"type:wns/toast;tag={'t' * 17}"),
    ],
)
def test_another_match_is_refused(value: str) -> None:
    """With 400, in words."""
    refusal = wns.read_match({"x-wns-match": value})
    assert isinstance(refusal, WnsRefusal)
    assert (refusal.status, refusal.outcome) == (400, NotificationStatus.DROPPED)
    assert refusal.description.startswith("X-WNS-Match must be type:wns/toast; and then all")
