"""Web Push in the seeded world: what happens there, and the bugs that it finds."""

from __future__ import annotations

import pytest

from tests.simulation.script import Act, Script
from tests.simulation.seeds import run
from tocsin.actors.push_messages import PushMessages
from tocsin.protocol.messages import Arrivals
from tocsin.webpush import device_secrets
from tocsin.webpush.message_encryption import SubscriptionKeys

SUBSCRIBED = Act("subscribe", [0, 0])
POST = Act("post", [0, 2, 4000, 2, None])
LISTENS = Act("attach", [0, "handles"])


def found(*acts: Act) -> str:
    """Return the invariant that these acts find broken."""
    violation = run(Script(0, acts)).violation
    return violation.invariant if violation else ""


def test_what_is_posted_comes_as_it_was_over_kills_restarts_and_broken_wires() -> None:
    """Each message once, but what a newer one of its topic replaced before it was sent, and what was taken back."""
    outcome = run(
        Script(
            0,
            [
                SUBSCRIBED,
                POST,
                Act("cut", [False]),
                Act("post", [0, 3, 4000, 2, "a"]),
                POST,
                Act("take_back", [2]),
                Act("kill"),
                Act("reach"),
                Act("pass_time", [31.0]),
                SUBSCRIBED,
                LISTENS,
                Act("break_wire", ["up", 1, False]),
                POST,
                Act("pass_time", [31.0]),
                Act("restart"),
            ],
        )
    )
    assert outcome.violation is None
    assert outcome.counts["pushed"] == 9
    assert (outcome.counts["acknowledged"], outcome.counts["handled"]) == (6, 6)


@pytest.mark.parametrize("call", range(1, 5))
def test_a_secret_outlives_a_store_that_fails_when_it_is_made(call: int) -> None:
    """The subscription is asked for again, and what was posted to it can be read after a kill."""
    acts = Act("break_store", ["fail_before", call, 0.0]), SUBSCRIBED, Act("pass_time", [90.0]), SUBSCRIBED
    assert found(*acts, POST, Act("kill"), POST, LISTENS) == ""


def test_a_secret_that_is_not_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a kill."""
    acts = SUBSCRIBED, POST, Act("kill"), POST, LISTENS
    assert found(*acts) == ""
    begin = PushMessages.begin

    def forget(self: PushMessages) -> None:
        begin(self)

    monkeypatch.setattr(PushMessages, "begin", forget)
    assert found(*acts) == "what_was_sealed_can_be_read"


def test_keys_that_change_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app asks again, and is told others."""
    acts = (SUBSCRIBED, SUBSCRIBED)
    assert found(*acts) == ""
    monkeypatch.setattr(device_secrets.DeviceSecrets, "_derive", lambda _self, _name: SubscriptionKeys.generate())
    monkeypatch.setattr(device_secrets, "_KEPT", 0)
    monkeypatch.setattr(device_secrets, "lru_cache", lambda _size: lambda function: function)
    assert found(*acts) == "subscriptions_keep_their_keys"


def test_a_message_that_is_handed_out_as_it_came_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app would get what its sender has encrypted."""
    acts = SUBSCRIBED, POST, LISTENS
    assert found(*acts) == ""

    def shut(_self: PushMessages, arrivals: Arrivals, _app_of: object) -> tuple[Arrivals, dict[str, str]]:
        return arrivals, {}

    monkeypatch.setattr(PushMessages, "open", shut)
    assert found(*acts) == "apps_get_what_was_sent"
