"""What tells a request from all others."""

from __future__ import annotations

import re
from itertools import count

from tocsin.service.senders.request_ids import RequestIds


def test_no_two_requests_have_the_same() -> None:
    """Ids and new vectors differ, however many requests the system's randomness is asked for at a time."""
    clock = count(1.0)
    request_ids = RequestIds(lambda: next(clock))
    given = [request_ids.next(None) for _ in range(1_000)]
    assert all(re.fullmatch("[0-9A-F]{16}", each.id) for each in given)
    vectors = {re.search(rb"MS-CV: ([A-Za-z0-9+/]{21}[AQgw])\.0\r\n$", each.headers)[1] for each in given}  # type: ignore[index]  # all have one
    assert len({each.id for each in given}) == len(vectors) == 1_000
    assert [each.began for each in given] == [float(number) for number in range(1, 1_001)]


def test_a_trace_names_the_start_and_the_request() -> None:
    """All requests of one start begin with the same eight digits, those of another with others."""
    one, other = RequestIds(lambda: 0.0), RequestIds(lambda: 0.0)
    requests = [each.next(None) for each in (one, one, other)]
    starts = [request.trace.removesuffix(f"-{request.id}") for request in requests]
    assert starts[0] == starts[1] != starts[2]
    assert all(re.fullmatch("[0-9a-f]{8}", start) for start in starts)


def test_the_senders_vector_goes_on() -> None:
    """It is extended by one operation, and stands in every answer beside the id and the trace."""
    request = RequestIds(lambda: 0.0).next("A" * 22 + ".7")
    lines = request.headers.decode().split("\r\n")
    assert lines == [f"X-WNS-Msg-ID: {request.id}", f"X-WNS-Debug-Trace: {request.trace}", f"MS-CV: {'A' * 22}.7.0", ""]
