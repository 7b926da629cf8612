"""Prometheus metrics of all workers: each leaves its totals in a file, the admin port adds them up.

A worker's file outlives it, so that no counter ever falls; gauges are read from files that are fresh.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from facade.counters import BUCKETS
from facade.health_report import FRESH, instances

if TYPE_CHECKING:
    from facade.data_path import DataPath

CONTENT_TYPE = CONTENT_TYPE_LATEST


def prepare(directory: str) -> None:
    """Make the metrics directory, without what an earlier facade left in it. The parent calls it once."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    for file in Path(directory).glob("*.json"):
        file.unlink(missing_ok=True)


class WorkerMetrics:
    """One worker's file in the metrics directory."""

    def __init__(self, directory: str, worker: str) -> None:
        self._file = Path(directory) / f"{worker.replace(':', '-').replace('/', '-')}.json"

    def write(self, path: "DataPath", degraded: str | None) -> None:
        """Replace the file by the totals of now."""
        counters = path.counters
        document = {
            "requests": [
                [*key, latency.buckets, latency.seconds] for key, latency in counters.requests.copy().items()
            ],
            "events": [[*key, number] for key, number in counters.events.copy().items()],
            "in_flight": dict(path.in_flight),
            "held": len(path.holds),
            "clients": len(path.clients),
            "revision": path.snapshot.revision,
            "degraded": degraded is not None,
            "instances": instances(path),
        }
        draft = self._file.with_suffix(f".{os.getpid()}.tmp")
        draft.write_bytes(orjson.dumps(document))
        draft.replace(self._file)


class _Workers(Collector):
    """A collector over the files of all workers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        every, fresh = [], []
        for file in sorted(self._directory.glob("*.json")):
            try:
                age = time.time() - file.stat().st_mtime
                document = orjson.loads(file.read_bytes())
            except (OSError, ValueError):
                continue
            every.append(document)
            if age < FRESH:
                fresh.append(document)
        yield _requests(every)
        yield _events(every)
        yield from _gauges(fresh)


def exposition(directory: str) -> bytes:
    """The metrics of all workers in Prometheus's text format."""
    return exposed(_Workers(Path(directory)))


def exposed(collector: Collector) -> bytes:
    """What it collects at this moment, in Prometheus's text format. Raises whatever it does."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry)


def _requests(documents: Iterable[Any]) -> Metric:
    totals: dict[tuple[str, ...], tuple[Counter[int], list[float]]] = {}
    for document in documents:
        for phase, route, side, status, buckets, seconds in document["requests"]:
            counts, sums = totals.setdefault((phase, route, side, f"{status}xx"), (Counter(), []))
            counts.update(dict(enumerate(buckets)))
            sums.append(seconds)
    family = HistogramMetricFamily(
        "strangler_request_duration_seconds",
        "Requests by phase, route, side and status class, and how long they took.",
        labels=("phase", "route", "side", "status"),
    )
    bounds = [*map(str, BUCKETS), "+Inf"]
    for labels, (counts, sums) in totals.items():
        cumulative = accumulate(counts[index] for index in range(len(bounds)))
        family.add_metric(labels, list(zip(bounds, cumulative, strict=True)), sum(sums))
    return family


def _events(documents: Iterable[Any]) -> Metric:
    totals: Counter[tuple[str, str]] = Counter()
    for document in documents:
        for event, phase, number in document["events"]:
            totals[event, phase] += number
    family = CounterMetricFamily(
        "strangler_facade_events", "What happened to requests besides an answer.", labels=("event", "phase")
    )
    for labels, number in totals.items():
        family.add_metric(labels, number)
    return family


def _asked(documents: list[Any]) -> Metric:
    family = GaugeMetricFamily(
        "strangler_instance_up",
        "Workers that would ask this instance now.",
        labels=("phase", "instance"),
    )
    workers: Counter[tuple[str, str]] = Counter()
    for document in documents:
        for each in document["instances"]:
            workers[each["phase"], each["instance"]] += each["healthy"] and not each["ejected"]
    for labels, number in workers.items():
        family.add_metric(labels, number)
    return family


def _gauges(documents: list[Any]) -> Iterator[Metric]:
    flying: Counter[str] = Counter()
    for document in documents:
        flying.update(document["in_flight"])
    in_flight = GaugeMetricFamily(
        "strangler_writes_in_flight", "Writes at an upstream now.", labels=("phase",)
    )
    for phase, number in flying.items():
        in_flight.add_metric((phase,), number)
    yield in_flight
    yield _asked(documents)
    for name, help_, value in (
        (
            "strangler_writes_held",
            "Writes that wait at a fence now.",
            sum(each["held"] for each in documents),
        ),
        (
            "strangler_client_connections",
            "Open client connections.",
            sum(each["clients"] for each in documents),
        ),
        ("strangler_workers", "Workers that are alive.", len(documents)),
        (
            "strangler_workers_degraded",
            "Workers without a control plane.",
            sum(each["degraded"] for each in documents),
        ),
        (
            "strangler_revision_oldest",
            "The oldest served revision.",
            min((each["revision"] for each in documents), default=0),
        ),
    ):
        yield GaugeMetricFamily(name, help_, value)
