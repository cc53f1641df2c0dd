"""From an HTTP POST through the push service and the device's connection to the app's handler: three processes."""

from __future__ import annotations

from functools import partial

from bench import peers, set_ups
from bench.framework import Contestant, Options, Report, Sample, measure
from bench.http_load import CONNECTIONS, Target, wrk
from bench.load import BODY
from bench.processes import started

PEERS = (("nginx with nchan", set_ups.nchan, set_ups.NCHAN_NOTE),)

BROKERS = tuple(peer for peer in peers.PEERS if peer.module == "nats")
"""Who acknowledges from end to end, on files; wrk does not speak to them, so their own library publishes."""


def run(options: Options) -> Report:
    """Measure delivered payloads a second beside a server that only answers, and beside nchan."""
    report = Report(
        "wire", f"{BODY}-byte POSTs of wrk with {CONNECTIONS} connections, delivered to a handler in another process"
    )
    seconds = options.sized(5, 1)
    contestants = [Contestant("floor: uvicorn answers, nothing else", partial(_floor, options, seconds), "floor")]
    for name, set_up in set_ups.each(options):
        contestants.append(Contestant(name, partial(delivered, options, set_up, seconds)))
    for name, peer, note in PEERS:
        run_it = partial(delivered, options, partial(peer, options), seconds)
        contestants.append(Contestant(name, run_it, "peer", note))
    for broker in BROKERS:
        run_it = partial(_brokered, options, broker, options.sized(20_000, 100))
        contestants.append(Contestant(broker.name, run_it, "peer", broker.note))
    return measure(report, contestants, options.rounds)


def _brokered(options: Options, broker: peers.Peer, payloads: int) -> Sample:
    found = peers.exchange(partial(broker.running, options), payloads)
    return {
        "payloads/s": found["payloads/s"],
        "answers/s": found["published/s"],
        "missed": found["missed"],
    }


def _floor(options: Options, seconds: int) -> Sample:
    with options.state() as state, started("bench.serving", "floor", str(state), options.loops[0]) as server:
        found = wrk(Target(server.line()["url"], {"X-WNS-Type": "wns/raw"}), seconds, state)
    assert not found["errors"], found
    rate = found["requests"] / found["seconds"]
    return {"payloads/s": rate, "answers/s": rate, "answer p50 ms": found["p50"], "answer p99 ms": found["p99"]}


def delivered(options: Options, set_up: set_ups.SetUp, seconds: int) -> Sample:
    """Measure one set-up under the load of ``wrk``."""
    with options.state() as folder, set_up() as (target, receiver):
        set_ups.begin(receiver)
        found = wrk(target, seconds, folder)
        assert not found["errors"], found
        arrived = set_ups.received(receiver, found["requests"])
    return {
        "payloads/s": arrived["rate"],
        "answers/s": found["requests"] / found["seconds"],
        "answer p50 ms": found["p50"],
        "answer p99 ms": found["p99"],
        "missed": max(0.0, found["requests"] - arrived["count"]),
    }
