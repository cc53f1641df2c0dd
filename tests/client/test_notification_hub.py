"""An app's registrations in a hub, which the test plays, on virtual time."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing

import tocsin
from tests.client.hub_playing import KEY, STRING, TOAST, URI, PlayedHub, error, hub_of
from tocsin.client.http import Reply, Unreachable
from tocsin.client.notification_hub import NotificationHub
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.sending.attempts import SendPolicy


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio's virtual clock."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def played() -> PlayedHub:
    """Play a hub."""
    return PlayedHub()


def only(folder: Path) -> Path:
    """Return the only file in a folder, its lock aside."""
    (file,) = (each for each in folder.iterdir() if each.suffix != ".lock")
    return file


class TestRegister:
    """A channel, and what comes of it."""

    async def test_it_is_there_with_its_tags(self, played: PlayedHub, tmp_path: Path) -> None:
        """The URI arrives byte by byte, quotes and ampersands included."""
        made = await hub_of(played, tmp_path).register_native(URI, ["news", "sports", "news"])
        assert made == tocsin.HubRegistration(URI, "1-17-1", "1", None, ("news", "sports"))
        (kept,) = played.kept.values()
        assert kept.text("ChannelUri") == URI
        assert kept.text("Tags") == "news,sports"
        assert kept.description.tag.endswith("}WindowsRegistrationDescription")
        assert played.opened == 0, "connections are closed"

    async def test_its_end_is_told(self, played: PlayedHub, tmp_path: Path) -> None:
        """In UTC; a hub may let registrations expire."""
        played.expires = "2030-01-31T12:00:00.5Z"
        made = await hub_of(played, tmp_path).register_native(URI)
        assert made.expires_at == datetime(2030, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)
        assert made.tags == ()

    async def test_a_restart_changes_the_same_registration(self, played: PlayedHub, tmp_path: Path) -> None:
        """With another channel and other tags, too; it takes one request."""
        first = await hub_of(played, tmp_path).register_native(URI, ["a"])
        played.methods.clear()
        second = await hub_of(played, tmp_path).register_native(URI + "2", ["b"])
        assert (second.registration_id, second.etag, second.tags) == (first.registration_id, "2", ("b",))
        assert played.methods == ["PUT"]
        assert [kept.text("ChannelUri") for kept in played.kept.values()] == [URI + "2"]

    async def test_a_registration_that_is_gone_is_made_anew(self, played: PlayedHub, tmp_path: Path) -> None:
        """The hub answers 410 for an id that it has forgotten."""
        hub = hub_of(played, tmp_path)
        first = await hub.register_native(URI)
        played.kept.clear()
        played.issued.remove(first.registration_id)
        played.issued.update({"1-17-1 old", "x"})
        second = await hub.register_native(URI)
        assert second.registration_id != first.registration_id
        assert [*played.kept] == [second.registration_id]
        played.methods.clear()
        assert await hub.register_native(URI) == tocsin.HubRegistration(URI, second.registration_id, "2", None, ())
        assert played.methods == ["PUT"]

    async def test_lost_storage_makes_no_second_one(self, played: PlayedHub, tmp_path: Path) -> None:
        """What the hub has for the channel is adopted, on whichever page of the list it is."""
        first = await hub_of(played, tmp_path / "a").register_native(URI)
        for name in ("t1", "t2", "t3"):
            await hub_of(played, tmp_path / "a").register_template_native(URI, TOAST, name)
        played.kept = dict(reversed(played.kept.items()))
        again = hub_of(played, tmp_path / "b")
        assert (await again.register_native(URI)).registration_id == first.registration_id
        await again.register_template_native(URI, TOAST, "t2")
        assert len(played.kept) == 4

    async def test_a_crash_between_the_steps_leaves_nothing_behind(self, played: PlayedHub, tmp_path: Path) -> None:
        """The id is on disk before the hub has a registration of it."""
        played.answers.extend([None, None, Unreachable("cut off")])
        hub = hub_of(played, tmp_path, policy=SendPolicy(retries=0))
        with pytest.raises(tocsin.ServiceUnavailable, match="cut off"):
            await hub.register_native(URI)
        made = await hub_of(played, tmp_path).register_native(URI)
        assert (made.registration_id, played.issued) == ("1-17-1", {"1-17-1"})

    @pytest.mark.parametrize(
        "kept",
        [
            b"",
            b"{",
            b"[]",
            b'{"registrations": 5}',
            b'{"registrations": {"$Default": 5}}',
            b"\xff",
            b"[" * 60_000,
            b"x" * 70_000,
        ],
    )
    async def test_a_file_that_is_damaged_counts_as_lost(
        self, played: PlayedHub, tmp_path: Path, kept: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is told in the log, and the registration is found at the hub."""
        first = await hub_of(played, tmp_path).register_native(URI)
        file = only(tmp_path)
        file.write_bytes(kept)
        assert (await hub_of(played, tmp_path).register_native(URI)).registration_id == first.registration_id
        assert "is not what was written" in caplog.text
        assert json.loads(file.read_bytes()) == {"registrations": {"$Default": first.registration_id}}

    async def test_what_belongs_to_an_installation_is_not_adopted(self, played: PlayedHub, tmp_path: Path) -> None:
        """A server may have made one for the same channel, and the hub lists its parts."""
        await hub_of(played, tmp_path / "a").register_native(URI, ["x"])
        (tags,) = [each for each in played.kept["1-17-1"].description if each.tag.endswith("}Tags")]
        tags.text = "$InstallationId:{x}"
        made = await hub_of(played, tmp_path / "b").register_native(URI)
        assert made.registration_id == "2-17-2"

    async def test_two_apps_have_one_each(self, played: PlayedHub, tmp_path: Path) -> None:
        """Also where they share the folder; a program without a name for its app is told by its path."""
        for app in ("contoso.mail", "contoso.chat", None):
            await hub_of(played, tmp_path, app=app).register_native(f"{URI}{app}")
        assert len(played.kept) == 3
        await hub_of(played, tmp_path, app=None).register_native(f"{URI}new")
        assert len(played.kept) == 3

    async def test_calls_at_once_make_one(self, played: PlayedHub, tmp_path: Path) -> None:
        """The second waits for the first."""
        hub = hub_of(played, tmp_path)
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(hub.register_native, f"{URI}{number}")
        assert len(played.kept) == 1
        assert len(played.issued) == 1

    async def test_two_processes_at_once_make_one(self, played: PlayedHub, tmp_path: Path) -> None:
        """The app and its background work may both register when they start; ids that are given up cost nothing."""
        for forgotten in (set[str](), {"1-17-1", "2-17-2", "3-17-3", "4-17-4", "5-17-5", "6-17-6"}):
            played.issued -= forgotten
            played.kept = {id_: kept for id_, kept in played.kept.items() if id_ not in forgotten}
            played.issued |= {f"gone {number}" for number in range(len(forgotten))}  # so that no id is made again
            one, other = hub_of(played, tmp_path), hub_of(played, tmp_path)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one.register_native, URI)
                tasks.start_soon(other.register_native, URI)
                tasks.start_soon(one.register_template_native, URI, TOAST, "t1")
                tasks.start_soon(other.register_template_native, URI, TOAST, "t2")
            assert len(played.kept) == 3
            played.methods.clear()
            await hub_of(played, tmp_path).register_native(f"{URI}new")
            for name in ("t1", "t2"):
                await hub_of(played, tmp_path).register_template_native(f"{URI}new", TOAST, name)
            assert played.methods == ["PUT"] * 3, "the file has all three"

    async def test_what_another_process_has_registered_since_is_not_forgotten(
        self, played: PlayedHub, tmp_path: Path
    ) -> None:
        """One removes the registration that it knows, while the other makes a new one."""
        hub = hub_of(played, tmp_path)
        await hub.register_native(URI)
        file = only(tmp_path)
        played.on_delete = lambda: file.write_text('{"registrations": {"$Default": "another"}}')
        await hub.unregister_native()
        assert json.loads(file.read_bytes()) == {"registrations": {"$Default": "another"}}


