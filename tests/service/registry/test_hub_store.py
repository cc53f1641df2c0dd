"""What is kept of hubs: registrations by tag, page by page, and messages with what has become of them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.service.registry.conftest import DurableStore, Opening, making
from tests.service.registry.kept import kept_hubs
from tocsin.protocol.hub.descriptions import BodyTemplate, RegistrationDescription
from tocsin.protocol.hub.hub_outcomes import HubOutcome, Tally, TargetOutcome
from tocsin.protocol.hub.message_life import Phase
from tocsin.protocol.hub.rights import Right
from tocsin.service.registry.hub_store import (
    DeadTarget,
    HubKeyRow,
    HubRow,
    HubStore,
    InstallationRow,
    MessageRow,
    Retry,
    channel_of,
)
from tocsin.service.registry.service_store import ChannelRow

HUB = 7
TEMPLATE = BodyTemplate("t", "<toast/>", (("X-WNS-Type", "wns/toast"),), ("own",))


@pytest.fixture
def hubs(store: DurableStore) -> HubStore:
    """The part of an empty store that is for hubs."""
    return store.hubs


def registration(name: str, *tags: str, installation: str = "") -> RegistrationDescription:
    """Make a registration."""
    return RegistrationDescription(name, f"https://h/w/?token={name}", tags, installation=installation)


def message(number: int = 1, phase: Phase = Phase.ENQUEUED, due: float | None = None) -> MessageRow:
    """Make a message."""
    headers = (("x-wns-type", "wns/raw"),)
    return MessageRow(number, f"m{number}", HUB, phase, "windows", "a", headers, b"\0body", 5.0, ("u1", "u2"), due)


def test_a_channel_is_known_by_its_token() -> None:
    """Whatever else its URI says; without exactly one token it is none."""
    assert (
        channel_of("https://a/w/?token=t%2D1")
        == channel_of("http://other:1/?token=t-1")
        != channel_of("https://a/w/?token=t")
    )
    assert [channel_of(uri) for uri in ("https://a/", "https://a/?token=a&token=b", "https://[/?token=t")] == [None] * 3


async def test_registrations_are_what_was_saved(hubs: HubStore) -> None:
    """With all of their fields; saved again they keep their place."""
    whole = evolve(
        registration("1", "a", "b"),
        etag=3,
        expires=9.5,
        template=TEMPLATE,
        variables=(("x", "y"),),
        secondary_tile="tile",
    )
    await hubs.save_registration(HUB, whole)
    await hubs.save_registration(HUB, registration("2"))
    changed = evolve(whole, tags=("b", "c"), etag=4)
    await hubs.save_registration(HUB, changed, 3)
    assert await hubs.registration(HUB, "1") == changed
    assert [each for _, each in await hubs.registrations(HUB, 0, 9)] == [changed, registration("2")]
    assert await hubs.registration(8, "1") is None


async def test_lists_by_tag_and_by_channel(hubs: HubStore) -> None:
    """Tags that a registration has no more lead to it no more."""
    await hubs.save_registration(HUB, registration("1", "a", "b"))
    await hubs.save_registration(HUB, evolve(registration("1", "b"), id="2"))
    await hubs.save_registration(HUB, registration("1", "c"), 1)

    async def names(**by: str | bytes | None) -> list[str]:
        return [each.id for _, each in await hubs.registrations(HUB, 0, 9, **by)]  # type: ignore[arg-type]

    assert [await names(tag=tag) for tag in "abc"] == [[], ["2"], ["1"]]
    assert await names(channel=channel_of("https://h/w/?token=1")) == ["1", "2"]
    await hubs.remove_registration(HUB, "2", 1)
    assert await names(tag="b") == []


TAGS = st.frozensets(st.sampled_from("abcd"), max_size=4)


@pytest.mark.hypothesis
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_pages_together_are_all_that_have_a_tag(engine: str, request: pytest.FixtureRequest) -> None:
    """Each once, in order, whatever the length of a page; tags of another hub are not looked at."""
    make = making(engine, request)

    @given(have=st.lists(TAGS, max_size=12), wanted=st.none() | TAGS.filter(bool), limit=st.integers(1, 5))
    def are_all(have: list[frozenset[str]], wanted: frozenset[str] | None, limit: int) -> None:
        async def read(opening: Opening) -> list[frozenset[str]]:
            found, after = [], 0
            async with opening() as store:
                for number, tags in enumerate(have):
                    await store.hubs.save_registration(HUB + number % 2, registration(str(number), *sorted(tags)))
                while rows := await store.hubs.targets(HUB, wanted, after, 10_000, limit):
                    assert len(rows) <= limit
                    found += [frozenset(row.registration.tags) for row in rows]
                    after = rows[-1].sequence
            return found

        expected = [tags for tags in have[::2] if wanted is None or tags & wanted]
        with start_blocking_portal() as portal, ExitStack() as stack:
            assert portal.call(read, make(stack, portal)) == expected

    are_all()


async def test_targets_come_with_their_channels(store: DurableStore) -> None:
    """A registration whose channel is not kept has none."""
    key = channel_of("https://h/w/?token=1")
    assert key is not None
    channel = ChannelRow(key, "name", "client", "app", "device", 99.0, revoked=True)
    await store.add_channel(channel)
    await store.hubs.save_registration(HUB, registration("1"))
    await store.hubs.save_registration(HUB, registration("2"))
    rows = await store.hubs.targets(HUB, None, 0, 99, 9)
    assert [row.channel for row in rows] == [channel, None]
    assert await store.hubs.targets_at(HUB, [rows[1].sequence, 77]) == rows[1:]


async def test_weights_are_bounded(hubs: HubStore) -> None:
    """A tag that many have is not counted to its end."""
    for number in range(5):
        await hubs.save_registration(HUB, registration(str(number), "a", *(["b"] if number < 2 else [])))
    assert await hubs.weights(HUB, "abc", 3) == {"a": 3, "b": 2, "c": 0}


async def test_an_installation_is_kept_with_its_parts_and_no_others(hubs: HubStore) -> None:
    """Parts that it has still keep their places; the others go, with it all of them."""
    parts = [registration(name, "t", installation="i") for name in "pq"]
    await hubs.save_installation(HUB, InstallationRow("i", '{"a": 1}', 1), parts)
    first = await hubs.registrations(HUB, 0, 9)
    await hubs.save_installation(
        HUB,
        InstallationRow("i", '{"a": 2}', 2),
        [*parts[1:], registration("r", installation="i")],
        ('{"a": 1}', 1),
    )
    again = await hubs.registrations(HUB, 0, 9)
    assert await hubs.installation(HUB, "i", 0.0) == ('{"a": 2}', 2)
    assert again[0] == first[1]
    assert [each.id for _, each in again] == ["q", "r"]
    counts = await hubs.counts(HUB)
    assert (counts.registrations, counts.installations) == (0, 1)
    await hubs.remove_installation(HUB, "i", ('{"a": 2}', 2))
    assert await hubs.installation(HUB, "i", 0.0) is None
    assert await hubs.registrations(HUB, 0, 9) == []


async def ended(hubs: HubStore) -> set[str]:
    """Tell which channels of the installation have ended, as its document says, and that it says all else as before."""
    kept = await hubs.installation(HUB, "i", 0.0)
    assert kept is not None
    told: dict[str, Any] = json.loads(kept[0])
    own, (tile, other) = told, told["secondaryTiles"].values()
    assert own["pushChannelExpired"] == other["pushChannelExpired"]
    found = {name for name, each in {"own": own, "tile": tile}.items() if each["pushChannelExpired"]}
    for each in (own, tile, other):
        each["pushChannelExpired"] = False
    assert told == json.loads(document())
    return found


def document() -> str:
    """Return a document with a channel of its own, and that of a tile with an odd name."""
    channels = [{"pushChannel": f"https://h/w/?token={name}", "pushChannelExpired": False} for name in ("own", "tile")]
    return json.dumps(
        channels[0] | {"secondaryTiles": {'a."t[0]': channels[1] | {"tags": ["x"]}, "other": channels[0]}}
    )


def both(*, gone: str = "") -> list[RegistrationDescription]:
    """Return the parts that the document stands for, of which one ends before the other."""
    names = ("own", "tile")
    return [evolve(registration(name, installation="i"), expires=5.0 if name == gone else 9.0) for name in names]


async def installed(hubs: HubStore) -> None:
    """Keep an installation with a channel of its own and one of a tile."""
    await hubs.save_installation(
        HUB, InstallationRow("i", document(), 1), [evolve(part, expires=None) for part in both()]
    )


@pytest.mark.parametrize(
    ("token", "expired", "left"),
    [("own", {"own"}, ["tile"]), ("tile", {"tile"}, ["own"]), ("x", set(), ["own", "tile"])],
)
async def test_a_channel_that_has_ended_is_forgotten(
    hubs: HubStore, token: str, expired: set[str], left: list[str]
) -> None:
    """Its registrations go, and an installation whose own it was, or a tile's, says so."""
    await installed(hubs)
    await hubs.forget_channels([channel_of(f"https://h/w/?token={token}") or b""])
    assert [each.id for _, each in await hubs.registrations(HUB, 0, 9)] == left
    assert await ended(hubs) == expired


