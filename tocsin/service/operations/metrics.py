"""What the service counts, in plain numbers on the hot path, and how Prometheus reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

from attrs import Factory, define
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tocsin.durations import BUCKETS, Durations
from tocsin.protocol.service.offline_queue import Phase
from tocsin.protocol.service.tally import MinuteTally

_MAX_REASONS = 32


@define(eq=False)
class Counters:
    """The totals since the service was started."""

    received: int = 0
    """Notifications that were answered with ``received``: a device has committed them, or the service has."""
    stored: int = 0
    """Those of them that the service keeps for a device that is away."""
    pushed: int = 0
    """Payloads that were handed to a device's connection."""
    acknowledged: int = 0
    """Payloads that a device has committed."""
    dropped: Counter[str] = Factory(Counter)
    """Notifications that were answered with ``dropped``, by the reason in words."""
    refused: Counter[int] = Factory(Counter)
    """Notifications that were refused, by HTTP status."""
    ended: Counter[Phase] = Factory(Counter)
    """Stored notifications that have ended, by what became of them."""
    tokens_issued: int = 0
    tokens_refused: Counter[str] = Factory(Counter)
    """Token requests that were refused, by OAuth's name of the error."""
    hub_messages: int = 0
    """Messages that hubs have accepted."""
    hub_targets: Counter[str] = Factory(Counter)
    """What has become of their targets, by the name of the outcome."""
    browser_acks: Counter[str] = Factory(Counter)
    """Messages that browsers are done with, by the code that they say, or that they say none."""
    browser_ended: Counter[str] = Factory(Counter)
    """Subscriptions that browsers have ended, by the code that they say."""
    browser_dropped: Counter[str] = Factory(Counter)
    """Messages that were not sent to browsers which could do nothing with them, by why."""
    latencies: Durations = Factory(Durations)
    """How long the notifications took that were received."""
    of_store: Mapping[str, Durations] = Factory(dict)
    """How long the store takes for what it is asked in one go, by kind."""
    tally: MinuteTally = Factory(lambda: MinuteTally(0.0))
    """What operators are told of once a minute."""
    of_nodes: Callable[[], dict[str, int]] = dict
    """Gives the totals of a node that is one of several."""

    def accepted(self, seconds: float) -> None:
        """Count a notification that was received that many seconds after its headers."""
        self.received += 1
        self.latencies.add(seconds)

    def drop(self, reason: str) -> None:
        """Count a notification that was dropped."""
        self.dropped[reason if reason in self.dropped or len(self.dropped) < _MAX_REASONS else "other"] += 1

    def summary(self) -> dict[str, int]:
        """Return the totals."""
        return {
            "received": self.received,
            "stored": self.stored,
            "pushed": self.pushed,
            "acknowledged": self.acknowledged,
            "dropped": sum(self.dropped.values()),
            "refused": sum(self.refused.values()),
            "throttled": self.refused[406],
            "tokens_issued": self.tokens_issued,
            "tokens_refused": sum(self.tokens_refused.values()),
            "hub_messages": self.hub_messages,
            **self.of_nodes(),
        }


class Metrics:
    """The registry of one service.

    :param gauges: returns what there is now, by name: devices, channels, outbox, connections and the like.
    """

    def __init__(self, counters: Counters, gauges: Callable[[], dict[str, int]]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(_Stages(counters, gauges))

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _Stages(Collector):
    def __init__(self, counters: Counters, gauges: Callable[[], dict[str, int]]) -> None:
        self._counters = counters
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """Return the metrics with their values of now, as Prometheus asks for them."""
        counters = self._counters
        yield _counter("received", "Notifications answered with received", counters.received)
        yield _counter("stored", "Notifications kept for a device that is away", counters.stored)
        yield _counter("pushed", "Payloads handed to a device's connection", counters.pushed)
        yield _counter("acknowledged", "Payloads that a device has committed", counters.acknowledged)
        yield _labelled("dropped", "Notifications answered with dropped", "reason", counters.dropped)
        yield _labelled("refused", "Notifications refused, by HTTP status", "status", counters.refused)
        ended = Counter({phase.name.lower(): count for phase, count in counters.ended.items()})
        yield _labelled("stored_ended", "Stored notifications that have ended, by what became of them", "as", ended)
        yield _counter("tokens_issued", "Access tokens issued", counters.tokens_issued)
        yield _labelled("tokens_refused", "Token requests refused", "error", counters.tokens_refused)
        yield _counter("hub_messages", "Messages accepted by notification hubs", counters.hub_messages)
        yield _labelled(
            "hub_targets", "Targets of messages of hubs, by what became of them", "as", counters.hub_targets
        )
        yield _labelled(
            "browser_acks", "Messages that browsers are done with, by the code they say", "code", counters.browser_acks
        )
        yield _labelled(
            "browser_unregistered", "Subscriptions ended by browsers, by the code", "code", counters.browser_ended
        )
        yield _labelled(
            "browser_dropped", "Messages not sent that a browser could not use", "reason", counters.browser_dropped
        )
        for name, value in counters.of_nodes().items():
            yield _counter(name, f"{name.replace('_', ' ').capitalize()}", value)
        for name, value in self._gauges().items():
            yield GaugeMetricFamily(f"tocsin_{name}", f"{name.replace('_', ' ').capitalize()} now", value)
        name, words = "tocsin_delivery_seconds", "Seconds from a notification's headers to its answer with received"
        yield HistogramMetricFamily(
            name, words, buckets=_buckets(counters.latencies), sum_value=counters.latencies.seconds
        )
        words = "Seconds that the store takes for what it is asked in one go, by kind"
        family = HistogramMetricFamily("tocsin_store_seconds", words, labels=["kind"])
        for kind, durations in counters.of_store.items():
            family.add_metric([kind], _buckets(durations), durations.seconds)
        yield family


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    bounds = (*map(str, BUCKETS), "+Inf")
    return [(bound, float(count)) for bound, count in zip(bounds, accumulate(durations.counts), strict=True)]


def _counter(name: str, words: str, value: int) -> Metric:
    return CounterMetricFamily(f"tocsin_{name}", words, value)


def _labelled(name: str, words: str, label: str, values: Counter[str] | Counter[int]) -> Metric:
    family = CounterMetricFamily(f"tocsin_{name}", words, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family