class TestTemplate:
    """Templates."""

    async def test_it_is_there_beside_the_native_one(self, played: PlayedHub, tmp_path: Path) -> None:
        """Each by its name, with the type of its root and further headers."""
        hub = hub_of(played, tmp_path)
        native = await hub.register_native(URI)
        first = await hub.register_template_native(URI, TOAST, "greeting", headers={"X-WNS-TTL": "60"}, tags=["a"])
        again = await hub.register_template_native(URI, TOAST, "greeting")
        other = await hub.register_template_native(URI, '{"m": "$(m)"}', "data", type="raw")
        assert len({native.registration_id, first.registration_id, other.registration_id}) == 3
        assert again.registration_id == first.registration_id
        kept = played.kept[other.registration_id]
        assert kept.description.tag.endswith("}WindowsTemplateRegistrationDescription")
        assert kept.text("BodyTemplate") == '{"m": "$(m)"}'
        assert kept.text("TemplateName") == "data"
        headers = [element.text for element in kept.description.iter() if element.tag.endswith(("}Header", "}Value"))]
        assert headers == ["X-WNS-Type", "wns/raw"]

    @pytest.mark.parametrize("kind", ["toast", "tile", "badge"])
    async def test_the_root_tells_the_type(self, played: PlayedHub, tmp_path: Path, kind: str) -> None:
        """Where neither the type nor its header is given."""
        hub = hub_of(played, tmp_path)
        derived = await hub.register_template_native(URI, f"<{kind}/>", "a")
        given = await hub.register_template_native(URI, f"<{kind}/>", "b", headers={"x-wns-type": f"wns/{kind}"})
        for registration in (derived, given):
            texts = [element.text for element in played.kept[registration.registration_id].description.iter()]
            assert f"wns/{kind}" in texts

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"body": ""}, "body must not be empty"),
            ({"body": "no XML"}, "no XML"),
            ({"body": "<raw/>", "type": "voice"}, "toast, tile, badge or raw"),
            ({"body": "<other/>"}, "toast, tile, badge or raw, not 'other'"),
            ({"name": ""}, "name must not be empty"),
            ({"name": "$Default"}, "cannot have the name"),
            ({"type": "toast", "headers": {"X-WNS-Type": "wns/raw"}}, "either"),
            ({"headers": {"X-WNS-TTL": 5}}, "must be text"),
            ({"headers": ["x"]}, "headers must be"),
            ({"headers": {"X-WNS-TTL": "a\nb"}}, "a header that none can be"),
            ({"headers": {"X-WNS-TTL": " 5"}}, "no space before or after"),
            ({"headers": {"X-WNS-TTL": "5", "x-wns-ttl": "5"}}, "a header twice"),
            ({"name": "a\0b"}, "name"),
            ({"name": "x" * 201}, "TemplateName has up to 200"),
            ({"type": "raw", "body": '{"a": "\x01"}'}, "a character that XML cannot hold"),
            ({"type": "raw", "body": "x" * 200_000}, "are read at most"),
            ({"tags": None}, "tags must be"),
        ],
    )
    async def test_what_cannot_be_right_is_refused(
        self, played: PlayedHub, tmp_path: Path, arguments: dict[str, Any], words: str
    ) -> None:
        """Before anything is asked."""
        whole: dict[str, Any] = {"body": TOAST, "name": "t"} | arguments
        with pytest.raises(tocsin.InvalidArgument, match=words):
            await hub_of(played, tmp_path).register_template_native(URI, **whole)
        assert played.asked == []


