"""What comes in at a public door is looked at there: the wrong kind is an error that says so, and nothing else happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tocsin
from tests.client.playing import URI, playing
from tocsin.testing import LocalWns, local_wns
from tocsin.testing.manual_clock import Clock

ODD: list[Any] = [5, 5.5, True, None, "x", b"x", [], {}, object()]
"""Something of every kind; each test takes what its argument must not be."""


def without(*kinds: type) -> list[Any]:
    """Return what is of none of these kinds; True is no number."""
    return [value for value in ODD if type(value) not in kinds]


def cases(**wrong: list[Any]) -> list[tuple[str, Any]]:
    """Name each argument with each of its wrong values."""
    return [(name, value) for name, values in wrong.items() for value in values]


@pytest.mark.parametrize(
    ("name", "value"),
    cases(
        app=[*without(str), "", " ", "a\nb", "\udcff", "x" * 129],
        state=[*without(str), "", "a\0b", "~nobody-of-that-name/state"],
        service=[
            *without(type(None)), "", "push.example", "ws://push.example", "http://", "http://h:99999", "http://h:x",
            "http://user:secret@h", "http://h/?a=b", "http://h/#a", "http://h h", "http://\udcff",
        ],
        port=[*without(int), -1, 65536],
        manifest=[*without(str, type(None)), "", "a\0b", "missing.toml"],
        retries=without(type(None)),
        dead_letters=without(type(None)),
    ),
)  # fmt: skip
async def test_the_entrance_looks_at_everything(tmp_path: Path, name: str, value: Any) -> None:
    """Before the folder is made."""
    state = tmp_path / "state"
    arguments = {"app": "contoso.mail", "state": state, name: value}
    with pytest.raises(tocsin.InvalidArgument) as refused:
        async with tocsin.embedded(**arguments):
            pass
    assert "secret" not in str(refused.value)
    assert not state.exists()


async def test_a_port_is_for_a_service_of_ones_own(tmp_path: Path) -> None:
    """It would have no effect."""
    with pytest.raises(tocsin.InvalidArgument, match="names another"):
        async with tocsin.embedded("a", tmp_path, "http://127.0.0.1:1", port=8080):
            pass


async def test_a_state_folder_may_be_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell has looked at what a program says; and no folder is called by a tilde."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    async with tocsin.embedded("a", "~/state"):
        pass
    assert (tmp_path / "home" / "state" / "platform.db").exists()
    assert not (tmp_path / "~").exists()


Call = Callable[[tocsin.PushNotificationManager, Any], Any]


@pytest.mark.parametrize(
    ("call", "values"),
    [
        (lambda manager, value: manager.create_channel(value), ODD),
        (lambda manager, value: manager.is_activator_supported(value), [*without(int), 99, -1, 0]),
        (lambda manager, value: manager.register_activator(value), ODD),
        (lambda manager, value: manager.register_activator(info(), value), without(type(None))),
        (lambda manager, value: manager.unregister_activator(value), [*without(int), 99, -1]),
        (lambda manager, value: manager.add_channel_renewed(value), ODD),
        (lambda manager, value: manager.add_channel_revoked(value), ODD),
        (lambda manager, value: manager.conditions.set_host(energy_saver=value), without(bool)),
        (lambda manager, value: manager.conditions.set_host(**{str(value): True}), ODD),
        (lambda manager, value: manager.conditions.set_app(background=value), without(bool)),
        (lambda manager, value: manager.conditions.set_app(**{str(value): True}), ODD),
        (lambda manager, value: manager.conditions.cancel_work(value), [*without(int, float, bool), 99, 5.5, -1]),
    ],
)
async def test_the_manager_looks_at_everything(tmp_path: Path, call: Call, values: list[Any]) -> None:
    """What would be a frame that no actor can take is refused where it is said; afterwards all works."""
    async with tocsin.embedded("contoso.mail", tmp_path) as manager:
        for value in values:
            with pytest.raises(tocsin.InvalidArgument):
                await call(manager, value)
        assert not any(manager.status().dead_frames.values())
        assert manager.registration is not None
        channel = (await manager.create_channel(manager.registration.remote_id)).channel
        assert channel is not None
        for value in ODD:
            with pytest.raises(tocsin.InvalidArgument):
                channel.add_push_received(value)
            with pytest.raises((tocsin.InvalidArgument, tocsin.NotFound)):
                channel.remove_push_received(value)


def info() -> tocsin.PushNotificationActivationInfo:
    """Say what an unpackaged app registers."""
    return tocsin.PushNotificationActivationInfo(tocsin.Activators.PROTOCOL_ACTIVATOR)


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (tocsin.PushNotificationActivationInfo, [*without(int), -1, 99]),
        (lambda value: tocsin.PushNotificationActivationInfo(tocsin.Activators(4), value), without(type(None))),
        (lambda value: tocsin.PushNotificationActivationInfo(tocsin.Activators(4), None, value), [5, None, "x", [0]]),
        (lambda value: tocsin.PushNotificationActivationInfo(tocsin.Activators(4), None, (), value), without(bool)),
        (lambda value: tocsin.SendPolicy(retries=value), [*without(int), -1]),
        (lambda value: tocsin.SendPolicy(first=value), [*without(int, float), 0, -1, float("nan")]),
        (lambda value: tocsin.SendPolicy(longest=value), [*without(int, float), 0]),
        (lambda value: tocsin.SendPolicy(total=value), [*without(int, float), 0]),
        (lambda value: tocsin.RetryPolicy(first=value), [*without(int, float), 0, float("nan")]),
        (lambda value: tocsin.RetryPolicy(increment=value), [*without(int, float), -1]),
        (lambda value: tocsin.RetryPolicy(longest=value), [*without(int, float), 0]),
        (lambda value: tocsin.RetryPolicy(jitter=value), [*without(int, float), -1, 1, 5]),
        (lambda value: tocsin.DeadLetterPolicy(keep=value), [*without(int), -1]),
        (lambda value: tocsin.DeadLetterPolicy(days=value), [*without(int, float), 0]),
        (lambda value: tocsin.HostState(quiet_hours=value), without(bool)),
        (lambda value: tocsin.AppSettings(notifications=value), without(bool)),
        (lambda value: client(client_id=value), [*without(str), "", "\udcff"]),
        (lambda value: client(client_secret=value), [*without(str), "", "\udcff"]),
        (lambda value: client(token_url=value), [*without(type(None)), "", "host", "http://h/#x", "http://u:p@h/"]),
        (lambda value: client(tenant=value), [*without(str, type(None)), "", "a/b", "\udcff"]),
        (lambda value: client(policy=value), without(type(None))),
        (
            lambda value: client(hosts=value),
            [*without(list, dict, type(None)), [5], [""], ["https://h"], ["h:80"], ["*.h"], ["a b"], [b"h"]],
        ),
    ],
)
def test_what_an_app_makes_is_looked_at(make: Callable[[Any], Any], values: list[Any]) -> None:
    """Policies, states and clients hold what they can be used with."""
    for value in values:
        with pytest.raises(tocsin.InvalidArgument):
            print(value, make(value))  # noqa: T201  # what was made is seen where none should have been


def client(**arguments: Any) -> tocsin.WnsClient:
    """Make a client."""
    return tocsin.WnsClient(**{"client_id": "i", "client_secret": "s", **arguments})


@pytest.mark.parametrize("hosts", [["push.example"], (".push.example",), {"10.0.0.1"}, ["::1"], ["loopback"], []])
def test_hosts_are_names_and_addresses(hosts: Any) -> None:
    """In any collection."""
    assert client(hosts=hosts)._hosts == tuple(hosts)


@pytest.mark.parametrize(
    ("name", "value"),
    cases(
        uri=[*without(), "", "\udcff", "http://127.0.0.1:8080/w/?token=\u00e4"],
        body=[*without(str, bytes), bytes, 0, "\udcff", range(3), [1, 2]],
        type=[*without(), "sms", "raw\r\nX: y"],
        ttl=[*without(int, type(None)), -1, 10**10],
        cache=[*without(bool, type(None)), 0, 1],
        tag=[*without(str, type(None)), "", "not good", "x" * 17, "\u00e4"],
        group=[*without(str, type(None)), "", "not good"],
        priority=[*without(int, type(None)), 0, 9],
        request_status=[*without(bool), 1],
        suppress_popup=[*without(bool), 1],
    ),
)
async def test_sending_looks_at_everything(name: str, value: Any) -> None:
    """``bytes(5)`` are five zero bytes, and no sender wants those; not even a token is asked for."""
    async with playing() as (client, service):
        arguments: dict[str, Any] = {"uri": URI, "body": b"x", name: value}
        with pytest.raises(tocsin.InvalidArgument):
            await client.send(**arguments)
    assert service.posts == service.asked_tokens == []


@pytest.mark.parametrize("body", [b"\xffx", bytearray(b"\xffx"), memoryview(b"\xffx"), memoryview(b"\xff-x")[::2]])
async def test_every_kind_of_bytes_is_a_body(body: bytes | bytearray | memoryview) -> None:
    """They are sent as they are."""
    async with playing() as (client, service):
        await client.send(URI, body)
    assert service.posts[0].body == b"\xffx"


@pytest.fixture(scope="module")
def local() -> Any:
    """Run one service for the tests of its double's methods, none of which gets as far as doing anything."""
    with local_wns() as wns:
        yield wns


