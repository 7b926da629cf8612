"""Checking a million rows of eight mixed columns: identical, 1 % different all over, and against SQLite.

Beside it, in the same rounds: reladiff, COPY out of both sides, and SQLite's own fetch of all rows, alone and
with COPY out of PostgreSQL at the same time (``cross_vs_both_read``): there are two cores, and a check has
both servers at work. They are measured against a check at full speed (``--share 100``). Then a load of short
transactions with a check beside it, as polite as it is by default, and without; ``polite_rows_per_second`` is
how fast that one went.

Ten differences are looked for in ten times as many rows: ``wire_share`` is what that check exchanges, as a
part of one side's table. ``peak_mib`` is the most memory of all, from a tenth of the rows to ten times as
many and with 200,000 findings.

python -m benchmarks.check [--json] [--quick] [--rows 1000000]
"""

import argparse
import logging
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psycopg
import reladiff
import sqlalchemy as sa

from benchmarks.checker import checking, peak
from benchmarks.foreground import latency, prepare
from benchmarks.rounds import Options, Samples, interleave, report
from benchmarks.wire import tapped
from dual_write.check import FULL_SPEED, run_check
from dual_write.database import open_engine
from dual_write.mapping import Column, TableFlow
from migration.demo.servers import PostgreSQLServer

ROWS, QUICK_ROWS = 1_000_000, 100_000
ROUNDS, QUICK_ROUNDS = 5, 2
FOREGROUND_SECONDS, QUICK_FOREGROUND_SECONDS = 15.0, 5.0
LARGER = 10
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
SCATTER = "UPDATE item SET price = price + 1 WHERE mod(id, 100) = 37"
TEN = "UPDATE item SET price = price + 1 WHERE mod(id, {rows} / 10) = 7"
MANY = "UPDATE item SET note = 'another' WHERE id <= 200000"
SQLITE_TABLE = (
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price NUMERIC(10, 2) NOT NULL, "
    "ratio REAL NOT NULL, active BOOLEAN NOT NULL, created DATETIME NOT NULL, note TEXT, "
    "payload JSON NOT NULL)"
)
FOR_SQLITE = (
    "SELECT id, name, price::float8, ratio, active, "
    "to_char(created AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), note, payload::text FROM item"
)