class TestUnregister:
    """Removal."""

    async def test_it_is_gone_and_the_others_stay(self, played: PlayedHub, tmp_path: Path) -> None:
        """The next registration is a new one."""
        hub = hub_of(played, tmp_path)
        native = await hub.register_native(URI)
        template = await hub.register_template_native(URI, TOAST, "t")
        await hub.unregister_native()
        assert [*played.kept] == [template.registration_id]
        await hub.unregister_template("t")
        assert played.kept == {}
        assert (await hub.register_native(URI)).registration_id != native.registration_id

    async def test_without_a_registration_nothing_is_asked(self, played: PlayedHub, tmp_path: Path) -> None:
        """Nor is it an error."""
        await hub_of(played, tmp_path).unregister_native()
        await hub_of(played, tmp_path).unregister_template("t")
        assert played.asked == []

    @pytest.mark.parametrize("status", [404, 410])
    async def test_what_is_gone_already_is_removed(self, played: PlayedHub, tmp_path: Path, status: int) -> None:
        """As when a channel has ended before."""
        hub = hub_of(played, tmp_path)
        await hub.register_native(URI)
        played.answers.append(error(status, "gone"))
        await hub.unregister_native()
        played.methods.clear()
        await hub.unregister_native()
        assert played.methods == []

    async def test_where_it_fails_the_id_is_kept(self, played: PlayedHub, tmp_path: Path) -> None:
        """So that it can be tried again."""
        hub = hub_of(played, tmp_path, policy=SendPolicy(retries=0))
        await hub.register_native(URI)
        played.answers.append(Unreachable("no program listens"))
        with pytest.raises(tocsin.ServiceUnavailable, match="no program listens"):
            await hub.unregister_native()
        await hub.unregister_native()
        assert played.kept == {}


