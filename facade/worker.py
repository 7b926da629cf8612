"""A worker: the data path on its event loop, and a watcher thread that speaks to the control plane.

Whatever the control plane does (fail, hang, vanish), requests are served by the last snapshot (I5, I6).
"""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from secrets import token_hex
from time import monotonic
from typing import TypeVar

from facade.config import FacadeConfig
from facade.data_path import DataPath
from facade.metrics import WorkerMetrics
from facade.ports import (
    EvidenceSink,
    ReadSink,
    ReplicationProgress,
    SnapshotSource,
    TrafficSink,
    WorkerRegistry,
    WorkerStatus,
)
from facade.routes import RouteTable
from facade.snapshot import Snapshot
from facade.traffic import Traffic
from flags.snapshot import FlagSnapshot

T = TypeVar("T")
logger = logging.getLogger(__name__)

POLL = 0.02
"""Seconds between looks at the control revision: a flip is served within this and a load."""
FENCE_POLL = 0.005
"""Seconds between looks at the writes in flight of a held phase."""
HEARTBEAT = 1.0
"""Seconds between reports when nothing changes, between writing metrics and evidence."""
PROGRESS_POLL = 0.5
"""Seconds between looks at how far replication has come."""
TALLY = 0.5
"""Seconds between telling how the sides answer reads."""
TROUBLED_TALLY = 0.1
"""The same once reads have failed: whoever watches over a ramp should know soon."""
COLD_START = 2.0
"""Seconds that a starting worker waits for its first snapshot."""
LOOP_PATIENCE = 5.0
"""Seconds that the watcher waits for the event loop."""

NOTHING_KNOWN = Snapshot(
    revision=-1,
    routes=RouteTable.compile(()),
    phases={},
    flags=FlagSnapshot(-1, {}),
    degraded="nothing is known of the phases yet: the monolith answers everything",
)