@dataclass(frozen=True, slots=True)
class Databases:
    """URLs: ``source`` and ``target`` are identical, ``scattered`` differs, ``lite`` is SQLite's."""

    source: str
    target: str
    scattered: str
    lite: str


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rows", type=int)
    chosen, rest = parser.parse_known_args()
    options = Options.parse(__doc__ or "", rest)
    rows = chosen.rows or (QUICK_ROWS if options.quick else ROWS)
    with _databases(rows) as databases:
        source, scattered = databases.source, rows // 100
        contenders = {
            "check": lambda: _check(source, databases.target, rows, 0),
            "reladiff": lambda: _reladiff(source, databases.target, 0),
            "COPY out of both": lambda: _copy_out(source, databases.target),
            "check, scattered": lambda: _check(source, databases.scattered, rows, scattered),
            "reladiff, scattered": lambda: _reladiff(source, databases.scattered, scattered),
            "check against SQLite": lambda: _check(source, databases.lite, rows, 0),
            "check of SQLite and SQLite": lambda: _check(databases.lite, databases.lite, rows, 0),
            "SQLite's fetch": lambda: _fetch(databases.lite),
            "SQLite's fetch beside COPY": lambda: _both_read(source, databases.lite),
        }
        samples = interleave(contenders, QUICK_ROUNDS if options.quick else ROUNDS)
        foreground, polite = _foreground(databases, rows, quick=options.quick)
        identical = {rows: peak(source, databases.target, FLOW)}
        peaks = [peak(source, target, FLOW) for target in (databases.scattered, databases.lite)]
        _run(databases.scattered, MANY, "VACUUM item")
        peaks += [peak(one, databases.scattered, FLOW) for one in (source, databases.lite)]
    with _alike(rows // LARGER, 2) as (one, other):
        identical[rows // LARGER] = peak(one, other, FLOW)
    with _alike(rows * LARGER, 2) as (one, other):
        identical[rows * LARGER] = peak(one, other, FLOW)
        _run(other, TEN.format(rows=rows * LARGER))
        wire_share = _wire_share(one, other, rows * LARGER)
    report(
        f"Check of {rows:,} rows × {len(COLUMNS)} columns",
        samples,
        "s",
        {
            "vs_reladiff": samples.ratio("reladiff", "check"),
            "vs_copy_out": samples.ratio("check", "COPY out of both"),
            "scattered_vs_reladiff": samples.ratio("reladiff, scattered", "check, scattered"),
            "wire_share": wire_share,
            "cross_vs_sqlite_fetch": samples.ratio("SQLite's fetch", "check against SQLite"),
            "cross_vs_both_read": samples.ratio("SQLite's fetch beside COPY", "check against SQLite"),
            "sqlite_vs_sqlite_fetch": samples.ratio("SQLite's fetch", "check of SQLite and SQLite"),
            "peak_mib": max(*peaks, *identical.values()),
            **{f"peak_mib_of_{number}_rows": identical[number] for number in sorted(identical)},
            "peak_mib_many_findings": max(peaks[-2:]),
            "foreground_p99": foreground.ratio("with a check", "without"),
            "polite_rows_per_second": polite,
            "foreground_ms_p99": foreground.median("without") * 1000,
            "rows": rows,
        },
        options,
    )


@contextmanager
def _databases(rows: int) -> Iterator[Databases]:
    with _alike(rows, 3) as (source, target, scattered), TemporaryDirectory() as directory:
        _run(scattered, SCATTER, "VACUUM ANALYZE item")
        yield Databases(source, target, scattered, _in_sqlite(source, Path(directory) / "lite.db"))


@contextmanager
def _alike(rows: int, number: int) -> Iterator[list[str]]:
    """The URLs of so many databases of one server with the same table; all but the first are copied files."""
    with PostgreSQLServer() as server:
        urls = [server.create_database()]
        try:
            _run(urls[0], TABLE, FILL.format(rows=rows), "VACUUM ANALYZE item")
            urls += [server.create_database(copied=urls[0]) for _ in range(1, number)]
            yield urls
        finally:
            for url in urls:
                server.drop_database(url)


def _run(url: str, *statements: str) -> None:
    with psycopg.connect(_plain(url), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _in_sqlite(url: str, file: Path) -> str:
    insert = f"INSERT INTO item VALUES ({', '.join('?' * len(COLUMNS))})"
    with psycopg.connect(_plain(url)) as source, closing(sqlite3.connect(file)) as lite, lite:
        lite.execute(SQLITE_TABLE)
        with source.cursor("rows") as cursor:
            cursor.itersize = 10_000
            lite.executemany(insert, cursor.execute(FOR_SQLITE))
    return f"sqlite:///{file}"


def _check(source: str, target: str, rows: int, findings: int) -> float:
    ours, theirs = open_engine(source), open_engine(target)
    started = time.perf_counter()
    result = run_check(ours, theirs, [FLOW], manners=FULL_SPEED)
    seconds = time.perf_counter() - started
    ours.dispose()
    theirs.dispose()
    if result.rows != rows or len(result.findings) != findings:
        raise SystemExit(f"the check found {len(result.findings)} differences in {result.rows} rows")
    return seconds


def _reladiff(source: str, target: str, findings: int) -> float:
    for name in ("database", "hashdiff_tables"):
        # They warn of every column that is compared as text.
        logging.getLogger(name).setLevel(logging.ERROR)
    tables = [reladiff.connect_to_table(_plain(url), "item", "id") for url in (source, target)]
    started = time.perf_counter()
    different = list(reladiff.diff_tables(*tables, extra_columns=COLUMNS[1:]))
    seconds = time.perf_counter() - started
    for table in tables:
        table.database.close()
    # It lists a row that differs twice, once as each side has it.
    if len(different) != 2 * findings:
        raise SystemExit(f"reladiff found {len(different)} rows")
    return seconds


def _copy_out(*urls: str) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(len(urls)) as threads:
        list(threads.map(_copy, urls))
    return time.perf_counter() - started


def _copy(url: str) -> None:
    with (
        psycopg.connect(_plain(url)) as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY item TO STDOUT") as copy,
    ):
        for _ in copy:
            pass


def _fetch(url: str) -> float:
    with closing(sqlite3.connect(sa.make_url(url).database or "")) as connection:
        started = time.perf_counter()
        for _ in connection.execute("SELECT * FROM item ORDER BY id"):
            pass
        return time.perf_counter() - started


def _both_read(url: str, lite: str) -> float:
    """Until both servers have read all rows; PostgreSQL's go nowhere."""
    with psycopg.connect(_plain(url)) as connection, ThreadPoolExecutor(1) as beside:
        started = time.perf_counter()
        copied = beside.submit(connection.execute, "COPY item TO '/dev/null'")
        _fetch(lite)
        copied.result()
        return time.perf_counter() - started


def _foreground(databases: Databases, rows: int, *, quick: bool) -> tuple[Samples, float]:
    """The p99 of the load, and how many rows a second were compared beside it."""
    rates: list[float] = []
    url = _plain(databases.source)
    seconds = QUICK_FOREGROUND_SECONDS if quick else FOREGROUND_SECONDS
    prepare(url)

    def beside_a_check() -> float:
        with checking(databases.source, databases.target, FLOW) as compared:
            before = compared.value
            taken = latency(url, rows, seconds)
            rates.append((compared.value - before) / seconds)
        return taken

    contenders = {"without": lambda: latency(url, rows, seconds), "with a check": beside_a_check}
    return interleave(contenders, QUICK_ROUNDS if quick else ROUNDS), median(rates)


def _wire_share(source: str, target: str, rows: int) -> float:
    with tapped(source) as (ours, one), tapped(target) as (theirs, other):
        _check(ours, theirs, rows, 10)
    with psycopg.connect(_plain(source)) as connection:
        [size] = connection.execute("SELECT pg_table_size('item')").fetchone() or (0,)
    return (one.bytes + other.bytes) / size


def _plain(url: str) -> str:
    """The URL as the driver itself and reladiff take it."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


if __name__ == "__main__":
    main()