class TestRetries:
    """What may pass is tried again, after the time that the hub has told."""

    @pytest.mark.parametrize("status", [429, 503, 403])
    async def test_it_waits_as_told(self, played: PlayedHub, tmp_path: Path, status: int) -> None:
        """A 403 that says when to come again is no matter of keys."""
        hub = hub_of(played, tmp_path)
        await hub.register_native(URI)
        played.asked.clear()
        played.answers.append(error(status, "too much", retry_after="7"))
        await hub.register_native(URI)
        first, second = played.asked
        assert 7 <= second.time - first.time <= 7.7

    async def test_what_no_wait_mends_is_not_tried_again(self, played: PlayedHub, tmp_path: Path) -> None:
        """The caller hears of it at once."""
        played.answers.append(Unreachable("it speaks TLS", ConnectionCause.TLS_WANTED))
        with pytest.raises(tocsin.ServiceUnavailable, match="it speaks TLS"):
            await hub_of(played, tmp_path).register_native(URI)
        assert len(played.asked) == 1

    @pytest.mark.parametrize("answer", [error(500, "x"), error(503, "x"), error(409, "x"), Unreachable("cut off")])
    async def test_what_may_pass_is_tried_again(
        self, played: PlayedHub, tmp_path: Path, answer: Reply | Unreachable
    ) -> None:
        """Without a time, after a short and growing one."""
        played.answers.extend([answer, answer])
        assert (await hub_of(played, tmp_path).register_native(URI)).registration_id == "1-17-1"
        times = [asked.time for asked in played.asked[:3]]
        assert 0.5 <= times[1] - times[0] <= 1 <= times[2] - times[1] <= 2

    async def test_it_ends(self, played: PlayedHub, tmp_path: Path) -> None:
        """After so many attempts as the policy has, or at the end of its time."""
        played.answers.extend([error(429, "slow down", retry_after="1")] * 3)
        with pytest.raises(tocsin.Throttled, match=r"429: slow down \(3 attempts\)") as throttled:
            await hub_of(played, tmp_path, policy=SendPolicy(retries=2)).register_native(URI)
        assert (throttled.value.result.retry_after, throttled.value.result.attempts) == (1.0, 3)
        played.answers.append(error(503, "later", retry_after="3600"))
        with pytest.raises(tocsin.ServiceUnavailable, match="503: later"):
            await hub_of(played, tmp_path).register_native(URI)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(400, "the tag is no tag"), tocsin.InvalidArgument, "400: the tag is no tag"),
        (error(401, "the signature has expired"), tocsin.SenderNotAllowed, "401: the signature has expired"),
        (error(403, "the key is for sending"), tocsin.SenderNotAllowed, "403: the key is for sending"),
        (error(404, "there is no hub"), tocsin.NotFound, "404: there is no hub"),
        (error(413, "too large"), tocsin.InvalidArgument, "413"),
        (Reply(404, {}, b"<html>not XML"), tocsin.NotFound, "404: without a reason"),
        (Reply(301, {"location": "https://elsewhere"}, b""), tocsin.ServiceUnavailable, "301"),
        (Reply(201, {}, b""), tocsin.ServiceUnavailable, "is it a hub"),
        (Reply(400, {}, b"<Error><Detail>\x1b[31m</Detail></Error>"), tocsin.InvalidArgument, "without a reason"),
    ],
)
async def test_each_refusal_has_its_error(
    played: PlayedHub, tmp_path: Path, answer: Reply, kind: type[Exception], words: str
) -> None:
    """With the reason that the hub gives, and without another attempt."""
    played.answers.extend([None, answer])
    with pytest.raises(kind, match=words) as refused:
        await hub_of(played, tmp_path).register_native(URI)
    assert len(played.asked) == 2
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"<entry/>", b"<a" * 10, b"<!DOCTYPE x><entry/>", b"\xff"])
async def test_an_answer_that_is_no_registration_is_no_success(played: PlayedHub, tmp_path: Path, body: bytes) -> None:
    """What answers may be no hub."""
    played.answers.extend([None, None, Reply(200, {}, body)])
    with pytest.raises(tocsin.ServiceUnavailable, match="no registration has come back"):
        await hub_of(played, tmp_path).register_native(URI)
    played.answers.append(Reply(200, {}, body))
    with pytest.raises(tocsin.ServiceUnavailable, match="no list has come back"):
        await hub_of(played, tmp_path / "other").register_native(URI)


