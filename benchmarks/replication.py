"""How fast a phase's rows are copied, against what the database itself needs: COPY out, then COPY in.

Both copy the same table of mixed types, with its primary key and an index, between two databases of one
PostgreSQL server. COPY goes through a file, as `psql` would do it.
"""

import tempfile
import time
from collections.abc import Callable
from typing import IO

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.rounds import Options, interleave, report
from dual_write.mapping import Column, TableMapping
from dual_write.replication import Replication
from flags.side import Side
from migration.demo.servers import PostgreSQLServer

ROWS, QUICK_ROWS = 1_000_000, 300_000
ROUNDS, QUICK_ROUNDS = 5, 3
BLOCK = 1 << 16

TABLE = """
CREATE TABLE orders (
  id bigint PRIMARY KEY, customer uuid NOT NULL, title text NOT NULL, price numeric(12,2),
  placed timestamptz NOT NULL,  paid boolean NOT NULL, details jsonb
); CREATE INDEX orders_customer ON orders (customer)
"""
FILL = """
INSERT INTO orders SELECT n, md5(n::text)::uuid, 'order number ' || n, n / 100.0,
  now() - n * interval '1 second', n %% 3 = 0,
  jsonb_build_object('lines', n %% 7, 'note', md5((n + 1)::text))
FROM generate_series(1, %s) AS n
"""
COLUMNS = tuple(
    Column(name, f'"{name}"', name)
    for name in ("id", "customer", "title", "price", "placed", "paid", "details")
)
MAPPING = TableMapping("orders", "orders", ("id",), ("id",), COLUMNS, COLUMNS)


def main() -> None:
    options = Options.parse(__doc__ or "")
    rows = QUICK_ROWS if options.quick else ROWS
    with PostgreSQLServer() as server:
        source, target = server.create_database(), server.create_database()
        for url in (source, target):
            execute(url, TABLE)
        with connect(source) as connection:
            connection.execute(FILL, (rows,))
            connection.execute("ANALYZE orders")
        contenders: dict[str, Callable[[], float]] = {
            "copy out + copy in": lambda: copy(source, target),
            "backfill": lambda: backfill(source, target, rows),
        }
        samples = interleave(contenders, QUICK_ROUNDS if options.quick else ROUNDS)
    ratio = samples.ratio("copy out + copy in", to="backfill")
    report(f"Copying {rows:,} rows", samples, "s", {"backfill_vs_copy": ratio, "rows": rows}, options)


def copy(source: str, target: str) -> float:
    """Seconds for COPY out to a file, and COPY in from it."""
    execute(target, "TRUNCATE orders")
    with tempfile.TemporaryFile() as file:
        began = time.perf_counter()
        copy_out(source, file)
        file.seek(0)
        copy_in(target, file)
        return time.perf_counter() - began


def copy_out(source: str, file: IO[bytes]) -> None:
    with connect(source) as connection, connection.cursor().copy("COPY orders TO STDOUT") as rows:
        for data in rows:
            file.write(data)


def copy_in(target: str, file: IO[bytes]) -> None:
    with connect(target) as connection, connection.cursor().copy("COPY orders FROM STDIN") as rows:
        while block := file.read(BLOCK):
            rows.write(block)


def backfill(source: str, target: str, rows: int) -> float:
    """Seconds for a whole backfill, with the capture installed on the source and the target guarded."""
    execute(target, "TRUNCATE orders")
    replication = Replication("bench", source, target, [MAPPING])
    try:
        replication.install()
        replication.guard(Side.SERVICE, Side.MONOLITH, 1, lock_timeout=5.0)
        replication.open(Side.SERVICE, 1)
        began = time.perf_counter()
        replication.backfill(lambda _: None, lambda: False)
        seconds = time.perf_counter() - began
        with connect(target) as connection:
            [copied] = connection.execute("SELECT count(*) FROM orders").fetchone() or [0]
        if copied != rows:
            raise SystemExit(f"the backfill copied {copied:,} of {rows:,} rows")
        return seconds
    finally:
        replication.uninstall()
        replication.dispose()


def connect(url: str) -> psycopg.Connection[tuple[int, ...]]:
    return psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))


def execute(url: str, statements: str) -> None:
    with connect(url) as connection:
        connection.execute(statements.encode())


if __name__ == "__main__":
    main()
