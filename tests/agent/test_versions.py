"""An app of the version before is served; ``version_1.json`` holds a frame of each of its messages, made when it was current."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from tests.agent.world import world
from tocsin.actors.topology import FROM_APPS
from tocsin.protocol import messages as m
from tocsin.protocol.errors import FrameError, NotSupported
from tocsin.protocol.messages.agent_versions import ADDED, NEW, as_of, check_version, from_version
from tocsin.protocol.messages.codec import decode, decode_own, encode, pack, unpack
from tocsin.protocol.values import AGENT_VERSION, OLDEST_AGENT_VERSION
from tocsin.transport.frame_stream import FrameStream

M = TypeVar("M", bound=m.Message)

RECORDED = json.loads((Path(__file__).parent / "version_1.json").read_text(encoding="utf-8"))
FRAMES = {name: bytes.fromhex(frame) for part in ("from_apps", "to_apps") for name, frame in RECORDED[part].items()}


@pytest.mark.parametrize("name", RECORDED["from_apps"])
def test_what_an_older_app_sends_is_understood(name: str) -> None:
    """Each frame is a message of today, with what stands for the fields that it lacks."""
    message = decode(from_version(1, FRAMES[name]))
    assert type(message).__name__ == name
    assert as_of(1, encode(message)) == FRAMES[name]


@pytest.mark.parametrize("name", RECORDED["to_apps"])
def test_an_older_app_gets_what_it_understands(name: str) -> None:
    """Each message goes to it byte for byte as it went then."""
    message = decode_own(from_version(1, FRAMES[name]))
    assert type(message).__name__ == name
    assert as_of(1, encode(message)) == FRAMES[name]
    assert as_of(AGENT_VERSION, encode(message)) == encode(message)


@pytest.mark.parametrize("kind", NEW)
def test_an_older_app_does_not_get_what_it_does_not_know(kind: type[m.Message]) -> None:
    """What came with a later version is for apps of that version."""
    frame = pack((kind.TAG, 0))
    assert kind.__name__ not in FRAMES
    assert as_of(NEW[kind] - 1, frame) is None
    assert as_of(NEW[kind], frame) == frame


def test_every_message_of_an_app_is_on_record() -> None:
    """One that is newer than version 1 is not sent by an app of it."""
    assert {kind.__name__ for kind in FROM_APPS} <= RECORDED["from_apps"].keys() | NEWER


NEWER: set[str] = set()
"""Messages of apps that version 1 did not have."""


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
        assert len(unpack(FRAMES[kind.__name__])) == len(unpack(from_version(1, FRAMES[kind.__name__]))) - len(fields)


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


async def received(frames: FrameStream, version: int, kind: type[M]) -> M:
    """Return the first message of a kind."""
    with anyio.fail_after(5):
        while True:
            for frame in await frames.receive():
                message = decode_own(from_version(version, frame))
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
