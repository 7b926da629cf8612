"""What the facade needs from outside. The control plane implements these and injects them per worker.

Every method may block and may raise; the worker calls them from its watcher thread, never from the event
loop, and an exception means "keep what was last known and say degraded" (invariant I6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from facade.evidence import Comparison, ShadowCounts
from facade.snapshot import Snapshot
from facade.tally import ReadCounts
from facade.traffic import TrafficCount
from flags.side import Side


class SnapshotSource(Protocol):
    """Where snapshots come from."""

    def revision(self) -> int:
        """The current control revision. Cheap: it is asked many times a second."""
        ...

    def load(self) -> Snapshot:
        """The whole current state, at a revision not older than the last ``revision()`` returned."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What a worker serves now.

    ``in_flight`` counts, per phase, the client writes sent to an upstream and not yet finished. A phase in
    ``holding`` has its new writes waiting at the facade. Both were read after ``revision`` took effect.
    """

    worker: str
    host: str
    pid: int
    revision: int
    holding: frozenset[str]
    in_flight: Mapping[str, int]
    degraded: str | None


class WorkerRegistry(Protocol):
    """Where workers say what they serve, so that a flip or a fence knows when it has arrived."""

    def report(self, status: WorkerStatus) -> None:
        """Record the status and, with it, that the worker is alive."""
        ...

    def retire(self, worker: str) -> None:
        """Forget a worker that stopped on purpose."""
        ...


class EvidenceSink(Protocol):
    """Where the outcome of shadow comparisons goes."""

    def record(self, worker: str, counts: Sequence[ShadowCounts], samples: Sequence[Comparison]) -> None:
        """Add counts since the last call, and store differing samples (already redacted)."""
        ...


class TrafficSink(Protocol):
    """Where it is counted who answers."""

    def count(self, counts: Sequence[TrafficCount]) -> None:
        """Add what was answered since the last call."""
        ...


class ReadSink(Protocol):
    """Where it is told how each side answers the reads that a flag splits."""

    def tell(self, counts: Sequence[ReadCounts]) -> None:
        """Add what was counted since the last call."""
        ...


class ReplicationProgress(Protocol):
    """How far replication has come: what lets a client's reads leave the writer again."""

    def passed(self) -> Mapping[tuple[str, Side], float]:
        """By phase and side: the time, in seconds since 1970 by this host's clock, up to which everything
        that was written is on that side. What is not known is left out."""
        ...