async def test_a_hub_that_always_says_gone_is_given_up(played: PlayedHub, tmp_path: Path) -> None:
    """It is asked for one new id, not for ever."""
    gone = error(410, "gone")
    played.answers.extend([None, None, gone, None, gone])
    with pytest.raises(tocsin.ServiceUnavailable, match="says that it is gone"):
        await hub_of(played, tmp_path).register_native(URI)
    assert played.methods == ["GET", "POST", "PUT", "POST", "PUT"]


async def test_a_list_without_end_is_not_read_to_it(played: PlayedHub, tmp_path: Path) -> None:
    """A hub that always has another page is no hub."""
    page = Reply(200, {"x-ms-continuationtoken": "more"}, b'<feed xmlns="http://www.w3.org/2005/Atom"/>')
    played.answers.extend([page] * 100)
    with pytest.raises(tocsin.ServiceUnavailable, match="is it a hub"):
        await hub_of(played, tmp_path).register_native(URI)
    assert len(played.asked) < 30


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((5,), "URI must be text"),
        (("",), "URI must not be empty"),
        (("channel",), "https://"),
        ((URI, "news"), "several texts"),
        ((URI, 5), "tags must be"),
        ((URI, [5]), "a tag must be text"),
        ((URI, ["a,b"]), "tag"),
        ((URI, ["$UserId:{x}"]), "begins with"),
        ((URI, [str(number) for number in range(61)]), "60"),
    ],
)
async def test_arguments_that_cannot_be_right(
    played: PlayedHub, tmp_path: Path, arguments: tuple[Any, ...], words: str
) -> None:
    """Are refused before anything is asked."""
    with pytest.raises(tocsin.InvalidArgument, match=words):
        await hub_of(played, tmp_path).register_native(*arguments)
    assert played.asked == []


