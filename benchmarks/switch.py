"""How long writes wait for a switch: at a steady rate, back and forth, with every acknowledged one looked up.

``pause_ms_p99`` is the median over all switches, cancelled ones too, of the p99 that each added to the writes
that met it, counted from when a write was due. ``switches_back_and_forth_lost`` counts acknowledged writes
that their owner in the end does not have, ``doubled`` those that it has twice, and ``leftover_guards`` the
databases whose guard is not as the writer asks. ``--database sqlite`` measures without a PostgreSQL.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.orders import Orders
from benchmarks.rounds import Options, Samples, report
from benchmarks.scratch import PHASE, Databases, Scratch, scratch
from benchmarks.writes import Write, added_p99, lost_and_doubled, read
from flags.side import Side
from migration.checking import check_phase
from migration.demo.processes import Process
from migration.demo.servers import PostgreSQLServer
from migration.errors import RunCancelled
from migration.journal import FINISHED, Entry, Journal
from migration.stages import Stage

SWITCHES, QUICK_SWITCHES = 100, 10
RATE = {"postgresql": 500, "sqlite": 200}
"""Writes a second; SQLite lets one writer in at a time."""
CALM_SECONDS = 1.0
"""What passes between two switches: the latency before each is measured in it."""
SWITCH = "switch"


@dataclass(frozen=True, slots=True)
class Held:
    """When a switch held writes, in seconds since 1970, and how many seconds each of its steps took."""

    began: float
    ended: float
    steps: Mapping[str, float]
    finished: bool

    @classmethod
    def journaled(cls, entries: Sequence[Entry]) -> "Held":
        """From the journal of a switch that came to hold writes, and finished or was cancelled."""
        began = next(entry.at for entry in entries if (entry.name, entry.state) == ("hold", "started"))
        steps = {entry.name: entry.detail["seconds"] for entry in entries if "seconds" in entry.detail}
        steps["release"] = steps.pop(
            SWITCH, 0.0
        )  # the last line tells how the run ended, and of its last step
        return cls(began, entries[-1].at, steps, finished=entries[-1].state == FINISHED)


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--database", choices=sorted(RATE), default="postgresql")
    chosen, rest = parser.parse_known_args()
    options = Options.parse(__doc__ or "", rest)
    switches = QUICK_SWITCHES if options.quick else SWITCHES
    with (
        tempfile.TemporaryDirectory(prefix="strangler-switch-") as directory,
        databases(chosen.database, Path(directory)) as urls,
        scratch(Path(directory), urls, moves_data=True) as migration,
    ):
        held, writes, seconds = back_and_forth(migration, switches, RATE[chosen.database])
        owner = migration.wiring.control.phase(PHASE).writer
        leftover = leftover_guards(migration, owner)
        lost, doubled = looked_up(getattr(urls, owner), writes)
    pauses = [added_p99(writes, each.began, each.ended, CALM_SECONDS) for each in held]
    finished = [each for each in held if each.finished]
    acknowledged = sum(1 for write in writes if write.acknowledged)
    results = {
        "pause_ms_p99": median(pauses),
        "pause_ms_worst": max(pauses),
        "errors": len(writes) - acknowledged,
        "switches_back_and_forth_lost": lost,
        "doubled": doubled,
        "leftover_guards": leftover,
        "switches": len(finished),
        "cancelled": len(held) - len(finished),
        "writes": acknowledged,
        "writes_per_second": acknowledged / seconds,
        "database": chosen.database,
    }
    samples = {
        "p99 added to a write": tuple(pauses),
        "from hold to release": tuple((each.ended - each.began) * 1000 for each in held),
    }
    for step in finished[0].steps:
        samples[f"  {step}"] = tuple(each.steps[step] * 1000 for each in finished)
    report("A switch under load", Samples(samples), "ms", results, options)
    if lost or doubled or leftover or results["errors"]:
        raise SystemExit(1)


@contextmanager
def databases(engine: str, directory: Path) -> Iterator[Databases]:
    if engine == "sqlite":
        yield Databases.sqlite(directory)
        return
    with PostgreSQLServer() as server:
        yield Databases(server.create_database(), server.create_database(), server.create_database())


def back_and_forth(migration: Scratch, switches: int, rate: float) -> tuple[list[Held], list[Write], float]:
    """Every switch, every write, and for how many seconds there were writes."""
    controller = migration.wiring.controller
    controller.sync(PHASE, lambda _: None, lambda: False)
    file = migration.directory / "writes.jsonl"
    command = [sys.executable, "-m", "benchmarks.writes", migration.url, str(rate), str(file)]
    began = time.monotonic()
    with Process(command, migration.directory / "writes.log"):
        time.sleep(CALM_SECONDS)
        if not check_phase(migration.wiring, PHASE).clean:
            raise SystemExit("the check before the first switch is not clean")
        held = [switched(migration) for _ in range(switches)]
        time.sleep(CALM_SECONDS)
    return held, read(file), time.monotonic() - began


def switched(migration: Scratch) -> Held:
    """Let the writer change once, from whichever side has it."""
    controller, control = migration.wiring.controller, migration.wiring.control
    move: Callable[[str], object] = controller.rollback
    if control.phase(PHASE).stage is not Stage.LIVE:
        migration.reach(Stage.RAMP)
        move = controller.advance
    time.sleep(CALM_SECONDS)
    with suppress(RunCancelled):  # clients waited all the same
        move(PHASE)
    journal = Journal(control)
    [run] = journal.last(PHASE, SWITCH, limit=1)
    return Held.journaled(journal.entries(run.id))


def leftover_guards(migration: Scratch, owner: Side) -> int:
    """How many databases refuse writes that they should take, or the other way round."""
    replication = migration.wiring.controller.replication(PHASE)
    try:
        return sum(replication.guarded(side) is (side is owner) for side in Side)
    finally:
        replication.dispose()


def looked_up(database: str, writes: Sequence[Write]) -> tuple[int, int]:
    """How many acknowledged writes the owner's database lost, and how many it has more than once."""
    orders = Orders(database)
    try:
        return lost_and_doubled(writes, orders.references())
    finally:
        orders.dispose()


if __name__ == "__main__":
    main()