async def test_progress_is_one_transaction(hubs: HubStore) -> None:
    """Where it stands, what is to be tried again, what is not any more, and what leads nowhere."""
    await installed(hubs)
    await hubs.add_message(message())
    own = (await hubs.registrations(HUB, 0, 9))[0][0]
    dead = [DeadTarget(own, channel_of("https://h/w/?token=own") or b"", "i"), DeadTarget(own + 1, b"another by now")]
    first = [Retry("m1", 3, 1, 20.0), Retry("m1", 4, 1, 10.0)]
    tally = Tally({TargetOutcome(HubOutcome.DROPPED, "off"): 2})
    row = evolve(message(), phase=Phase.PROCESSING, place=8, until=9, began=6.0, tally=tally)
    await hubs.save_progress(row, first, [], dead)
    assert await hubs.message(HUB, "m1") == row
    assert await hubs.due_retries(15.0, 9) == [first[1]]
    assert (await hubs.next_scheduled(), await hubs.next_retry()) == (None, 10.0)
    assert [each.id for _, each in await hubs.registrations(HUB, 0, 9)] == ["tile"]
    assert await ended(hubs) == {"own"}
    await hubs.save_progress(row, [Retry("m1", 3, 2, 30.0)], [4], [])
    assert await hubs.due_retries(99.0, 9) == [Retry("m1", 3, 2, 30.0)]
    assert await hubs.has_retries("m1")
    assert await hubs.has_retries("m1", [4])
    assert not await hubs.has_retries("m1", [4, 3])
    await hubs.save_progress(row, [], [3], [])
    assert not await hubs.has_retries("m1")