@pytest.mark.parametrize(
    ("name", "string", "options"),
    [
        (STRING, "news", {}),
        ("", STRING, {}),
        (5, STRING, {}),
        ("a/b", STRING, {}),
        ("..", STRING, {}),
        ("news", "", {}),
        ("news", f"SharedAccessKey={KEY}", {}),
        ("news", STRING, {"app": ""}),
        ("news", STRING, {"app": "\n"}),
        ("news", STRING, {"state": 5}),
        ("news", STRING, {"state": ""}),
        ("news", STRING, {"state": "a\0b"}),
        ("news", STRING, {"state": "~no-such-user-here/x"}),
        ("news", STRING, {"policy": 5}),
    ],
)
def test_a_hub_that_cannot_be_right(name: Any, string: str, options: dict[str, Any]) -> None:
    """Is refused where it is made, without the key."""
    with pytest.raises(tocsin.InvalidArgument) as refused:
        NotificationHub(name, string, **options)
    assert KEY not in str(refused.value)


async def test_the_key_is_shown_nowhere(played: PlayedHub, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in the hub's own text, nor in a log, nor in the file; nor is the channel's URI."""
    caplog.set_level(logging.DEBUG)
    hub = hub_of(played, tmp_path, policy=SendPolicy(retries=1))
    played.answers.append(error(503, "later"))
    made = await hub.register_native(URI)
    assert repr(hub) == "NotificationHub('news' at https://hub.example/)"
    file = only(tmp_path)
    for text in (repr(hub), repr(made), caplog.text, file.read_text(), file.name):
        assert KEY not in text
        assert "token" not in text


class TestFile:
    """The file with the ids."""

    async def test_it_is_private(self, played: PlayedHub, tmp_path: Path) -> None:
        """So is the folder, where it is made."""
        old = os.umask(0)
        try:
            await hub_of(played, tmp_path / "new").register_native(URI)
        finally:
            os.umask(old)
        file = only(tmp_path / "new")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    async def test_a_write_that_fails_leaves_what_was_there(
        self, played: PlayedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And nothing beside it; it is an error, and the hub was not asked to keep what would be lost."""
        hub = hub_of(played, tmp_path)
        await hub.register_native(URI)
        file = only(tmp_path)
        before = file.read_bytes()

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(tocsin.StateUnavailable, match="No space left"):
            await hub.register_template_native(URI, TOAST, "t")
        assert only(tmp_path) == file
        assert file.read_bytes() == before
        assert len(played.kept) == 1

    async def test_it_is_not_read_through_a_link(self, played: PlayedHub, tmp_path: Path) -> None:
        """What another user may have put there is an error."""
        hub = hub_of(played, tmp_path)
        await hub.register_native(URI)
        file = only(tmp_path)
        file.rename(tmp_path / "other")
        file.symlink_to(tmp_path / "other")
        with pytest.raises(tocsin.StateUnavailable, match="cannot be read"):
            await hub.register_native(URI)


async def test_on_trio_it_says_why_it_cannot(tmp_path: Path) -> None:
    """The HTTP library runs on asyncio only."""
    with pytest.raises(tocsin.NotSupported, match="trio"):
        await NotificationHub("news", STRING, state=tmp_path).register_native(URI)


async def test_without_the_http_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain install has a hub's class and no HTTP."""
    monkeypatch.delitem(sys.modules, "tocsin.client.aio", raising=False)
    monkeypatch.setitem(sys.modules, "aiohttp", None)

    async def register() -> None:
        with pytest.raises(tocsin.NotSupported, match=r"aiohttp: pip install 'tocsin\[client\]'"):
            await NotificationHub("news", STRING, state=tmp_path).register_native(URI)

    await anyio.to_thread.run_sync(asyncio.run, register())
