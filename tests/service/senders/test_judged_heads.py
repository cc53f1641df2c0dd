"""Which heads the channel route remembers, and how much of memory these are."""

from __future__ import annotations

import pytest

from tests.service.world import World
from tocsin.protocol.service import wns
from tocsin.protocol.service.wns import NotificationRequest, WnsRefusal
from tocsin.service.senders import judged_heads
from tocsin.service.senders.judged_heads import JudgedHeads
from tocsin.service.web.headers import RawHeaders

LONG = b"A" * 62_000


def head(token: bytes = b"ours", **others: bytes) -> RawHeaders:
    """Write a head that nothing is wrong with but, perhaps, its token."""
    return [
        (b"authorization", b"Bearer " + token),
        (b"x-wns-type", b"wns/raw"),
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"4"),
        *((name.replace("_", "-").encode(), value) for name, value in others.items()),
    ]


@pytest.fixture
def heads() -> JudgedHeads:
    """Give the heads of a service that has verified one token."""
    return JudgedHeads({"ours"}.__contains__)


def test_what_a_stranger_says_is_not_remembered(heads: JudgedHeads, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no memory, and pushes out no head of an honest sender, however many tokens a stranger invents."""
    monkeypatch.setattr(judged_heads, "_REMEMBERED", 2)
    known, _ = heads.judge(head())
    for number in range(10):
        forged, _ = heads.judge(head(b"%d" % number))
        assert (forged.bearer, forged.request) == (str(number), known.request)
        heads.judge(head(LONG + b"%d" % number))
    assert heads.judge(head())[0] is known
    assert len(heads._known) == 1


def test_a_head_is_remembered_without_its_vector(heads: JudgedHeads) -> None:
    """So it is known again with another vector, or with a header that says nothing to the route."""
    known, vector = heads.judge(head(ms_cv=b"one"))
    assert vector == "one"
    assert heads.judge(head(ms_cv=b"other", traceparent=b"x"))[0] is known


def test_a_long_head_is_not_remembered(heads: JudgedHeads) -> None:
    """Also where its token is right: all that are remembered are 16 MiB at most."""
    for _ in range(2):
        judged, _ = heads.judge(head(content_type=LONG))
        assert isinstance(judged.request, WnsRefusal)
    mime = {"content-type": f"application/octet-stream; x={LONG.decode()}"}
    rules = {"x-wns-type": "wns/raw", "content-length": "4", **mime}
    before = wns._remembered.cache_info().currsize
    assert isinstance(wns.read_notification(rules), NotificationRequest)
    long = [each for each in head() if each[0] != b"content-type"] + [(b"content-type", mime["content-type"].encode())]
    assert isinstance(heads.judge(long)[0].request, NotificationRequest)
    assert not heads._known
    assert wns._remembered.cache_info().currsize == before


async def test_the_head_of_a_sender_is_remembered_once_its_token_was_right(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the second of its notifications; a forged one is refused in the same words, whatever its length."""
    judged = JudgedHeads._judge
    looked: list[str] = []

    def watch(self: JudgedHeads, said: tuple[tuple[bytes, bytes], ...]) -> judged_heads.JudgedHead:
        found = judged(self, said)
        looked.append(str(found.bearer)[:4])
        return found

    monkeypatch.setattr(JudgedHeads, "_judge", watch)
    for _ in range(4):
        assert (await world.post()).status == 200
    assert len(looked) == 2
    for token in ("a.b.c", "A" * 20_000):
        for _ in range(3):
            answer = await world.post(headers={"Authorization": f"Bearer {token}"})
            assert (answer.status, answer.reason) == (401, "The access token was not issued by this service")
    assert looked[2:] == ["a.b."] * 3 + ["AAAA"] * 3
