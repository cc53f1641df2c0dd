"""``WnsClient`` with very many notifications in flight, beside a bare session of the HTTP library that it stands on.

Both post to the same push service, which has one device that acknowledges at once. It takes a small part of what they take,
so that it is they who are measured.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import aiohttp
from yarl import URL

from bench import peers, set_ups
from bench.exchange import Publish, Way, exchange
from bench.framework import Contestant, Options, Report, Row, measure, ratio
from bench.http_load import Target
from bench.load import BODY

IN_FLIGHT = (100, 300, 500)

_NOTE = "no check of arguments, no look at the answer, no token of its own, no retries, no bound of time"


def run(options: Options) -> Report:
    """Measure both with each number in flight by turns."""
    flights = ", ".join(map(str, IN_FLIGHT))
    report = Report("client", f"{BODY}-byte notifications sent by one process, {flights} in flight")
    contestants = []
    device = partial(set_ups.tocsin_crowd, options, 1)
    for in_flight in IN_FLIGHT:
        payloads = options.sized(12_000, 2 * in_flight)
        ours, theirs = partial(peers.through_client, device), partial(bare, device, in_flight)
        contestants += [
            Contestant(_name("WnsClient", in_flight), partial(exchange, ours, payloads, in_flight)),
            Contestant(_name("aiohttp", in_flight), partial(exchange, theirs, payloads, in_flight), "peer", _NOTE),
        ]
    measure(report, contestants, options.rounds)
    report.remarks += beside_aiohttp({row.name: row for row in report.rows})
    report.remarks.append("aiohttp has a pool of as many connections as are in flight.")
    return report


def _name(who: str, in_flight: int) -> str:
    return f"{who}, {in_flight} in flight"


@contextmanager
def bare(set_up: set_ups.SetUp, in_flight: int) -> Iterator[Way]:
    """Run a set-up that is posted to by aiohttp, with as many connections as requests."""
    with set_up() as at:
        yield Way(partial(_session, at.targets[0], in_flight), at.receiver, at.server)


@asynccontextmanager
async def _session(target: Target, in_flight: int) -> AsyncIterator[Publish]:
    url = URL(target.url, encoded=True)
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def publish(body: bytes) -> None:
            async with session.post(url, data=body, headers=target.headers) as answer:
                await answer.read()
                assert answer.status == 200, answer.status

        yield publish


def beside_aiohttp(rows: dict[str, Row]) -> list[str]:
    """Say of each number in flight what the client has of aiohttp's rate, tail and CPU, within each round."""
    found = []
    for in_flight in IN_FLIGHT:
        ours, theirs = rows[_name("WnsClient", in_flight)], rows[_name("aiohttp", in_flight)]
        rate, p99, cpu = (ratio(ours, theirs, each) for each in ("answers/s", "answer p99 ms", "sender CPU µs"))
        found.append(
            f"{in_flight} in flight: {rate:.2f} of aiohttp's answers a second, {p99:.2f} of its p99, {cpu:.2f} of its CPU."
        )
    return found
