"""Apps of earlier versions are served; ``version_1.json`` holds a frame of each message of the first, made when it was current."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from attrs import astuple

from tests.agent.world import PATIENCE, world
from tocsin.actors.routes import FROM_APPS
from tocsin.agent.sessions_file import NAME
from tocsin.process_session import began
from tocsin.protocol import messages as m
from tocsin.protocol.errors import FrameError, NotSupported
from tocsin.protocol.messages.agent_versions import (
    ADDED,
    CARRIED,
    CAUSES,
    NEW,
    ROWS,
    as_of,
    check_version,
    from_version,
)
from tocsin.protocol.messages.codec import decode, decode_own, encode, pack, unpack
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.toast_label import LabelText
from tocsin.protocol.values import AGENT_VERSION, OLDEST_AGENT_VERSION, NotificationType
from tocsin.steady import boot
from tocsin.transport.frame_stream import FrameStream

M = TypeVar("M", bound=m.Message)

FOLDER = Path(__file__).parent
RECORDED = {v: json.loads((FOLDER / f"version_{v}.json").read_text("utf-8")) for v in range(1, AGENT_VERSION)}
FRAMES = {
    (version, name): bytes.fromhex(frame)
    for version, recorded in RECORDED.items()
    for part in ("from_apps", "to_apps")
    for name, frame in recorded[part].items()
}
FROM = [(version, name) for version, recorded in RECORDED.items() for name in recorded["from_apps"]]
TO = [(version, name) for version, recorded in RECORDED.items() for name in recorded["to_apps"]]


@pytest.mark.parametrize(("version", "name"), FROM)
def test_what_an_older_app_sends_is_understood(version: int, name: str) -> None:
    """Each frame is a message of today, with what stands for the fields that it lacks."""
    message = decode(from_version(version, FRAMES[version, name]))
    assert type(message).__name__ == name
    assert as_of(version, encode(message)) == FRAMES[version, name]


@pytest.mark.parametrize(("version", "name"), TO)
def test_an_older_app_gets_what_it_understands(version: int, name: str) -> None:
    """Each message goes to it byte for byte as it went then."""
    message = of_today(version, FRAMES[version, name])
    assert type(message).__name__ == name
    assert as_of(version, encode(message)) == FRAMES[version, name]
    assert as_of(AGENT_VERSION, encode(message)) == encode(message)


def of_today(version: int, frame: bytes) -> m.Message:
    """Return a message to an older app with all fields that it has today, also within the values that it carries."""
    values = unpack(from_version(version, frame))
    for kind, (since, place, fields) in CARRIED.items():
        if values[0] == kind.TAG and version < since:
            whole = GROWN[kind]
            assert len(values[place]) == fields
            values = (*values[:place], values[place] + astuple(whole)[fields:], *values[place + 1 :])
    if values[0] == m.Activation.TAG:
        values = (values[0], encode(of_today(version, values[1])), *values[2:])
    for row_kind, (since, fields) in ROWS.items():
        if values[0] == row_kind.TAG and version < since:
            assert {len(row) for row in values[-1]} == {fields}
            values = (*values[:-1], tuple(row + LABELLED[fields:] for row in values[-1]))
    return decode_own(pack(values))


LABELLED = m.PayloadRow(1, "id", NotificationType.TOAST, b"", 1, None, "c1", LabelText("tag/group!"), 1e9)
"""A row of today, whose later fields no older app gets."""


GROWN: dict[type[m.Message], HostState | AppSettings] = {
    m.HostChanged: HostState(),
    m.AppSettingsChanged: AppSettings(),
}
"""What messages carry whole."""


@pytest.mark.parametrize("kind", NEW)
def test_an_older_app_does_not_get_what_it_does_not_know(kind: type[m.Message]) -> None:
    """What came with a later version is for apps of that version."""
    frame = pack((kind.TAG, 0))
    since = NEW[kind]
    assert {version for version, name in TO if name == kind.__name__} == set(range(since, AGENT_VERSION))
    assert as_of(since - 1, frame) is None
    assert as_of(since, frame) == frame


@pytest.mark.parametrize("version", range(OLDEST_AGENT_VERSION, AGENT_VERSION))
def test_an_older_app_hears_of_a_cause_that_it_knows(version: int) -> None:
    """In place of one that is newer than it, whenever it is told how the platform stands; an older one stays."""

    def standing(cause: ConnectionCause | None) -> m.PlatformStanding:
        return m.PlatformStanding(None, connected=False, cause=cause, text="words", since=1.0, due=0.0)

    for cause in (None, *ConnectionCause):
        since, instead = CAUSES.get(cause, (0, cause)) if cause else (0, None)
        right = encode(standing(instead if since > version else cause))
        assert as_of(version, encode(standing(cause))) == right


def test_every_message_of_an_app_is_on_record() -> None:
    """But for what came with this version: no app of an earlier one sends that, and the agent does without it."""
    on_record = RECORDED[AGENT_VERSION - 1]["from_apps"].keys()
    assert {kind.__name__ for kind in FROM_APPS} - {"Resumed"} <= on_record


def test_what_an_older_app_sends_is_bounded() -> None:
    """As what any app sends: an array has so many members at most, since room is made for as many as it says of itself."""
    for frame in (pack((m.Holding.TAG, (0,) * 5_000)), b"\xc1", b"\x05"):
        with pytest.raises(FrameError):
            from_version(1, frame)


def test_a_message_grows_at_its_end() -> None:
    """The fields that were added are the last ones, and no version comes before that of an earlier field."""
    for kind, fields in ADDED.items():
        versions = [since for since, _ in fields]
        assert versions == sorted(versions)
        frame = FRAMES[1, kind.__name__]
        assert len(unpack(frame)) == len(unpack(from_version(1, frame))) - len(fields)


@pytest.mark.parametrize("version", range(OLDEST_AGENT_VERSION, AGENT_VERSION + 1))
async def test_an_older_app_has_told_all_with_what_it_says_first(tmp_path: Path, version: int) -> None:
    """It does not say so itself; a process of its app may be launched then."""
    (tmp_path / "state").mkdir(mode=0o700)
    line = {"boot": boot(), "sessions": [["mail", os.getpid(), began(os.getpid())]]}
    (tmp_path / "state" / NAME).write_text(json.dumps(line), encoding="utf-8")
    async with world(tmp_path) as w, await anyio.connect_unix(w.socket) as socket:
        frames = FrameStream(socket, 1024 * 1024)
        await frames.send([encode(m.SessionHello(version, "mail"))])
        await received(frames, version, m.SessionWelcome)
        returning = w.agent.platform.sessions
        assert returning.awaits(LaunchPurpose.PUSH, "mail")
        assert json.loads((tmp_path / "state" / NAME).read_bytes()) == line  # before the app is welcomed
        await frames.send([encode(m.Subscribe("c"))] + [encode(m.Resumed())] * (version == AGENT_VERSION))
        with anyio.fail_after(PATIENCE):
            while returning.awaits(LaunchPurpose.PUSH, "mail"):  # noqa: ASYNC110  # the socket has no event for it
                await anyio.sleep(0.01)


@pytest.mark.parametrize("version", range(OLDEST_AGENT_VERSION, AGENT_VERSION + 1))
async def test_an_app_of_a_version_before_works(tmp_path: Path, version: int) -> None:
    """It is welcomed in its own version, and its requests are answered."""
    async with world(tmp_path) as w, await anyio.connect_unix(w.socket) as socket:
        frames = FrameStream(socket, 1024 * 1024)
        await frames.send([encode(m.SessionHello(version, "mail"))])
        welcome = await received(frames, version, m.SessionWelcome)
        assert welcome.version == version
        service = decode_own(welcome.own_service)
        assert isinstance(service, m.OwnService)
        await frames.send([encode(m.CreateChannel(1, service.remote_id))])
        done = await received(frames, version, m.CreateChannelDone)
        assert done.channel


@pytest.mark.parametrize(
    ("version", "cause"), [(2, ConnectionCause.DENIED), (AGENT_VERSION, ConnectionCause.CLOUD_DISABLED)]
)
async def test_an_older_app_is_welcomed_where_policy_forbids_a_connection(
    tmp_path: Path, version: int, cause: ConnectionCause
) -> None:
    """With a cause that it knows."""
    async with world(tmp_path) as w, w.connect("chat") as manager:
        await manager.conditions.set_host(cloud_notifications=False)
        with anyio.fail_after(5):
            while manager.status().connection.cause is not ConnectionCause.CLOUD_DISABLED:  # noqa: ASYNC110  # it has no event
                await anyio.sleep(0.001)
        async with await anyio.connect_unix(w.socket) as socket:
            frames = FrameStream(socket, 1024 * 1024)
            await frames.send([encode(m.SessionHello(version, "mail"))])
            welcome = await received(frames, version, m.SessionWelcome)
            standing = decode_own(welcome.standing)
            assert isinstance(standing, m.PlatformStanding)
            assert (standing.cause, standing.connected) == (cause, False)
            assert standing.text.startswith("group policy forbids notifications from the network")


async def received(frames: FrameStream, version: int, kind: type[M]) -> M:
    """Return the first message of a kind."""
    with anyio.fail_after(5):
        while True:
            for frame in await frames.receive():
                message = of_today(version, frame)
                if isinstance(message, kind):
                    return message


@pytest.mark.parametrize(
    ("version", "older"), [(OLDEST_AGENT_VERSION - 1, "the app"), (AGENT_VERSION + 1, "the agent")]
)
def test_one_that_is_too_old_or_too_new_is_told_so(version: int, older: str) -> None:
    """With the versions that there are, and which of both is to be upgraded."""
    with pytest.raises(NotSupported, match=f"and the app version {version}: upgrade {older}"):
        check_version(version)
    for known in range(OLDEST_AGENT_VERSION, AGENT_VERSION + 1):
        check_version(known)
