"""What WNS says to the outcomes and refusals that know nothing of it."""

from __future__ import annotations

import pytest

from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.protocol.values import NotificationStatus
from tocsin.service.devices.outbox import PushResult
from tocsin.service.senders.dispatch import outcome
from tocsin.service.senders.wns_refusals import refused, status_and_words

STATUSES = {
    RefusalKind.TOKEN_FORGED: 401,
    RefusalKind.TOKEN_EXPIRED: 401,
    RefusalKind.TOKEN_OF_UNKNOWN_APP: 401,
    RefusalKind.ADDRESS_THROTTLED: 406,
    RefusalKind.APP_THROTTLED: 406,
    RefusalKind.CHANNEL_THROTTLED: 406,
    RefusalKind.UNKNOWN_CHANNEL: 404,
    RefusalKind.CHANNEL_EXPIRED: 410,
    RefusalKind.CHANNEL_REVOKED: 410,
    RefusalKind.NOT_AUTHORIZED: 403,
    RefusalKind.TOO_LARGE: 413,
    RefusalKind.STORE_UNREADABLE: 503,
    RefusalKind.STORE_UNWRITABLE: 503,
    RefusalKind.NODE_LAPSED: 503,
    RefusalKind.NOT_ACKNOWLEDGED: 503,
    RefusalKind.DEVICE_SUSPENDED: 503,
    RefusalKind.TOO_MANY_WAITING: 503,
}


@pytest.mark.parametrize("kind", RefusalKind)
def test_every_refusal_has_its_status_and_words(kind: RefusalKind) -> None:
    """No kind is left without an answer, and the seconds go on where WNS has a place for them."""
    answer = refused(Refusal(kind, 7))
    assert answer.status == STATUSES[kind]
    assert answer.description
    assert answer.retry_after == (7 if answer.status == 406 else None)


@pytest.mark.parametrize("result", PushResult)
def test_every_result_of_a_push_is_an_outcome_or_a_refusal(result: PushResult) -> None:
    """What was received or dropped is answered with 200, everything else with 503."""
    final = outcome(result)
    if isinstance(final, Refusal):
        assert refused(final).status == 503
        return
    kept = final in {PushResult.ACKNOWLEDGED, PushResult.STORED}
    status, words = status_and_words(final, cache=False)
    assert status is (NotificationStatus.RECEIVED if kept else NotificationStatus.DROPPED)
    assert bool(words) is not kept
