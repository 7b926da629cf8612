"""How fast changes are carried between two PostgreSQL databases, each number beside its peer in the same run.

- ``vs_logical_replication``: changes a second applied from a backlog of small transactions, against a
  subscription of PostgreSQL's own that carries the same load between two more databases.
- ``lag_ms_p99``: from commit to commit on the other side, by both databases' commit timestamps, of every row
  that is inserted while changes come at half that speed. Databases are on two servers: an open transaction
  holds up the reading of every log there, and the relay's own would hold up its next.
- ``trigger_cost``: a transaction as pgbench's with capture on its four tables, against one without.
- ``backfill_vs_copy``: COPY out to a file and in again, against a backfill with capture and guard.
- ``relay_peak_mib``: the most memory that a relay had while it worked off a backlog of a million changes.
"""

import time
from collections.abc import Callable

from benchmarks.capture import cost_of_capture
from benchmarks.pair import PATIENCE_SECONDS, Pair, connect, execute, peak_mib
from benchmarks.rounds import Options, Samples, interleave, report, show
from benchmarks.subscription import Subscription
from benchmarks.writes import p99
from flags.side import Side
from migration.demo.servers import PostgreSQLServer

ROWS, QUICK_ROWS = 1_000_000, 300_000
BUSY_ROWS = 100_000
"""In the table that the load changes."""
CHANGES, QUICK_CHANGES = 300_000, 60_000
BACKLOG, QUICK_BACKLOG = 1_000_000, 100_000
SECONDS, QUICK_SECONDS = 20, 5
ROUNDS, QUICK_ROUNDS = 5, 3
SETTINGS = {"wal_level": "logical", "track_commit_timestamp": "on", "max_wal_size": "4GB"}


def main() -> None:
    options = Options.parse(__doc__ or "")
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    with PostgreSQLServer(settings=SETTINGS) as server, PostgreSQLServer(settings=SETTINGS) as other:
        speeds = sustained(server, QUICK_CHANGES if options.quick else CHANGES, rounds)
        busy = Pair.filled(server, BUSY_ROWS, other)
        seconds = QUICK_SECONDS if options.quick else SECONDS
        lags = lag(busy, speeds.median("relay") / 2, seconds)
        peak = memory(busy, QUICK_BACKLOG if options.quick else BACKLOG)
        costs = cost_of_capture(server, rounds)
        copies = copying(server, QUICK_ROWS if options.quick else ROWS, rounds)
    show("Changes applied", speeds, "changes/s")
    show("A transaction on four tables", costs, "ms")
    results = {
        "vs_logical_replication": speeds.ratio("relay", to="logical replication"),
        "lag_ms_p99": p99(lags),
        "lag_at_changes_per_second": speeds.median("relay") / 2,
        "trigger_cost": costs.ratio("captured", to="plain"),
        "backfill_vs_copy": copies.ratio("copy out + copy in", to="backfill"),
        "relay_peak_mib": peak,
    }
    report("Copying", copies, "s", results, options)


def sustained(server: PostgreSQLServer, changes: int, rounds: int) -> Samples:
    """Changes a second applied from a backlog; what is compared is checked to be equal."""
    ours, theirs = Pair.filled(server, BUSY_ROWS), Pair.filled(server, BUSY_ROWS)
    subscription = Subscription(theirs)

    def logical() -> float:
        with subscription.retained():
            theirs.load(changes)
            seconds = subscription.seconds()
        theirs.require_equal()
        return changes / seconds

    with ours.replication() as replication:

        def relayed() -> float:
            ours.load(changes)
            began = time.perf_counter()
            while replication.step(Side.SERVICE):
                pass
            seconds = time.perf_counter() - began
            ours.require_equal()
            replication.purge()
            return changes / seconds

        return interleave({"relay": relayed, "logical replication": logical}, rounds)


def lag(pair: Pair, rate: float, seconds: int) -> list[float]:
    """For each row that the load inserts within ``seconds``, the ms its commit came behind the source's."""
    with pair.replication(), pair.relay():
        pair.load(int(rate), rate)  # for a second: connections open, plans are made
        _wait(pair.caught_up)
        with connect(pair.source) as connection:
            [first] = connection.execute("SELECT max(id) FROM orders").fetchone() or (0,)
        pair.load(int(rate * seconds), rate)
        _wait(pair.caught_up)
        at = "extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8"
        committed = f"SELECT id, {at} FROM orders WHERE id > {first}"
        with connect(pair.source) as here, connect(pair.target) as there:
            began, ended = dict(here.execute(committed).fetchall()), dict(there.execute(committed).fetchall())
    return [(ended[row] - begun) * 1000 for row, begun in began.items()]


def memory(pair: Pair, backlog: int) -> float:
    """MiB that a relay needs to work off ``backlog`` changes."""
    with pair.replication() as replication:
        while (waiting := replication.lag(Side.SERVICE).changes) < backlog:
            changed = f"id <= {min(BUSY_ROWS, backlog - waiting)}"
            execute(pair.source, f"UPDATE orders SET paid = NOT paid WHERE {changed}")
        with pair.relay() as process:
            _wait(lambda: replication.lag(Side.SERVICE).changes == 0)
            return peak_mib(process)


def copying(server: PostgreSQLServer, rows: int, rounds: int) -> Samples:
    """Seconds to copy a table of ``rows``."""
    pair = Pair.filled(server, rows)
    contenders: dict[str, Callable[[], float]] = {
        "copy out + copy in": pair.copy,
        "backfill": lambda: backfill(pair, rows),
    }
    return interleave(contenders, rounds)


def backfill(pair: Pair, rows: int) -> float:
    """Seconds for a whole backfill."""
    execute(pair.target, "TRUNCATE orders")
    with pair.replication() as replication:
        began = time.perf_counter()
        replication.backfill(lambda _: None, lambda: False)
        seconds = time.perf_counter() - began
        with connect(pair.target) as connection:
            [copied] = connection.execute("SELECT count(*) FROM orders").fetchone() or (0,)
    if copied != rows:
        raise SystemExit(f"the backfill copied {copied:,} of {rows:,} rows")
    return seconds


def _wait(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        if time.monotonic() > until:
            raise SystemExit(f"the relay did not catch up within {PATIENCE_SECONDS:g} s")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