async def test_messages_are_found_by_phase_and_by_time(hubs: HubStore) -> None:
    """Those at once in their order, those that are scheduled when they are due."""
    rows = [message(1), message(2), message(3, Phase.SCHEDULED, 50.0), message(4, Phase.SCHEDULED, 40.0)]
    for row in rows:
        await hubs.add_message(row)
    assert await hubs.open_messages(Phase.ENQUEUED, 0, 9) == rows[:2]
    assert await hubs.open_messages(Phase.ENQUEUED, 1, 9) == rows[1:2]
    assert await hubs.due_messages(45.0, 9) == [rows[3]]
    assert await hubs.due_messages(50.0, 9) == [rows[3], rows[2]]
    assert (await hubs.next_scheduled(), await hubs.last_number(), await hubs.count_scheduled(HUB, 9)) == (40.0, 4, 2)
    await hubs.save_progress(evolve(rows[0], phase=Phase.COMPLETED, ended=6.0), [], [], [])
    assert await hubs.open_messages(Phase.ENQUEUED, 0, 9) == rows[1:2]
    assert (await hubs.counts(HUB)).waiting == 3


async def test_pruning_keeps_what_is_new_and_open(hubs: HubStore) -> None:
    """Expired registrations go, and messages that ended long ago or are too many."""
    await hubs.save_hub(HubRow(HUB, "one", None, 1.0), [])
    await hubs.save_registration(HUB, evolve(registration("1"), expires=10.0))
    await hubs.save_registration(HUB, evolve(registration("2"), expires=11.0))
    await hubs.save_registration(HUB, registration("3"))
    for number in range(1, 6):
        await hubs.add_message(evolve(message(number), ended=None if number == 1 else float(number)))
    await hubs.prune(10.0, 3.0, 2)
    assert [each.id for _, each in await hubs.registrations(HUB, 0, 9)] == ["2", "3"]
    assert [await hubs.message(HUB, f"m{number}") is not None for number in range(1, 6)] == [
        True,
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(("gone", "left"), [("own", ["tile"]), ("tile", ["own"])])
async def test_pruning_tells_an_installation_which_channel_has_ended(
    hubs: HubStore, gone: str, left: list[str]
) -> None:
    """Its own or that of a tile; its ETag tells of the change."""
    await hubs.save_hub(HubRow(HUB, "one", None, 1.0), [])
    await hubs.save_installation(HUB, InstallationRow("i", document(), 1), both(gone=gone))
    await hubs.prune(5.0, 0.0, 9)
    assert [each.id for _, each in await hubs.registrations(HUB, 0, 9)] == left
    assert await ended(hubs) == {gone}
    kept = await hubs.installation(HUB, "i", 5.0)
    assert kept is not None
    assert kept[1] > 1


async def test_an_installation_goes_as_a_whole_when_it_expires(hubs: HubStore) -> None:
    """Not found from then on, and forgotten with its parts, also with those whose channels have ended before."""
    await hubs.save_hub(HubRow(HUB, "one", None, 1.0), [])
    parts = [evolve(registration(name, installation="i"), expires=5.0) for name in "pq"]
    await hubs.save_installation(HUB, InstallationRow("i", "{}", 1, 5.0), parts)
    await hubs.save_installation(HUB, InstallationRow("j", "{}", 1, 6.0), [registration("r", installation="j")])
    assert await hubs.installation(HUB, "i", 4.9) == ("{}", 1)
    assert await hubs.installation(HUB, "i", 5.0) is None
    await hubs.prune(5.0, 0.0, 9)
    assert await hubs.installation(HUB, "i", 0.0) is None
    assert [each.id for _, each in await hubs.registrations(HUB, 0, 9)] == ["r"]


async def test_what_was_saved_for_a_hub_that_was_removed_goes(hubs: HubStore) -> None:
    """A request may have been under way."""
    await hubs.save_registration(HUB, registration("1", "a"))
    await hubs.save_installation(HUB, InstallationRow("i", "{}", 1), [registration("p", installation="i")])
    await hubs.add_message(message())
    for number in (HUB - 1, HUB + 1, HUB + 2):
        await hubs.save_registration(number, registration("1"))
    await hubs.save_hub(HubRow(HUB - 1, "before", None, 1.0), [])
    await hubs.save_hub(HubRow(HUB + 1, "behind", None, 1.0), [], await kept_hubs(hubs))
    await hubs.prune(0.0, 0.0, 9)
    left = [(await hubs.counts(number)).registrations for number in range(HUB - 1, HUB + 3)]
    assert left == [1, 0, 1, 0]
    counts = await hubs.counts(HUB)
    assert counts == evolve(counts, registrations=0, parts=0, installations=0, waiting=0)
    assert await hubs.weights(HUB, "a", 9) == {"a": 0}


async def test_a_hub_goes_with_all_that_is_its_own(hubs: HubStore) -> None:
    """And with nothing of another hub; progress of its messages that comes late leaves nothing behind."""
    for number, name in ((HUB, "one"), (8, "two")):
        hub = HubRow(number, name, None, 1.0)
        await hubs.save_hub(hub, [HubKeyRow(number, Right.SEND, "key", 1.0, None)], await kept_hubs(hubs))
        await hubs.save_registration(number, registration("1", "a"))
        await hubs.save_installation(number, InstallationRow("i", "{}", 1), [])
    await hubs.add_message(message())
    await hubs.save_progress(message(), [Retry("m1", 1, 1, 1.0)], [], [])
    await hubs.remove_hub(HUB, await kept_hubs(hubs))
    await hubs.save_progress(message(), [Retry("m1", 1, 2, 2.0)], [], [])
    assert [each.name for each in await hubs.hubs()] == ["two"]
    assert [key.hub for key in await hubs.keys()] == [8]
    assert (await hubs.counts(HUB), await hubs.weights(HUB, "a", 9)) == (
        evolve(await hubs.counts(HUB), registrations=0, installations=0, waiting=0),
        {"a": 0},
    )
    assert (await hubs.next_scheduled(), await hubs.next_retry()) == (None, None)
    assert (await hubs.counts(8)).registrations == 1
