"""Latencies at a constant rate: percentiles of what was due, and what was answered a second."""

from benchmarks.open_loop import Latencies


def test_percentiles_are_of_all_latencies_in_milliseconds() -> None:
    seconds = [number / 1000 for number in range(1, 101)]
    measured = Latencies.of(list(reversed(seconds)), lasted=2.0)
    assert measured == Latencies(p50=51.0, p99=100.0, rate=50.0)


def test_one_latency_is_every_percentile() -> None:
    assert Latencies.of([0.25], lasted=1.0) == Latencies(250.0, 250.0, 1.0)
