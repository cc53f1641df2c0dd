"""How many nodes so many devices take, and what the loss of one does: simulated, from figures that the other benches have measured.

A simulation, no measurement: what it assumes is in :class:`People`, what it was told is in :class:`Costs`. A day is played minute by minute,
and the loss of a node device by device, by the rule that devices go by when they come back.
"""

from __future__ import annotations

import heapq
import math
from functools import partial
from random import Random
from statistics import quantiles
from typing import Final

from attrs import frozen

from bench.framework import Contestant, Options, Report, Sample, measure, percentile
from tocsin.protocol.platform.service_connection import ReconnectPolicy

FLEETS: Final = (100_000, 1_000_000, 10_000_000, 100_000_000)
"""Devices, each with an app and a channel."""

_MINUTES: Final = 24 * 60
_PLAYED: Final = 20_000  # devices of a lost node that are played; each stands for as many as it takes


@frozen
class People:
    """What users do, a second and a million devices at the average hour; Mozilla's planning model of a push service has these rates."""

    posts: float = 145.0
    connects: float = 138.0
    requests: float = 12.0
    online: float = 0.4
    """Of all devices, connected at the busiest hour; at the quietest it is a third of that."""
    burst: float = 4.0
    """Times the hour's rate that posts reach in one of a hundred minutes: news, a campaign."""
    stored: float = 3.0
    """Notifications that wait for a device that is away."""


@frozen
class Costs:
    """µs of one core of the machine that ``docs/scaling.md`` names, by the command of each figure; bytes where it says so."""

    pushed: float = 127.0
    """``bench spread``: a post to a device that is connected to the node, with its acknowledgement."""
    forwarded: float = 36.0
    """``bench nodelink``: what a post to a device of another node takes besides, of both nodes together."""
    stored: float = 280.0
    """``bench nodes``: a post that is stored, the node's part."""
    stored_database: float = 111.0
    """``bench nodes``."""
    fetched: float = 450.0
    """``bench engines``: what is stored and handed over to its device when that comes, besides the visit."""
    fetched_database: float = 40.0
    """``bench engines``; it is erased with that."""
    visit: float = 670.0
    """``bench scale``: a device that comes and goes, without TLS, the node's part."""
    visit_database: float = 123.0
    """``bench scale``."""
    idle: float = 2.2
    """``bench scale``: a connected device, a second."""
    renewal_database: float = 2_000.0
    """``bench scale``: the lease of a node, and what it looks for, a second."""
    neighbour_database: float = 4.5
    """By hand: what that takes more for each other node, whose lease it reads."""
    memory: float = 10_000.0
    """``bench scale``, and as much of the kernel by hand: bytes of a connected device, without TLS."""
    channel: float = 505.0
    """``bench nodes``: bytes of the database for a channel, its share of the indexes included, as below."""
    device: float = 290.0
    """``bench nodes``: bytes of the database for a device's row."""
    row: float = 655.0
    """``bench nodes``: bytes of the database for a stored notification of 256 bytes."""


@frozen
class Machine:
    """A node, and what of it may be used when one more is missing."""

    cores: int = 1
    """A process uses one."""
    busy: float = 0.4
    """By these costs; a process that is so busy uses more of a core, as ``docs/scaling.md`` says."""
    memory: float = 4e9
    connections: int = 50_000
    """That one process holds at most."""
    back: float = 4.5
    """Seconds in which the other nodes greet all devices of one that is lost."""


