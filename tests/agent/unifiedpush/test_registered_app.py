"""A registration in its life, on virtual time, between a platform, an app and a store that the test plays."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import trio.testing
from attrs import evolve

from tests.agent.unifiedpush.played import ASKED, MemoryRegistrations, World, living
from tocsin.protocol import messages as m
from tocsin.protocol.hresult import HResult
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.unifiedpush.connector_registration import (
    ABSENCE,
    LAST_CHANCE,
    AppPresence,
    ConnectorRegistration,
    Phase,
)
from tocsin.protocol.unifiedpush.delivery import Delivery
from tocsin.protocol.unifiedpush.distributor_call import Reason
from tocsin.protocol.values import NotificationType, Outcome
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.protocol.webpush.sender import web_push_sender

HOUR, DAY = 3_600.0, 86_400.0
ENDPOINT = "http://push.test/p/c1"
STORED = ConnectorRegistration("t", "org.example.Chat", 2, "a test", None, 9e8, Phase.REGISTERED, ENDPOINT)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_it_is_written_down_before_its_app_is_told() -> None:
    """First as one that asks for its endpoint, then with that."""
    w = World()
    async with living(w) as app:
        request = await w.until_asked(m.CreateChannel)
        assert isinstance(request, m.CreateChannel)
        assert request.remote_id == web_push_sender(None)
        assert [row.phase for row in w.store.kept] == [Phase.REGISTERING]
        assert w.connectors.endpoints == []
        await w.grant()
        await app.settled()
        assert [(row.phase, row.endpoint) for row in w.store.kept[1:]] == [(Phase.REGISTERED, ENDPOINT)]
        assert w.connectors.endpoints == [ENDPOINT]
        assert app.standing == ""


async def test_registering_again_tells_the_same_endpoint() -> None:
    """After the agent's restart, too: at once, and the push service is asked to keep it."""
    w = World(MemoryRegistrations(STORED))
    async with living(w, STORED) as app:
        app.register(evolve(ASKED, version=1, description="another"))
        await app.settled()
        assert w.connectors.endpoints == [ENDPOINT]
        assert (w.store.rows["t"].version, w.store.rows["t"].description) == (1, "another")
        await w.grant()
        await anyio.sleep(1)
        assert w.connectors.endpoints == [ENDPOINT]


async def test_another_endpoint_is_told() -> None:
    """Where the agent has another push service than before, or that has taken the first one back."""
    w = World(MemoryRegistrations(STORED))
    async with living(w, STORED) as app:
        await w.grant("c2")
        await anyio.sleep(1)
        w.port.tell.send_urgent(m.ChannelLost("c2"))
        await w.grant("c3", 2)
        await anyio.sleep(1)
        assert w.connectors.endpoints == ["http://push.test/p/c2", "http://push.test/p/c3"]
        assert app.registration.endpoint == w.store.rows["t"].endpoint == "http://push.test/p/c3"


async def test_nothing_is_kept_where_no_endpoint_comes_in_time() -> None:
    """Its app is to try again; the request is taken back."""
    w = World()
    async with living(w) as app:
        await w.until_asked(m.CreateChannel)
        app.give_up(Reason.INTERNAL_ERROR)
        await app.settled()
        assert (app.registration.phase, w.store.rows) == (Phase.DROPPED, {})
        await app.ended()


async def test_a_push_service_that_refuses_is_not_waited_for() -> None:
    """The reason is there at once."""
    w = World()
    async with living(w) as app:
        await w.refuse()
        await app.settled()
        assert (app.registration.phase, app.fault.startswith("not now")) == (Phase.DROPPED, True)


async def test_a_known_endpoint_is_asked_for_until_it_is_granted_again() -> None:
    """A registration outlives a push service that is away for hours."""
    w = World(MemoryRegistrations(STORED))
    async with living(w, STORED) as app:
        for number in range(1, 20):
            await w.refuse(number)
        await anyio.sleep(1)
        assert "not now" in app.standing
        await w.grant(number=20)
        await anyio.sleep(1)
        assert (app.registration.phase, app.standing) == (Phase.REGISTERED, "")


async def test_an_app_that_is_gone_for_days_is_unregistered() -> None:
    """Not before, and not where it came meanwhile; it is told, and its endpoint is revoked."""
    w = World(MemoryRegistrations(STORED))
    async with living(w, STORED) as app:
        await w.grant()
        app.note_presence(AppPresence.ABSENT)
        await anyio.sleep(ABSENCE - DAY)
        assert "not running" in app.standing
        app.note_presence(AppPresence.STARTABLE)
        await anyio.sleep(HOUR)
        assert (app.registration.phase, app.registration.absent_since) == (Phase.REGISTERED, None)
        app.note_presence(AppPresence.ABSENT)
        await anyio.sleep(ABSENCE - HOUR)
        assert app.registration.phase is Phase.WAITING
        await anyio.sleep(HOUR)
        await w.let_close()
        await app.ended()
        assert (w.connectors.unregistered, w.store.rows) == ([False], {})


