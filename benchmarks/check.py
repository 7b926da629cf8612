"""Checking a million identical rows of eight mixed columns on PostgreSQL, beside reladiff in the same rounds.

python -m benchmarks.check [--json] [--quick]
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import reladiff
import sqlalchemy as sa

from benchmarks.rounds import Options, interleave, report
from dual_write.check import run_check
from dual_write.database import open_engine
from dual_write.mapping import Column, TableFlow
from migration.demo.servers import PostgreSQLServer

ROWS, QUICK_ROWS = 1_000_000, 200_000
ROUNDS, QUICK_ROUNDS = 5, 3
COLUMNS = ("id", "name", "price", "ratio", "active", "created", "note", "payload")
FLOW = TableFlow("item", "item", ("id",), ("id",), tuple(Column(name, f'"{name}"', name) for name in COLUMNS))
TABLE = (
    "CREATE UNLOGGED TABLE item (id bigint PRIMARY KEY, name text NOT NULL, price numeric(10, 2) NOT NULL, "
    "ratio double precision NOT NULL, active boolean NOT NULL, created timestamptz NOT NULL, note text, "
    "payload jsonb NOT NULL)"
)
FILL = (
    "INSERT INTO item SELECT i, 'name ' || i, mod(i, 100000) / 100.0, i / 7.0, mod(i, 3) = 0, "
    "timestamptz '2024-01-01 00:00:00Z' + i * interval '1 second', "
    "CASE WHEN mod(i, 5) <> 0 THEN md5(i::text) END, "
    "jsonb_build_object('number', i, 'group', 'g' || mod(i, 10)) FROM generate_series(1, {rows}) AS i"
)


def main() -> None:
    options = Options.parse(__doc__ or "")
    rows = QUICK_ROWS if options.quick else ROWS
    with _databases(rows) as (source, target):
        contenders = {
            "check": lambda: _check(source, target, rows),
            "reladiff": lambda: _reladiff(source, target),
        }
        samples = interleave(contenders, QUICK_ROUNDS if options.quick else ROUNDS)
    report(
        f"Check of {rows:,} identical rows × {len(COLUMNS)} columns",
        samples,
        "s",
        {"vs_reladiff": samples.ratio("reladiff", "check"), "rows": rows},
        options,
    )


@contextmanager
def _databases(rows: int) -> Iterator[tuple[str, str]]:
    with PostgreSQLServer() as server:
        urls = server.create_database(), server.create_database()
        try:
            for url in urls:
                _fill(url, rows)
            yield urls
        finally:
            for url in urls:
                server.drop_database(url)


def _fill(url: str, rows: int) -> None:
    engine = open_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in (TABLE, FILL.format(rows=rows), "VACUUM ANALYZE item"):
            connection.exec_driver_sql(statement)
    engine.dispose()


def _check(source: str, target: str, rows: int) -> float:
    ours, theirs = open_engine(source), open_engine(target)
    started = time.perf_counter()
    result = run_check(ours, theirs, [FLOW])
    seconds = time.perf_counter() - started
    ours.dispose()
    theirs.dispose()
    if not result.clean or result.rows != rows:
        raise SystemExit("the check did not find the tables identical")
    return seconds


def _reladiff(source: str, target: str) -> float:
    for name in ("database", "hashdiff_tables"):
        # They warn of every column that is compared as text.
        logging.getLogger(name).setLevel(logging.ERROR)
    tables = [reladiff.connect_to_table(_plain(url), "item", "id") for url in (source, target)]
    started = time.perf_counter()
    different = list(reladiff.diff_tables(*tables, extra_columns=COLUMNS[1:]))
    seconds = time.perf_counter() - started
    for table in tables:
        table.database.close()
    if different:
        raise SystemExit("reladiff did not find the tables identical")
    return seconds


def _plain(url: str) -> str:
    """The URL as reladiff's own driver takes it."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


if __name__ == "__main__":
    main()
