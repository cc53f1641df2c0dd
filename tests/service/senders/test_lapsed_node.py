"""A node whose lease is over: its senders and its operator are told that it is the node, not the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.persistence.postgres_server import PostgresServer
from tests.service.world import open_world
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.tally import Asked, MinuteTally
from tocsin.protocol.toast_label import ToastMatch
from tocsin.service.nodes.lease_keeper import LeaseKeeper
from tocsin.service.nodes.shared_queues import SharedQueues
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.service_store import ChannelRow


async def test_it_is_the_node_that_is_named(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a time to come again, for a notification as for a deletion; with the lease all is as before."""
    is_over, reasons = False, []
    is_good = LeaseKeeper.is_good
    monkeypatch.setattr(LeaseKeeper, "is_good", lambda keeper: not is_over and is_good(keeper))
    withdraw = SharedQueues.withdraw

    async def fail(queues: SharedQueues, channel: ChannelRow, match: ToastMatch) -> None:
        if is_over:
            raise StateUnavailable("planted: the database is away, as it is where a lease lapses")
        await withdraw(queues, channel, match)

    monkeypatch.setattr(SharedQueues, "withdraw", fail)
    monkeypatch.setattr(MinuteTally, "refuse", lambda _, asked, reason, *__: reasons.append((asked, reason)))
    async with open_world(tmp_path, ServiceSettings.private(engine=await postgres.emptied())) as world:
        assert (await world.post()).status == 200
        is_over = True
        deletion = {"X-WNS-Match": "type:wns/toast;all"}
        for answer in (await world.post(), await world.post(b"", method="DELETE", headers=deletion)):
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert answer.reason == "This node of the service cannot act for devices just now: send the request again"
        is_over = False
        assert (await world.post()).status == (await world.post(b"", method="DELETE", headers=deletion)).status == 200
    assert reasons == [(Asked.NOTIFICATION, "node_lapsed")] * 2
