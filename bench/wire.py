"""From an HTTP POST through the push service and the device's connection to the app's handler: three processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import peers, set_ups
from bench.exchange import exchange
from bench.framework import Contestant, Options, Report, Sample, in_ms, measure
from bench.http_load import CONNECTIONS, Target
from bench.load import BODY
from bench.meter import Meter
from bench.processes import started
from bench.wrk import wrk

PEERS = (("nginx with nchan", set_ups.nchan, set_ups.NCHAN_NOTE),)

BROKERS = tuple(peer for peer in peers.PEERS if peer.module == "nats")
"""Who acknowledges from end to end, on files; wrk does not speak to them, so their own library publishes."""

Load = Callable[[Sequence[Target], Path], dict[str, Any]]
"""Posts by wrk, with a folder for its script."""


def run(options: Options) -> Report:
    """Measure delivered payloads a second beside a server that only answers, and beside nchan."""
    report = Report(
        "wire", f"{BODY}-byte POSTs of wrk with {CONNECTIONS} connections, delivered to a handler in another process"
    )
    seconds = options.sized(5, 1)
    contestants = [Contestant("floor: the web server answers, nothing else", partial(floor, options, seconds), "floor")]
    for name, set_up in set_ups.each(options):
        contestants.append(Contestant(name, partial(delivered, options, set_up, partial(plain, seconds))))
    for name, peer, note in PEERS:
        run_it = partial(delivered, options, partial(peer, options), partial(plain, seconds))
        contestants.append(Contestant(name, run_it, "peer", note))
    for broker in BROKERS:
        run_it = partial(exchange, partial(broker.running, options), options.sized(20_000, 100))
        contestants.append(Contestant(broker.name, run_it, "peer", broker.note))
    return measure(report, contestants, options.rounds)


def plain(seconds: int, targets: Sequence[Target], folder: Path) -> dict[str, Any]:
    """Post the same again and again, which costs wrk the least."""
    return wrk(targets[0], seconds, folder)


def floor(options: Options, seconds: int) -> Sample:
    """Measure the web server alone."""
    with options.state() as state, started("bench.serving", "floor", str(state), options.loops[0]) as server:
        target = Target(server.line()["url"], {"X-WNS-Type": "wns/raw"})
        meter = Meter(server.pid)
        found = wrk(target, seconds, state)
        costs = meter.found(found["requests"], None, found["cpu"])
    assert not found["errors"], found
    rate = found["requests"] / found["seconds"]
    return {"payloads/s": rate, "answers/s": rate, **in_ms("answer", found), **costs}


def delivered(
    options: Options, set_up: set_ups.SetUp, load: Load, warm_up: Callable[[set_ups.Running], None] | None = None
) -> Sample:
    """Measure one set-up under a load of ``wrk``."""
    with options.state() as folder, set_up() as running:
        if warm_up is not None:
            warm_up(running)
        set_ups.begin(running.receiver)
        meter = Meter(running.server)
        found = load(running.targets, folder)
        assert not found["errors"], found
        arrived = set_ups.received(running.receiver, found["requests"])
        costs = meter.found(found["requests"], arrived, found["cpu"])
    return {
        "payloads/s": arrived["rate"],
        "answers/s": found["requests"] / found["seconds"],
        **in_ms("answer", found),
        **in_ms("delivery", arrived),
        **costs,
        "missed": max(0.0, found["requests"] - arrived["count"]),
    }
