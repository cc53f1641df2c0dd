"""The local WNS, with blocking senders in sync tests."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tocsin
from tests.testing.sending import push, sign_in
from tocsin.testing import LocalWns, Push, local_wns


@pytest.fixture
def token(wns: LocalWns) -> object:
    """Sign in."""
    return sign_in(wns)[1]["access_token"]


class TestPushes:
    """What reaches the device."""

    def test_a_push_is_there_when_it_was_answered(self, wns: LocalWns, token: object) -> None:
        """``received`` means that the device has it: no waiting."""
        status, answer = push(wns, token, X_WNS_TTL="60")
        assert (status, answer["X-WNS-Status"]) == (200, "received")
        (got,) = wns.pushes
        assert (got.id, got.type, got.body, got.text) == (answer["X-WNS-Msg-ID"], "raw", b"ding", "ding")
        assert (got.priority, got.channel_uri) == (3, wns.channel_uri)
        assert got.expires == pytest.approx(time.time() + 60, abs=30)

    def test_pushes_can_be_waited_for(self, wns: LocalWns, token: object) -> None:
        """``wait_for`` blocks until a push of another thread has come, or raises TimedOut."""
        thread = threading.Thread(target=push, args=(wns, token))
        thread.start()
        assert [got.text for got in wns.wait_for(1)] == ["ding"]
        thread.join()
        with pytest.raises(
            tocsin.TimedOut, match=r"^2 pushes were expected within 0\.01 s, and 1 came, the newest: raw 'ding'$"
        ):
            wns.wait_for(2, timeout=0.01)
        for _ in range(4):
            push(wns, token)
        with pytest.raises(tocsin.TimedOut, match=r"and 5 came, the newest: raw 'ding', raw 'ding', raw 'ding'$"):
            wns.wait_for(6, timeout=0.01)
        wns.reset()
        with pytest.raises(tocsin.TimedOut, match=r"and 0 came$"):
            wns.wait_for(1, timeout=0.01)

    def test_what_was_sent_can_be_looked_at(self, wns: LocalWns, token: object) -> None:
        """Headers by lower-cased name, and the answer."""
        push(wns, token, X_WNS_Cache_Policy="no-cache")
        push(wns, "forged")
        first, second = wns.requests
        assert (first.status, second.status) == (200, 401)
        assert (first.headers["x-wns-cache-policy"], first.headers["x-wns-type"]) == ("no-cache", "wns/raw")
        assert wns.token_requests == 1

    def test_both_forms_of_tokens_are_good(self, wns: LocalWns) -> None:
        """Live and Entra."""
        status, reply = sign_in(wns, wns.aad_token_url)
        assert (status, reply["token_type"]) == (200, "Bearer")
        assert push(wns, reply["access_token"])[0] == 200


class TestFaults:
    """Faults on demand."""

    def test_a_status_so_many_times(self, wns: LocalWns, token: object) -> None:
        """Then all is well again; nothing of it reaches the device."""
        wns.fail(503, times=2, retry_after=7, description="maintenance")
        wns.fail(500)
        answers = [push(wns, token) for _ in range(4)]
        assert [status for status, _ in answers] == [503, 503, 500, 200]
        assert (answers[0][1]["Retry-After"], answers[0][1]["X-WNS-Error-Description"]) == ("7", "maintenance")
        assert "Retry-After" not in answers[2][1]
        assert len(wns.pushes) == 1
        assert [request.status for request in wns.requests] == [503, 503, 500, 200]

    def test_until_it_is_healed(self, wns: LocalWns, token: object) -> None:
        """A fault may last."""
        wns.fail(500, times=None)
        assert [push(wns, token)[0] for _ in range(3)] == [500] * 3
        wns.heal()
        assert push(wns, token)[0] == 200

    def test_throttled(self, wns: LocalWns, token: object) -> None:
        """As WNS says it, under both names."""
        wns.throttle(retry_after=3)
        status, answer = push(wns, token)
        assert (status, answer["Retry-After"]) == (406, "3")
        assert answer["X-WNS-Status"] == answer["X-WNS-NotificationStatus"] == "channelthrottled"
        assert push(wns, token)[0] == 200

    def test_tokens_refused(self, wns: LocalWns) -> None:
        """In the manner of each endpoint, until healed."""
        wns.refuse_token()
        status, reply = sign_in(wns)
        assert (status, reply["error"]) == (400, "invalid_client")
        assert sign_in(wns, wns.aad_token_url)[0] == 401
        wns.heal()
        wns.refuse_token(status=503, error="temporarily_unavailable", times=1)
        assert [sign_in(wns)[0] for _ in range(2)] == [503, 200]

    def test_tokens_expired(self, wns: LocalWns, token: object) -> None:
        """Those that were issued so far; a new one is good."""
        wns.expire_tokens()
        assert push(wns, token)[0] == 401
        assert push(wns, sign_in(wns)[1]["access_token"])[0] == 200

    def test_a_channel_expired(self, wns: LocalWns, token: object) -> None:
        """410, however the URI is spelled, until the app has another."""
        gone = wns.channel_uri
        wns.expire_channel()
        status, answer = push(wns, token)
        assert (status, answer["X-WNS-Error-Description"]) == (410, "Expired channel URL")
        first = gone.partition("token=")[2][0]
        assert push(wns, token, uri=gone.replace(f"token={first}", f"token=%{ord(first):x}"))[0] == 410
        assert wns.new_channel() == wns.channel_uri != gone
        assert push(wns, token)[0] == 200
        assert push(wns, token, uri=gone)[0] == 410

    def test_a_channel_revoked(self, wns: LocalWns, token: object) -> None:
        """Really: the app has closed it."""
        wns.revoke_channel()
        status, answer = push(wns, token)
        assert (status, answer["X-WNS-Error-Description"]) == (410, "Revoked channel URL")
        wns.new_channel()
        assert push(wns, token)[0] == 200

    def test_the_device_offline(self, wns: LocalWns, token: object) -> None:
        """What is not to be kept is dropped; back online, pushes arrive again. Both may be said twice."""
        for _ in range(2):
            wns.go_offline()
        _, answer = push(wns, token, X_WNS_RequestForStatus="true")
        assert (answer["X-WNS-Status"], answer["X-WNS-DeviceConnectionStatus"]) == ("dropped", "disconnected")
        with pytest.raises(tocsin.PlatformUnavailable, match="go_online"):
            wns.new_channel()
        for _ in range(2):
            wns.go_online()
        assert push(wns, token)[1]["X-WNS-Status"] == "received"
        assert len(wns.pushes) == 1

    def test_a_reset_begins_anew(self, wns: LocalWns, token: object) -> None:
        """Faults, notes, the machine, the clock and what has expired are as at the start; the channel is good."""
        push(wns, token)
        wns.fail(500, times=None)
        wns.host.offline()
        wns.clock.advance(days=31)
        wns.expire_channel()
        wns.reset()
        assert (wns.pushes, wns.requests, wns.token_requests) == ([], [], 0)
        assert push(wns, sign_in(wns)[1]["access_token"])[1]["X-WNS-Status"] == "received"
        assert len(wns.pushes) == 1


class TestHost:
    """The machine of the device."""

    def test_battery_saver_keeps_pushes_at_the_service(self, wns: LocalWns, token: object) -> None:
        """They come when it ends; an app that is exempt gets them at once, but for the lowest priority."""
        with wns.host.battery_saver():
            assert push(wns, token, b"one")[1]["X-WNS-Status"] == "received"
            assert wns.pushes == []
            with wns.host.exempt("app"):
                assert [got.text for got in wns.wait_for(1)] == ["one"]
                push(wns, token, b"two", X_WNS_PRIORITY="4")
                push(wns, token, b"three")
                assert [got.text for got in wns.pushes] == ["one", "three"]
        assert [got.text for got in wns.wait_for(3)] == ["one", "three", "two"]

    def test_on_battery_with_the_screen_off_only_what_is_urgent_comes(self, wns: LocalWns, token: object) -> None:
        """As WNS has it; the screen alone, or the battery alone, hold nothing back."""
        with wns.host.on_battery():
            push(wns, token, b"screen on", X_WNS_PRIORITY="4")
            with wns.host.locked():
                push(wns, token, b"low", X_WNS_PRIORITY="3")
                push(wns, token, b"high", X_WNS_PRIORITY="1")
                assert [got.text for got in wns.pushes] == ["screen on", "high"]
        with wns.host.locked():
            assert [got.text for got in wns.wait_for(3)] == ["screen on", "high", "low"]

    @pytest.mark.parametrize(
        ("policy", "reason", "device"),
        [
            (
                {"cloud_notifications": False},
                "Group policy on the device forbids notifications from the network",
                "disconnected",
            ),
            (
                {"apps": {"app": {"notifications": False}}},
                "Notifications of the app are switched off on the device",
                "connected",
            ),
        ],
    )
    def test_a_policy_that_says_no_is_told_to_senders(
        self, wns: LocalWns, token: object, policy: dict[str, Any], reason: str, device: str
    ) -> None:
        """For as long as it does, over a time without network; then pushes come again."""
        with wns.host.policy(**policy):
            for _ in range(2):
                _, answer = push(wns, token, b"no", X_WNS_RequestForStatus="true")
                assert (answer["X-WNS-Status"], answer["X-WNS-Error-Description"]) == ("dropped", reason)
                assert answer["X-WNS-DeviceConnectionStatus"] == device
                wns.host.offline().end()
        assert push(wns, token, b"yes")[1]["X-WNS-Status"] == "received"
        assert [got.text for got in wns.wait_for(1)] == ["yes"]

    def test_a_device_may_come_and_go_quickly(self, wns: LocalWns, token: object) -> None:
        """Whatever ends it, the next connection is another, and nothing of the one before ends it."""
        for number in range(10):
            with wns.host.offline() if number % 2 else wns.host.policy(cloud_notifications=False):
                pass
            assert push(wns, token)[1]["X-WNS-Status"] == "received"
            assert len(wns.pushes) == number + 1

    def test_a_machine_without_network_has_no_device(self, wns: LocalWns, token: object) -> None:
        """What it was before counts again when the network is back."""
        wns.host.battery_saver()
        with wns.host.offline():
            assert push(wns, token, X_WNS_RequestForStatus="true")[1]["X-WNS-DeviceConnectionStatus"] == "disconnected"
            with pytest.raises(tocsin.PlatformUnavailable):
                wns.go_online()
        assert push(wns, token, b"kept")[1]["X-WNS-Status"] == "received"
        assert wns.pushes == []
        wns.host.restore()
        assert [got.text for got in wns.wait_for(1)] == ["kept"]

    def test_types_are_forbidden_one_by_one(self, wns: LocalWns, token: object) -> None:
        """For all apps or for one; the device hears of it in time though it was offline."""
        with wns.host.offline():
            wns.host.policy(toasts=False, apps={"app": {"tiles": False}})
        for type_, status in (("toast", "dropped"), ("tile", "dropped"), ("badge", "received")):
            body = f"<{type_}/>".encode()
            answer = push(wns, token, body, X_WNS_Type=f"wns/{type_}", Content_Type="text/xml")[1]
            assert answer["X-WNS-Status"] == status, type_
        wns.host.restore()
        assert (
            push(wns, token, b"<toast/>", X_WNS_Type="wns/toast", Content_Type="text/xml")[1]["X-WNS-Status"]
            == "received"
        )


class TestTime:
    """Time under control."""

    def test_tokens_and_channels_age(self, wns: LocalWns, token: object) -> None:
        """A token lives a day, a channel thirty."""
        wns.clock.advance(hours=23, minutes=59)
        assert push(wns, token)[0] == 200
        wns.clock.advance(minutes=1, seconds=1)
        assert push(wns, token)[0] == 401
        assert push(wns, sign_in(wns)[1]["access_token"])[0] == 200
        wns.clock.advance(days=29)
        assert push(wns, sign_in(wns)[1]["access_token"])[0] == 410

    def test_it_goes_forward_only(self, wns: LocalWns) -> None:
        """And can be read."""
        before = wns.clock.now()
        wns.clock.advance(days=1)
        assert wns.clock.now() - before >= timedelta(days=1)
        with pytest.raises(tocsin.InvalidArgument, match="forward"):
            wns.clock.advance(seconds=-1)


def test_without_pytest(tmp_path: Path) -> None:
    """It is a context manager, on any empty folder, and two may run beside each other."""
    with local_wns(tmp_path) as one, local_wns() as other:
        assert one.channel_uri != other.channel_uri
        assert push(other, sign_in(other)[1]["access_token"])[0] == 200
        assert push(other, sign_in(one)[1]["access_token"], uri=other.channel_uri)[0] == 401
        assert (len(one.pushes), len(other.pushes)) == (0, 1)
    assert (tmp_path / "service.db").exists()


def test_a_push_does_not_show_its_channel() -> None:
    """Even a test's output may be public."""
    assert "secret" not in repr(Push("1", "raw", b"x", None, 3, "http://127.0.0.1/w/?token=secret"))


def test_the_plugin_costs_nothing_unless_it_is_used() -> None:
    """Loaded by every pytest of the environment, it loads nothing else of the package."""
    loaded = "sorted(name for name in sys.modules if name.split('.')[0] == 'tocsin')"
    program = f"import sys, tocsin.pytest_plugin; print({loaded})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603  # ours
    assert done.stdout.strip() == "['tocsin', 'tocsin.pytest_plugin']"