@frozen
class Fleet:
    """So many devices, and what serves them."""

    devices: int
    people: People = People()
    costs: Costs = Costs()
    machine: Machine = Machine()

    def minutes(self, chance: Random) -> list[tuple[float, float, float]]:
        """Play a day; return of each minute the devices that are connected, and the posts and connects a second."""
        millions, people = self.devices / 1e6, self.people
        found = []
        for minute in range(_MINUTES):
            share = (2 - math.cos(2 * math.pi * minute / _MINUTES)) / 3  # a third at night, 1 at noon
            rate = share * 1.5  # of the average hour
            burst = people.burst if chance.random() < 0.01 else chance.uniform(0.8, 1.2)
            posts = _poisson(chance, millions * people.posts * rate * burst * 60) / 60
            connects = _poisson(chance, millions * people.connects * rate * 60) / 60
            found.append((self.devices * people.online * share, posts, connects))
        return found

    def node_load(self, connected: float, posts: float, connects: float, *, nodes: int) -> float:
        """Return the cores that all nodes together use; what is stored is fetched once."""
        costs, here = self.costs, connected / self.devices
        elsewhere = (nodes - 1) / nodes
        pushed = posts * here * (costs.pushed + elsewhere * costs.forwarded)
        stored = posts * (1 - here) * (costs.stored + costs.fetched)
        return (pushed + stored + connects * costs.visit + connected * costs.idle) / 1e6

    def database_load(self, connected: float, posts: float, connects: float, *, nodes: int) -> float:
        """Return the cores that the database uses."""
        costs, stored = self.costs, posts * (1 - connected / self.devices)
        asked = nodes * (costs.renewal_database + nodes * costs.neighbour_database)
        written = stored * (costs.stored_database + costs.fetched_database)
        return (written + connects * costs.visit_database + asked) / 1e6

    def back(self, connected: float, posts: float, connects: float, *, nodes: int) -> float:
        """Return the seconds in which all other nodes greet the devices of one that is lost."""
        spare = (nodes - 1) * self.machine.cores - self.node_load(connected, posts, connects, nodes=nodes)
        return connected / nodes * self.costs.visit / 1e6 / spare if spare > 0 else math.inf

    def nodes_for(self, connected: float, posts: float, connects: float) -> int:
        """Return how many nodes suffice while one of them is missing, and for its devices to be back soon."""
        machine, minute = self.machine, (connected, posts, connects)
        by_count = connected / min(machine.connections, machine.memory / self.costs.memory)
        nodes = max(math.ceil(by_count), 1) + 1
        while (
            self.node_load(*minute, nodes=nodes) > (nodes - 1) * machine.cores * machine.busy
            or self.back(*minute, nodes=nodes) > machine.back
        ):
            nodes += 1
        return nodes


def _poisson(chance: Random, mean: float) -> float:
    return max(chance.gauss(mean, math.sqrt(mean)), 0.0)


def after_a_loss(fleet: Fleet, nodes: int, connected: float, spare: float, chance: Random) -> list[float]:
    """Play that a node is killed at the busiest minute; return when each of its devices is served again, in seconds.

    Its devices lose their connections at once, and try another node by the rule of :class:`ReconnectPolicy`. The others greet as many a second
    as their spare cores allow; one that waits for ten seconds tries again later.

    :param spare: cores that the other nodes have left.
    """
    if nodes < 2:
        return [math.inf]
    lost = connected / nodes
    played = min(int(lost) or 1, _PLAYED)
    weight = lost / played
    a_greeting = weight * fleet.costs.visit / 1e6 / max(spare, 1e-9)
    policy = ReconnectPolicy()
    coming = [(policy.wait(1, chance.random()), 1) for _ in range(played)]
    heapq.heapify(coming)
    served, free_at = [], 0.0
    while coming:
        now, failures = heapq.heappop(coming)
        if free_at - now > 10.0:
            heapq.heappush(coming, (now + 10.0 + policy.wait(failures + 1, chance.random()), failures + 1))
            continue
        free_at = max(free_at, now) + a_greeting
        served.append(free_at)
    return served


def run(options: Options) -> Report:
    """Plan each fleet once a round, each time with other chances."""
    report = Report(
        "planning",
        "nodes and a database for so many devices, and the loss of one node at the busiest minute, simulated",
    )
    fleets = FLEETS if not options.quick else FLEETS[:1]
    contestants = [
        Contestant(f"{devices:,} devices", partial(_planned, Fleet(devices), Random(devices)))  # noqa: S311  # a simulation
        for devices in fleets
    ]
    measure(report, contestants, options.rounds)
    report.remarks += ["A simulation from measured costs: docs/scaling.md says which, and what it assumes."]
    return report


def _planned(fleet: Fleet, chance: Random) -> Sample:
    day = fleet.minutes(chance)
    busiest = max(day, key=lambda minute: fleet.node_load(*minute, nodes=10))
    connected = busiest[0]
    nodes = fleet.nodes_for(*busiest)
    loads = sorted(fleet.database_load(*minute, nodes=nodes) for minute in day)
    used = fleet.node_load(*busiest, nodes=nodes)
    spare = (nodes - 1) * fleet.machine.cores - used
    back = after_a_loss(fleet, nodes, connected, spare, chance)
    away = fleet.devices - connected
    kept = fleet.devices * (fleet.costs.channel + fleet.costs.device) + away * fleet.people.stored * fleet.costs.row
    return {
        "nodes": float(nodes),
        "connected at most": connected,
        "posts/s at most": max(posts for _, posts, _ in day),
        "stored/s at most": max(posts * (1 - here / fleet.devices) for here, posts, _ in day),
        "connects/s at most": max(connects for _, _, connects in day),
        "cores of nodes": used,
        "cores of the database": quantiles(loads, n=1_000)[-1],
        "database GiB": kept / 2**30,
        "links": float(nodes * (nodes - 1)),
        "back p50 s": percentile(back, 50),
        "back p99 s": percentile(back, 99),
    }