@pytest.mark.parametrize(
    ("call", "values"),
    [
        (lambda wns, value: wns.fail(value), [*without(int), 99, 100, 600]),
        (lambda wns, value: wns.fail(times=value), [*without(int, type(None)), 0, -1]),
        (lambda wns, value: wns.fail(retry_after=value), [*without(int, str, type(None)), -1, "a\nb"]),
        (lambda wns, value: wns.fail(description=value), [*without(str), "a\r\nb"]),
        (lambda wns, value: wns.throttle(times=value), [*without(int, type(None)), 0]),
        (lambda wns, value: wns.throttle(retry_after=value), without(int, str, type(None))),
        (lambda wns, value: wns.refuse_token(error=value), without(str)),
        (lambda wns, value: wns.refuse_token(status=value), [*without(int, type(None)), 99]),
        (lambda wns, value: wns.refuse_token(times=value), [*without(int, type(None)), 0]),
        (lambda wns, value: wns.wait_for(value), [*without(int), -1]),
        (lambda wns, value: wns.wait_for(0, value), [*without(int, float), float("nan")]),
    ],
)
def test_the_testers_service_looks_at_everything(
    local: LocalWns, call: Callable[[LocalWns, Any], Any], values: list[Any]
) -> None:
    """A fault that is not one would show up in another test."""
    for value in values:
        with pytest.raises(tocsin.InvalidArgument):
            call(local, value)


