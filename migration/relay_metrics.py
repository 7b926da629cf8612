"""Prometheus metrics of ``strangler relay``, made of what its phases last saw of themselves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dual_write.replication import Accounts, Lag
from facade.address import parse_listen
from facade.errors import AddressError
from flags.side import Side

_LABELS = ("phase", "to")
_DIRECTIONS: Mapping[str, tuple[str, Callable[["Seen"], float]]] = {
    "lag_seconds": ("Age of the oldest change that waits.", lambda seen: seen.lag.seconds),
    "lag_changes": ("Changes that wait.", lambda seen: seen.lag.changes),
    "horizon_seconds": ("Age of the oldest open transaction.", lambda seen: seen.lag.horizon_seconds),
    "captured": ("Entries of the change log, ever.", lambda seen: seen.accounts.captured),
    "applied": ("Entries that are applied.", lambda seen: seen.accounts.applied),
    "pending": ("Entries that are not yet read.", lambda seen: seen.accounts.pending),
    "parked": ("Entries of keys that the other side would not take.", lambda seen: seen.accounts.parked),
    "backfilled_rows": ("Rows copied by the backfill.", lambda seen: seen.backfilled),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One direction of a phase."""

    lag: Lag
    accounts: Accounts
    backfilled: int


@dataclass(frozen=True, slots=True)
class Account:
    """One phase's relay: its directions, its batches and failures, and seconds since its last turn."""

    phase: str
    directions: Mapping[Side, Seen] = field(default_factory=dict)
    batches: int = 0
    failures: int = 0
    silent_seconds: float = 0.0


class RelayMetrics:
    """A collector that asks each phase for its account."""

    def __init__(self, accounts: Sequence[Callable[[], Account]]) -> None:
        self._accounts = accounts

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        accounts = [account() for account in self._accounts]
        for name, (meaning, value) in _DIRECTIONS.items():
            gauge = GaugeMetricFamily(f"strangler_relay_{name}", meaning, labels=_LABELS)
            for account in accounts:
                for side, seen in account.directions.items():
                    gauge.add_metric((account.phase, side), value(seen))
            yield gauge
        silent = GaugeMetricFamily(
            "strangler_relay_silent_seconds", "Since both databases last answered.", labels=("phase",)
        )
        batches = CounterMetricFamily("strangler_relay_batches", "Batches applied.", labels=("phase",))
        failures = CounterMetricFamily("strangler_relay_failures", "Turns that failed.", labels=("phase",))
        for account in accounts:
            silent.add_metric((account.phase,), account.silent_seconds)
            batches.add_metric((account.phase,), account.batches)
            failures.add_metric((account.phase,), account.failures)
        yield from (silent, batches, failures)


@contextmanager
def exposed(address: str | None, metrics: RelayMetrics) -> Iterator[None]:
    """Answer every GET on ``address`` (``host:port``) with the metrics; nothing without one.

    Raises AddressError when it cannot be listened on.
    """
    if address is None:
        yield
        return
    host, port = parse_listen(address)
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise AddressError(
            f"cannot listen on {address} ({error.strerror}). Free it, or choose another."
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