class Worker:
    """One process's share of the facade."""

    def __init__(
        self,
        config: FacadeConfig,
        source: SnapshotSource,
        registry: WorkerRegistry,
        evidence: EvidenceSink,
        progress: ReplicationProgress | None = None,
        reads: ReadSink | None = None,
        traffic: TrafficSink | None = None,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        self.path: DataPath
        self._config = config
        self._source = source
        self._registry = registry
        self._evidence = evidence
        self._progress = progress
        self._reads = reads
        self._sink = traffic
        self._metrics = WorkerMetrics(config.metrics, self.name) if config.metrics is not None else None
        self._revision = NOTHING_KNOWN.revision
        self._degraded: str | None = None
        self._said: tuple[int, str | None] | None = None
        self._reported_at = self._flushed_at = self._followed_at = self._told_at = 0.0
        self._fenced = False
        self._traffic: Traffic
        self._loop: asyncio.AbstractEventLoop
        self._first = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    async def start(self) -> None:
        """Begin to serve: by the first snapshot, or by the monolith alone when there is none in time."""
        self._loop = asyncio.get_running_loop()
        self.path = DataPath(self._config, NOTHING_KNOWN)
        self._traffic = Traffic(self.path.counters)
        self.path.start()
        self._thread.start()
        await asyncio.to_thread(self._first.wait, COLD_START)

    async def stop(self) -> None:
        """Stop after the connections are drained: report, flush, forget."""
        await self.path.stop()
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, COLD_START)

    @property
    def degraded(self) -> str | None:
        """Why what is served may be old, if it may be."""
        return self._degraded or self.path.snapshot.degraded

    # The watcher thread

    def _watch(self) -> None:
        while not self._stopping.wait(FENCE_POLL if self._fenced else POLL):
            self._quietly(self._turn, "look at the control plane")
            self._first.set()
        self._quietly(self._flush, "flush")
        self._quietly(lambda: self._registry.retire(self.name), "retire")

    def _turn(self) -> None:
        self._refresh()
        if monotonic() - self._followed_at >= PROGRESS_POLL:
            self._followed_at = monotonic()
            self._quietly(self._follow, "follow replication")
        if monotonic() - self._told_at >= (TROUBLED_TALLY if self.path.tally.troubled else TALLY):
            self._told_at = monotonic()
            self._quietly(self._tell, "tell how reads are answered")
        self._quietly(self._report, "report")  # metrics go on without the control database
        if self.path.access_log is not None:
            self.path.access_log.write()
        if monotonic() - self._flushed_at >= HEARTBEAT:
            self._flushed_at = monotonic()
            self._flush()

    def _follow(self) -> None:
        """Learn how far replication has come, while reads are split or mirrored."""
        own, phases = self.path.read_your_writes, self.path.snapshot.phases
        if self._progress is None:
            return
        split = own is not None and any(
            name in own.phases and traffic.reads is None for name, traffic in phases.items()
        )
        if split or any(traffic.shadow for traffic in phases.values()):
            passed = self._progress.passed()
            self.path.shadow.passed = passed
            if own is not None:
                own.passed = {**own.passed, **passed}

    def _tell(self) -> None:
        """Say how the sides answer reads. What cannot be told now is forgotten: only news is of use."""
        if self._reads is not None and (counts := self._on_loop(self.path.tally.take).counts()):
            self._reads.tell(counts)

    def _refresh(self) -> None:
        """Load and swap when the control revision moved."""
        try:
            if self._source.revision() == self._revision:
                self._degraded = None
                return
            snapshot = self._source.load()
        except Exception as error:  # noqa: BLE001 (any failure means: keep what was last known, I6)
            if self._degraded is None:
                logger.warning(
                    "The control plane fails (%s): serving what was last known.", type(error).__name__
                )
            self._degraded = f"the control plane fails ({type(error).__name__}): serving what was last known"
            return
        self._degraded = None
        self._on_loop(lambda: self.path.swap(snapshot))
        # If the snapshot is older than the revision just read, the next turn loads again.
        self._revision = snapshot.revision

    def _report(self) -> None:
        """Say what is served: when it changed, when a fence has become quiet, and as a sign of life.

        A report that fails is due again at the next turn.
        """
        served = (self._revision, self.degraded)
        due = served != self._said or monotonic() - self._reported_at >= HEARTBEAT
        if not due and not self._fenced:
            return
        status = self._on_loop(self._status)
        waiting = any(status.in_flight.get(phase) for phase in status.holding)
        if due or not waiting:
            self._registry.report(status)
            self._said, self._reported_at = served, monotonic()
        self._fenced = waiting

    def _status(self) -> WorkerStatus:
        path = self.path
        return WorkerStatus(
            worker=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            revision=path.snapshot.revision,
            holding=path.holding,
            in_flight={phase: number for phase, number in path.in_flight.items() if number},
            degraded=self.degraded,
        )

    def _flush(self) -> None:
        """Leave metrics and evidence where they belong; evidence that is not taken is kept."""
        accounts = self.path.shadow.accounts
        counts, samples = self._on_loop(accounts.take)
        if counts and not self._quietly(
            lambda: self._evidence.record(self.name, counts, samples), "record evidence"
        ):
            self._on_loop(lambda: accounts.give_back(counts, samples))
        self._quietly(self._count, "count traffic")
        if self._metrics is not None:
            self._metrics.write(self.path, self.degraded)

    def _count(self) -> None:
        """Tell how many requests each side has answered; what is not taken is told again."""
        counts = self._traffic.untold()
        if self._sink is not None and counts:
            self._sink.count(counts)
            self._traffic.told(counts)

    def _quietly(self, action: Callable[[], object], what: str) -> bool:
        try:
            action()
        except Exception as error:  # noqa: BLE001 (nothing the control plane does may stop the watcher, I5)
            logger.debug("Could not %s: %s", what, type(error).__name__)
            return False
        return True

    def _on_loop(self, action: Callable[[], T]) -> T:
        """Run on the event loop and wait for the result. Raises TimeoutError, and then it does not run."""
        done: Future[T] = Future()

        def run() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(action())
                except Exception as error:  # noqa: BLE001 (handed to the thread that waits)
                    done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        try:
            return done.result(timeout=LOOP_PATIENCE)
        finally:
            done.cancel()