def test_the_testers_service_opens_on_what_it_can() -> None:
    """Nor is a wrong folder or setting taken for none."""
    wrong: list[dict[str, Any]] = [{"state": 5}, {"state": ""}, {"settings": 5}, {"settings": {}}]
    for arguments in wrong:
        with pytest.raises(tocsin.InvalidArgument), local_wns(**arguments):
            pass


@pytest.mark.parametrize("name", ["days", "hours", "minutes", "seconds"])
def test_a_clock_goes_by_numbers(name: str) -> None:
    """Finite ones, and forward."""
    for value in [*without(int, float), -1, float("nan"), float("inf"), 1e300, 1e12]:
        with pytest.raises(tocsin.InvalidArgument):
            Clock().advance(**{name: value})


@pytest.mark.parametrize("number", [2**63, 10**400])
def test_a_number_that_no_clock_or_database_holds_is_refused(number: int) -> None:
    """Where the policy is made, and not when it is first used."""
    for policy in (
        lambda: tocsin.DeadLetterPolicy(keep=number),
        lambda: tocsin.DeadLetterPolicy(days=number),
        lambda: tocsin.RetryPolicy(first=number),
        lambda: tocsin.SendPolicy(total=number),
    ):
        with pytest.raises(tocsin.InvalidArgument, match="holds exactly"):
            policy()


class _Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


HOSTILE = ["\x1b]0;title\a\n\u202e" * 20_000, b"\x1b" * 100_000, 10**5000, -(10**5000), [1] * 100_000, _Unspeakable()]
"""Arguments that give orders to a terminal, are huge, or cannot be written."""

DOORS: dict[str, Callable[[Any, Path], Any]] = {
    "app": tocsin.embedded,
    "state": lambda value, _: tocsin.embedded("contoso.mail", value),
    "service": lambda value, path: tocsin.embedded("contoso.mail", path, value),
    "port": lambda value, path: tocsin.embedded("contoso.mail", path, port=value),
    "manifest": lambda value, path: tocsin.embedded("contoso.mail", path, manifest=value),
    "keep": lambda value, _: tocsin.DeadLetterPolicy(keep=value),
    "days": lambda value, _: tocsin.DeadLetterPolicy(days=value),
    "activators": lambda value, _: tocsin.PushNotificationActivationInfo(value),
    "clsid": lambda value, _: tocsin.PushNotificationActivationInfo(tocsin.Activators.COM_ACTIVATOR, value),
    "conditions": lambda value, _: tocsin.PushNotificationActivationInfo(
        tocsin.Activators.PROTOCOL_ACTIVATOR, None, [value]
    ),
    "tenant": lambda value, _: tocsin.WnsClient("id", "secret", tenant=value),
    "hosts": lambda value, _: tocsin.WnsClient("id", "secret", hosts=[value]),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("value", HOSTILE, ids=["text", "bytes", "number", "negative", "list", "object"])
async def test_what_is_refused_is_shown_short_and_harmless(tmp_path: Path, door: str, value: Any) -> None:
    """One line that can be printed, of at most some hundred characters, whatever the argument is."""
    with pytest.raises(tocsin.PushError) as refused:
        async with DOORS[door](value, tmp_path / "state"):
            pass
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) <= 500


async def test_what_is_not_there_is_named_short_and_harmless(tmp_path: Path) -> None:
    """Tokens of handlers and apps' remote ids."""
    async with tocsin.embedded("contoso.mail", tmp_path) as manager:
        assert manager.registration is not None
        channel = (await manager.create_channel(manager.registration.remote_id)).channel
        assert channel is not None
        calls: list[Callable[[Any], Any]] = [channel.remove_push_received, manager.create_channel]
        for call in calls:
            for value in HOSTILE:
                with pytest.raises(tocsin.PushError) as refused:
                    call(value)
                assert str(refused.value).isprintable()
                assert len(str(refused.value)) <= 500
