"""What becomes of a push that a hub has taken, by a hub that a test plays, on virtual time: when it is asked, and what its answers mean."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import anyio
import pytest
import trio.testing

from tests.calling_service.test_wns_pusher import warnings
from tests.client.hub_playing import STRING, check_signature, error
from tocsin.calling_service.hub_pusher import LAST_LOOK, HubPusher
from tocsin.calling_service.pusher import ONE_ATTEMPT
from tocsin.client.http import Reply, Unreachable
from tocsin.client.hub_requests import HubRequests
from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.protocol.hub.connection_string import read_connection_string
from tocsin.protocol.hub.hub_outcomes import HubOutcome, Tally, TargetOutcome
from tocsin.protocol.hub.outcome_xml import write_details
from tocsin.repeat_log import RepeatLog

URI = "https://push.example/w/?token=secret"
BODY = b'{"eventId":107}'
PLACE = "https://hub.example/news/messages/m-1?api-version=2020-06"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class TakingHub:
    """Takes every message, and answers what has become of it with ``answers``, the last of them again and again."""

    def __init__(self, *answers: Reply | Unreachable, place: str = PLACE) -> None:
        self.answers = deque(answers)
        self.taken = Reply(201, {"location": place} if place else {}, b"")
        self.moments: list[float] = []
        """When it was asked, in seconds since the message was taken."""
        self.began = 0.0

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Play."""
        check_signature(headers["Authorization"])
        await anyio.lowlevel.checkpoint()
        if method == "POST":
            assert url == "https://hub.example/news/messages?api-version=2020-06&direct=true"
            assert (headers["ServiceBusNotification-DeviceHandle"], body) == (URI, BODY)
            self.began = anyio.current_time()
            return self.taken
        assert (method, url, body) == ("GET", PLACE, b"")
        self.moments.append(round(anyio.current_time() - self.began, 3))
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Unreachable):
            raise answer
        return answer

    async def push(self, times: int = 1) -> Pushed:
        """Push through it, and return what the last push has come to."""
        pusher = HubPusher(HubRequests(self, "news", read_connection_string(STRING), ONE_ATTEMPT), RepeatLog())
        for _ in range(times):
            pushed = await pusher.push(URI, BODY, 30)
        return pushed


def standing(state: str, outcomes: Iterable[str] = ()) -> Reply:
    """Answer as a hub does; outcomes may be those of others."""
    tally = Tally({TargetOutcome(HubOutcome.SUCCESS): 1} if outcomes else {})
    xml = write_details("m-1", PLACE, state, {}, {}, tally)
    (name,) = outcomes or ("",)
    return Reply(200, {}, xml.replace(b"<Name>Success</Name>", f"<Name>{name}</Name>".encode()))


UNDER_WAY = standing("Processing")


async def test_it_asks_ever_less_often_until_the_message_has_ended() -> None:
    """After 0.1 s, and then after twice as long each time."""
    hub = TakingHub(standing("Enqueued"), UNDER_WAY, UNDER_WAY, standing("Completed", ["ExpiredChannel"]))
    assert await hub.push() is Pushed.GONE
    assert hub.moments == [0.1, 0.3, 0.7, 1.5]


@pytest.mark.parametrize(
    "answer", [UNDER_WAY, standing("Unknown"), error(503, "later"), error(429, "slow"), Unreachable("")]
)
async def test_what_is_not_known_in_time_is_accepted(
    answer: Reply | Unreachable, caplog: pytest.LogCaptureFixture
) -> None:
    """The message was taken; the same push once more would not be better."""
    hub = TakingHub(answer)
    assert await hub.push() is Pushed.ACCEPTED
    assert hub.moments == [0.1, 0.3, 0.7, 1.5, 3.1, 6.3]
    assert anyio.current_time() - hub.began == pytest.approx(LAST_LOOK)
    assert warnings(caplog) == []


async def test_a_hub_that_cannot_be_asked_for_a_moment_is_asked_again() -> None:
    """It may have known all along."""
    hub = TakingHub(Unreachable("away"), error(500, "no"), standing("Completed", ["Success"]))
    assert await hub.push() is Pushed.ACCEPTED
    assert hub.moments == [0.1, 0.3, 0.7]


@pytest.mark.parametrize(
    ("state", "outcome", "pushed"),
    [
        ("Processing", "Success", Pushed.ACCEPTED),
        ("DetailedStateAvailable", "BadChannel", Pushed.GONE),
        ("Completed", "ExpiredChannel", Pushed.GONE),
        ("Completed", "Dropped", Pushed.DROPPED),
    ],
)
async def test_an_outcome_counts_as_soon_as_it_is_told(
    state: str, outcome: str, pushed: Pushed, caplog: pytest.LogCaptureFixture
) -> None:
    """There is one device, so it is the only one; and nothing of these is for the operator to mend."""
    hub = TakingHub(standing(state, [outcome]))
    assert await hub.push() is pushed
    assert hub.moments == [0.1]
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("state", "outcome", "pushed"),
    [
        ("Completed", "WrongChannel", Pushed.DROPPED),
        ("Completed", "PayloadTooLarge", Pushed.DROPPED),
        ("Completed", "InvalidNotificationFormat", Pushed.DROPPED),
        ("Abandoned", "PnsUnavailable", Pushed.FAILED),
        ("Completed", "Throttled", Pushed.FAILED),
        ("Abandoned", "", Pushed.FAILED),
        ("NoTargetFound", "", Pushed.FAILED),
        ("Cancelled", "", Pushed.FAILED),
    ],
)
async def test_what_should_not_be_is_told_once(
    state: str, outcome: str, pushed: Pushed, caplog: pytest.LogCaptureFixture
) -> None:
    """By the hub's own words, and without the channel."""
    assert await TakingHub(standing(state, [outcome] if outcome else [])).push(times=3) is pushed
    (line,) = warnings(caplog)
    words = f"{state}, {outcome}" if outcome else state
    assert line == f"a device could not be rung by a push through a hub: the hub says {words}"


@pytest.mark.parametrize(
    ("hub", "words"),
    [
        (TakingHub(error(403, "this tier has no telemetry")), "the hub has answered 403: this tier has no telemetry"),
        (TakingHub(error(404, "no such message")), "the hub has answered 404: no such message"),
        (TakingHub(error(400, "what is that")), "the hub has answered 400: what is that"),
        (TakingHub(Reply(200, {}, b"<html/>")), "the hub's answer is no NotificationDetails, but 'html'"),
        (TakingHub(standing("Completed")), "it tells no outcome of a message that is complete"),
        (TakingHub(UNDER_WAY, place=""), "it gives its message no id"),
    ],
)
async def test_a_hub_that_does_not_tell_is_asked_once(
    hub: TakingHub, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """For each push, which counts as accepted; and that registrations stay is said, once."""
    assert await hub.push(times=2) is Pushed.ACCEPTED
    assert hub.moments == ([] if "id" in words.split() else [0.1, 0.1])
    (line,) = warnings(caplog)
    assert (
        line == f"a hub does not tell what becomes of pushes, so registrations whose channels have ended stay: {words}"
    )


async def test_a_ring_that_ends_waits_for_no_outcome() -> None:
    """It is cancelled as any other push."""
    hub = TakingHub(UNDER_WAY)
    with anyio.move_on_after(1) as ring:
        await hub.push()
    assert ring.cancelled_caught
    assert hub.moments == [0.1, 0.3, 0.7]
