"""How throughput and memory depend on how many channels, stored payloads and connected devices there are."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic, sleep

from bench.framework import Contestant, Options, Report, Sample, measure, open_files, slope
from bench.processes import cpu_seconds, resident, started
from bench.scaled import prefill
from bench.serving import SETTINGS

_STEPS = 5
_LEAVE = 5.0  # seconds in which a service has forgotten devices that have left
_SPARE = 500  # descriptors that a process needs besides those of devices


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
    watched = partial(idle, options, devices, 0.2 if options.quick else SETTINGS.ping_interval)
    idlers = [Contestant(f"{devices:,} idle devices", watched)]
    fewer = options.sized(2_000, 10)
    idlers.append(Contestant(f"{fewer:,} idle devices", partial(idle, options, fewer, options.sized(5, 1) / 5)))
    return measure(report, idlers, min(options.rounds, 3))


def _through(state: Path, loop: str, payloads: int, channels: int) -> Sample:
    with started("bench.scaled", str(state), loop, str(payloads), str(channels)) as process:
        return process.line()


def idle(options: Options, devices: int, seconds: float) -> Sample:
    """Connect idle devices to a push service; return its memory for each, its share of a core while they idle, and what it gives back.

    :param seconds: how long to let them idle, and then how long to look at it.
    """
    with (
        open_files(devices + _SPARE),
        options.state() as state,
        started("bench.serving", "tocsin", str(state), options.loops[0]) as service,
    ):
        port = service.line()["port"]
        begin, alone = monotonic(), resident(service.pid)
        with started("bench.idle_devices", str(port), str(devices), str(_STEPS)) as client:
            points = []
            for _ in range(_STEPS):
                connected = float(client.number())
                points.append((connected, resident(service.pid) * 1024))
            connecting = monotonic() - begin
            sleep(seconds)
            before = cpu_seconds(service.pid)
            sleep(seconds)
            share = (cpu_seconds(service.pid) - before) / seconds
            held = resident(service.pid)
        sleep(min(seconds, _LEAVE))
        given_back = (held - resident(service.pid)) / max(held - alone, 1)
    return {
        "KiB a device": slope(points),
        "idle CPU %": 100 * share,
        "connected/s": devices / connecting,
        "given back %": 100 * given_back,
    }
