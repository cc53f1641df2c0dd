"""Half of the durable rate for a long time, while memory, descriptors, tasks and the write-ahead log are watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.durable import WINDOW, through_disk
from bench.framework import Options, Report, Row, run_on, slope
from bench.load import ServiceEnd, attached, frame
from bench.processes import resident
from tocsin.actors.lifecycle import open_platform
from tocsin.api.args import PushNotificationReceivedEventArgs

CHANNELS = 32

_TICK = 0.02  # seconds between two releases of payloads
_MIB = 1024 * 1024
_HOUR = 3600


def run(options: Options) -> Report:
    """Soak, and tell by how much each resource grows per hour, over the second half."""
    loop = options.loops[0]
    rate = options.rate or _half(options, loop)
    seconds = options.minutes * 60 if not options.quick else 0.5
    report = Report("soak", f"{rate:,.0f} payloads a second for {seconds / 60:.3g} minutes, on {loop}")
    with options.state() as state:
        report.series = run_on(loop, partial(soak, state, rate, seconds))
    for name, points in report.series.items():
        report.rows.append(Row(name, "product", "", [summary(points)]))
    report.remarks.append("The slope is the least-squares line through the second half.")
    return report


def _half(options: Options, loop: str) -> float:
    """Return half of what the durable way reaches here."""
    rates = []
    for _ in range(1 if options.quick else 3):
        with options.state() as state:
            found = run_on(loop, partial(through_disk, state, options.sized(50_000, 50), WINDOW, CHANNELS))
            rates.append(found["payloads/s"])
    return median(rates) / 2


def summary(points: list[tuple[float, float]]) -> dict[str, float]:
    """Return how a resource has grown."""
    half = points[len(points) // 2 :]
    return {
        "slope per hour": slope(half) * _HOUR,
        "at half-time": half[0][1],
        "at the end": half[-1][1],
        "at most": max(value for _, value in points),
    }


async def soak(state: Path, rate: float, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Send at that rate for so long, and sample once a second (ten times at least)."""
    end = ServiceEnd(WINDOW, record=False)
    handled = 0

    async def handler(args: PushNotificationReceivedEventArgs) -> None:
        nonlocal handled
        handled += 1
        args.handled = True

    async with open_platform(state, end.dial) as platform, attached(platform, CHANNELS, handler) as names:
        end.supply(_frames(names))
        async with asyncio.TaskGroup() as tasks:
            pace = tasks.create_task(_pace(end, rate))
            gauges = _gauges(state / "platform.db-wal") | {
                "payloads handled": lambda: handled,
                "payloads behind": lambda: end.released - handled,
            }
            series = await sample(gauges, seconds, min(1.0, seconds / 10))
            pace.cancel()
    return series


def _frames(names: list[str]) -> Iterator[bytes]:
    for number in count():
        yield frame(number, names[number % len(names)])


async def _pace(end: ServiceEnd, rate: float) -> None:
    """Release payloads in small portions, by the clock."""
    start, released = perf_counter(), 0
    while True:
        await asyncio.sleep(_TICK)
        due = int((perf_counter() - start) * rate)
        end.release(due - released)
        released = due


def _gauges(wal: Path) -> dict[str, Callable[[], float]]:
    return {
        "RSS MiB": resident,
        "descriptors": lambda: sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "tasks": lambda: len(asyncio.all_tasks()),
        "WAL MiB": lambda: wal.stat().st_size / _MIB if wal.exists() else 0.0,
    }


async def sample(
    gauges: dict[str, Callable[[], float]], seconds: float, interval: float
) -> dict[str, list[tuple[float, float]]]:
    """Read all gauges at every interval."""
    series: dict[str, list[tuple[float, float]]] = {name: [] for name in gauges}
    start = perf_counter()
    for number in range(1, int(seconds / interval) + 1):
        await asyncio.sleep(start + number * interval - perf_counter())
        now = perf_counter() - start
        for name, gauge in gauges.items():
            series[name].append((now, gauge()))
    return series