async def test_days_go_by_while_no_agent_runs_but_each_start_is_a_last_chance() -> None:
    """An app that was not started yet since the user has logged on may be started in a while."""
    away = evolve(STORED, phase=Phase.WAITING, absent_since=1e9 - 2 * ABSENCE)
    w = World(MemoryRegistrations(away))
    async with living(w, away) as app:
        await w.grant()
        await anyio.sleep(LAST_CHANCE - 60)
        assert app.registration.phase is Phase.WAITING
        await anyio.sleep(60)
        await w.let_close()
        await app.ended()


async def test_an_endpoint_is_revoked_once_the_push_service_can_be_reached() -> None:
    """Its app has its answer by then, and the next agent goes on with it."""
    w = World(MemoryRegistrations(STORED))
    async with living(w, STORED) as app:
        await w.grant()
        await anyio.sleep(1)
        app.unregister()
        await app.settled()
        assert w.connectors.unregistered == [True]
        closing = await w.until_asked(m.CloseChannel)
        assert isinstance(closing, m.CloseChannel)
        away = m.Failed(closing.request, "PlatformUnavailable", "away", HResult.WNP_E_NOT_CONNECTED)
        w.port.tell.send_urgent(away)
        await w.until_asked(m.CloseChannel, 2)
        assert app.standing == "waits for the push service, to be unregistered"
    (kept,) = w.store.rows.values()
    assert kept.phase is Phase.UNREGISTERING
    following = World(w.store, w.connectors)
    async with living(following, kept) as app:
        await following.grant()
        await following.let_close()
        await app.ended()
    assert (w.store.rows, w.connectors.unregistered) == ({}, [True])


async def test_one_that_ends_takes_nothing_more() -> None:
    """A second word of its end, a registration and a presence change nothing."""
    w = World(MemoryRegistrations(STORED))
    async with living(w, STORED) as app:
        await w.grant()
        await anyio.sleep(1)
        app.make_way()
        app.unregister()
        app.remove()
        app.register(ASKED)
        app.note_presence(AppPresence.ABSENT)
        await app.settled()
        assert app.registration.phase is Phase.UNREGISTERING
        await w.let_close()
        await app.ended()
        assert w.connectors.unregistered == []


async def test_a_channel_that_is_renewed_delivers_beside_the_one_before() -> None:
    """And its endpoint is told."""
    w = World(MemoryRegistrations(STORED))
    async with living(w, STORED) as app:
        await w.grant()
        await anyio.sleep(1)
        w.port.tell.send_urgent(
            m.ChannelRenewed(app.registration.app, web_push_sender(None), "c9", "http://push.test/p/c9", 4e9)
        )
        await anyio.sleep(1)
        assert w.connectors.endpoints == ["http://push.test/p/c9"]
        subscribed = [each.channel for each in w.asked(m.Subscribe) if isinstance(each, m.Subscribe)]
        assert subscribed == ["c1", "c9"]


async def test_a_push_for_now_or_never_is_not_kept_for_an_app_that_has_gone() -> None:
    """Its row says no end, as its sender has said TTL 0: it is a dead letter at once, and one that may wait is kept."""
    w = World(MemoryRegistrations(STORED))
    w.connectors.result = Delivery.ABSENT
    async with living(w, STORED) as app:
        await w.grant()
        await w.until_asked(m.Subscribe)
        body = Envelope("aes128gcm", "", "", b"x").pack()
        row = m.PayloadRow(1, "m1", NotificationType.RAW, body, 1, None, "c1", received=w.wall + 0.6)
        w.port.tell.send_urgent(m.Deliveries(app.registration.app, (row,)))
        await anyio.sleep(1)
        later = row._replace(sequence=2, expires=w.wall + DAY)
        w.port.tell.send_urgent(m.Deliveries(app.registration.app, (later,)))
        await anyio.sleep(1)
        outcomes = [each for message in w.asked(m.Outcomes) for each in getattr(message, "rows", ())]
        assert [(each[0], each[1]) for each in outcomes] == [(1, Outcome.NOT_HANDLED), (2, Outcome.GIVEN_BACK)]
        assert (app.registration.phase, app.courier.missed) == (Phase.WAITING, 1)


async def test_what_was_asked_for_over_a_lost_connection_is_asked_for_over_the_next_one() -> None:
    """At once, and not when the platform would try again."""
    w = World()
    async with living(w) as app:
        await w.until_asked(m.CreateChannel)
        w.connected = False
        w.port.tell.send_urgent(m.PlatformStanding(None, w.connected, ConnectionCause.LOST, "lost", 0.0, 1.0))
        app.give_up(Reason.NETWORK)
        await app.settled()
        assert (app.registration.phase, w.store.rows["t"].phase) == (Phase.WISHED, Phase.WISHED)
        await anyio.sleep(HOUR)
        assert len(w.asked(m.CreateChannel)) == 1
        w.connected = True
        w.port.tell.send_urgent(m.PlatformStanding(None, w.connected, None, "", 0.0, 0.0))
        await w.grant(number=2)
        await anyio.sleep(1)
        assert (app.registration.phase, w.connectors.endpoints) == (Phase.REGISTERED, [ENDPOINT])
