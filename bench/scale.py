"""How throughput and memory depend on how many channels, stored payloads and connected devices there are."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic, sleep

from bench.framework import Contestant, Options, Report, Sample, measure, open_files, slope
from bench.postgres import postgres
from bench.processes import cpu_seconds, resident, started
from bench.scaled import prefill
from bench.serving import SETTINGS

_STEPS = 5
_LEAVE = 5.0  # seconds in which a service has forgotten devices that have left
_SPARE = 500  # descriptors that a process needs besides those of devices
_IDLE = ("idle CPU %", "idle database CPU %")
_VISIT = ("visit CPU µs", "visit database CPU µs")


def run(options: Options) -> Report:
    """Measure each size in a process of its own."""
    report = Report("scale", "durable payloads a second by what there is of channels and stored payloads; idle devices")
    payloads = options.sized(50_000, 50)
    many, more, stored = options.sized(1_000, 10), options.sized(100_000, 100), options.sized(1_000_000, 1_000)
    with ExitStack() as stack:
        contestants = []
        for channels, waiting in ((1, 0), (many, 0), (more, 0), (many, stored)):
            state = stack.enter_context(options.state())
            prefill(state, channels, waiting)
            name = f"{channels:,} channel{'s' * (channels > 1)}, {waiting:,} stored"
            run_it = partial(_through, state, options.loops[0], payloads, channels)
            contestants.append(Contestant(name, run_it))
        measure(report, contestants, options.rounds)
    devices = options.sized(10_000, 20)
    # From when each has had its first ping, for as long as it takes to ping them all once more.
    seconds = 0.2 if options.quick else SETTINGS.ping_interval
    name = f"{devices:,} idle devices"
    idlers = [Contestant(name, partial(idle, options, devices, seconds))]
    idlers.append(Contestant(f"{name}, PostgreSQL", partial(idle, options, devices, seconds, with_engine=True)))
    fewer = options.sized(2_000, 10)
    idlers.append(Contestant(f"{fewer:,} idle devices", partial(idle, options, fewer, options.sized(5, 1) / 5)))
    return measure(report, idlers, min(options.rounds, 3))


def _through(state: Path, loop: str, payloads: int, channels: int) -> Sample:
    with started("bench.scaled", str(state), loop, str(payloads), str(channels)) as process:
        return process.line()


def idle(options: Options, devices: int, seconds: float, *, with_engine: bool = False) -> Sample:
    """Connect idle devices to a push service; return its memory for each, its share of a core while they idle, and what it gives back.

    What a visit costs is from the first that comes until the last has gone, without the time between.

    :param seconds: how long to let them idle, and then how long to look at it.
    :param with_engine: whether the service is a node over PostgreSQL.
    """
    with ExitStack() as stack:
        stack.enter_context(open_files(devices + _SPARE))
        how = [str(stack.enter_context(options.state())), options.loops[0]]
        server = stack.enter_context(postgres(options)) if with_engine else None
        how = ["tocsin", *how] if server is None else ["engine", *how, server.url]
        service = stack.enter_context(started("bench.serving", *how))
        port = service.line()["port"]
        pids = [service.pid, *([] if server is None else [server.pid])]
        begin, alone, first = monotonic(), resident(service.pid), [*map(cpu_seconds, pids)]
        with started("bench.idle_devices", str(port), str(devices), str(_STEPS)) as client:
            points = []
            for _ in range(_STEPS):
                connected = float(client.number())
                points.append((connected, resident(service.pid) * 1024))
            connecting, came = monotonic() - begin, [*map(cpu_seconds, pids)]
            sleep(seconds)
            before = [*map(cpu_seconds, pids)]
            sleep(seconds)
            stayed = [*map(cpu_seconds, pids)]
            held = resident(service.pid)
        sleep(min(seconds, _LEAVE))
        given_back = (held - resident(service.pid)) / max(held - alone, 1)
        gone = [*map(cpu_seconds, pids)]
    visits = zip(_VISIT, first, came, stayed, gone, strict=False)
    return {
        "KiB a device": slope(points),
        **{name: 100 * (b - a) / seconds for name, a, b in zip(_IDLE, before, stayed, strict=False)},
        "connected/s": devices / connecting,
        "given back %": 100 * given_back,
        **{name: 1e6 * (b - a + d - c) / devices for name, a, b, c, d in visits},
    }
