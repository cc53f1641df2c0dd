"""Payloads that come alone, or a few at a time, to an app that keeps each on disk before it is acknowledged.

All senders are Python's, of the same kind: with ``wrk``, which has its next POST ready at once, the answers of nchan run
ahead of what it delivers, so that more is in flight than is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench import peers, set_ups, wire
from bench.exchange import Running, exchange, paced
from bench.framework import Contestant, Options, Report, Row, measure, ratio
from bench.load import BODY

IN_FLIGHT = (1, 16)
RATE = 500
"""Payloads a second where they are paced."""

NCHAN = (("nchan", set_ups.nchan, set_ups.NCHAN_NOTE),)
BROKERS = tuple(zip(("JetStream", "JetStream with fsync"), wire.BROKERS, strict=True))
"""As shipped, and so that it keeps what it acknowledges, as Tocsin does."""

_PACED = f"{RATE} a second"
_AT_ONCE = 16  # requests of the paced sender that may be under way


def run(options: Options) -> Report:
    """Measure each load on Tocsin and its peers by turns."""
    flights = " and ".join(map(str, IN_FLIGHT))
    report = Report(
        "alone", f"{BODY}-byte payloads of a Python sender to one handler, {flights} in flight, and {RATE} a second"
    )
    contestants = []
    for in_flight in IN_FLIGHT:
        payloads = options.sized(4_000 if in_flight == 1 else 16_000, 40)
        for who, running, note in _ways(options, in_flight):
            run_it = partial(exchange, running, payloads, in_flight)
            contestants.append(Contestant(_name(who, _flying(in_flight)), run_it, "peer" if note else "product", note))
    for who, running, note in _ways(options, _AT_ONCE):
        run_it = partial(paced, running, RATE, 0.1 if options.quick else 4.0)
        contestants.append(Contestant(_name(who, _PACED), run_it, "peer" if note else "product", note))
    measure(report, contestants, options.rounds)
    report.remarks += beside_peers({row.name: row for row in report.rows})
    report.remarks.append("JetStream is sent to by nats-py, the others by the least that Python takes for a POST.")
    return report


def _ways(options: Options, in_flight: int) -> Iterator[tuple[str, Running, str]]:
    """Return who takes part, each with what it does not promise."""
    (_, tocsin), *_ = set_ups.each(options)
    yield "tocsin", partial(peers.by_hand, tocsin, in_flight), ""
    for name, set_up, note in NCHAN:
        yield name, partial(peers.by_hand, partial(set_up, options), in_flight), note
    for name, broker in BROKERS:
        yield name, partial(broker.running, options), broker.note


def _flying(in_flight: int) -> str:
    return f"{in_flight} in flight"


def _name(who: str, load: str) -> str:
    return f"{who}, {load}"


def beside_peers(rows: dict[str, Row]) -> list[str]:
    """Say what Tocsin has of each peer's rate and of its latency, within each round."""
    compared = [(_flying(each), "payloads/s") for each in IN_FLIGHT]
    compared += [(_PACED, f"delivery {each} ms") for each in ("p50", "p99")]
    found = []
    for peer in (*(name for name, _, _ in NCHAN), *(name for name, _ in BROKERS)):
        words = []
        for load, column in compared:
            ours, theirs = rows.get(_name("tocsin", load)), rows.get(_name(peer, load))
            if ours is not None and theirs is not None:
                words.append(f"{load} {ratio(ours, theirs, column):.2f} of its {column.removesuffix(' ms')}")
        if words:
            found.append(f"Beside {peer}: {', '.join(words)}.")
    return found
