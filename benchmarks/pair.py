"""Two databases with the same table of orders, changes to it, and the ways in which they are carried over."""

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import IO, Self

import psycopg
from sqlalchemy.engine import make_url

from dual_write.mapping import Column, TableMapping
from dual_write.relay import Relay
from dual_write.replication import Replication
from flags.side import Side
from migration.demo.servers import PostgreSQLServer

BLOCK = 1 << 16
CHANGES = 3
"""Changed rows in each transaction of the load: one inserted, two updated."""
PATIENCE_SECONDS = 600.0

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
LOAD = """
CREATE PROCEDURE load(transactions integer, rate float) LANGUAGE plpgsql AS $$
DECLARE
  filled bigint; top bigint; one bigint; two bigint; began timestamptz := clock_timestamp();
BEGIN
  SELECT max(id) INTO top FROM orders;
  SELECT count(*) INTO filled FROM orders WHERE title LIKE 'order%';
  FOR n IN 1..transactions LOOP
    one := 1 + floor(random() * filled); two := 1 + floor(random() * filled);
    INSERT INTO orders VALUES (top + n, md5(n::text)::uuid, 'added ' || n, n / 100.0, now(), false,
      jsonb_build_object('lines', n % 7, 'note', md5(n::text)));
    UPDATE orders SET title = 'order changed ' || n, price = price + 1 WHERE id = one;
    UPDATE orders SET paid = NOT paid WHERE id = two;
    COMMIT;
    IF rate > 0 AND n % 10 = 0 THEN
      PERFORM pg_sleep(n / rate - extract(epoch FROM clock_timestamp() - began)::float);
    END IF;
  END LOOP;
END $$
"""
COLUMNS = tuple(
    Column(name, f'"{name}"', name)
    for name in ("id", "customer", "title", "price", "placed", "paid", "details")
)
MAPPING = TableMapping("orders", "orders", ("id",), ("id",), COLUMNS, COLUMNS)


class Pair:
    """A source that takes the load, and a target that is to become its equal."""

    def __init__(self, source: str, target: str) -> None:
        self.source = source
        self.target = target

    @classmethod
    def filled(cls, server: PostgreSQLServer, rows: int, other: PostgreSQLServer | None = None) -> Self:
        """Both with the same ``rows``, the target on ``other`` if there is one."""
        pair = cls(server.create_database(), (other or server).create_database())
        for url in (pair.source, pair.target):
            execute(url, TABLE)
        execute(pair.source, LOAD)
        with connect(pair.source) as connection:
            connection.execute(FILL, (rows,))
        pair.copy()
        for url in (pair.source, pair.target):
            execute(url, "ANALYZE orders")
        return pair

    def copy(self) -> float:
        """Seconds for COPY out to a file, and COPY in from it."""
        execute(self.target, "TRUNCATE orders")
        with tempfile.TemporaryFile() as file:
            began = time.perf_counter()
            self._copy_out(file)
            file.seek(0)
            self._copy_in(file)
            return time.perf_counter() - began

    def _copy_out(self, file: IO[bytes]) -> None:
        with connect(self.source) as connection, connection.cursor().copy("COPY orders TO STDOUT") as rows:
            for data in rows:
                file.write(data)

    def _copy_in(self, file: IO[bytes]) -> None:
        with connect(self.target) as connection, connection.cursor().copy("COPY orders FROM STDIN") as rows:
            while block := file.read(BLOCK):
                rows.write(block)

    def load(self, changes: int, rate: float = 0.0) -> None:
        """Commit ``changes``, at ``rate`` a second or as fast as it goes, by one client inside the server."""
        with connect(self.source, autocommit=True) as connection:
            connection.execute("CALL load(%s, %s)", (changes // CHANGES, rate / CHANGES))

    def caught_up(self) -> bool:
        """Whether the target has the row that the load inserted last."""
        with connect(self.source) as here, connect(self.target) as there:
            newest = "SELECT max(id) FROM orders"
            return here.execute(newest).fetchone() == there.execute(newest).fetchone()

    def require_equal(self) -> None:
        everything = "SELECT count(*), sum(hashtextextended(o::text, 0)) FROM orders AS o"
        with connect(self.source) as here, connect(self.target) as there:
            if here.execute(everything).fetchone() != there.execute(everything).fetchone():
                raise SystemExit("the target does not have the rows of the source")

    @contextmanager
    def replication(self) -> Iterator[Replication]:
        """Capture installed, the target guarded, its inbox open."""
        replication = Replication("bench", self.source, self.target, [MAPPING])
        try:
            replication.install()
            replication.guard(Side.SERVICE, Side.MONOLITH, 1, lock_timeout=5.0)
            replication.open(Side.SERVICE, 1)
            yield replication
        finally:
            replication.uninstall()
            replication.dispose()

    @contextmanager
    def relay(self) -> Iterator[int]:
        """A relay in a process of its own; the process's id."""
        processes = multiprocessing.get_context("spawn")
        ending = processes.Event()
        process = processes.Process(target=_carry, args=(self.source, self.target, ending))
        process.start()
        try:
            yield process.pid or 0
        finally:
            ending.set()
            process.join()


def _carry(source: str, target: str, ending: Event) -> None:
    replication, stop = Replication("bench", source, target, [MAPPING]), threading.Event()
    relay = threading.Thread(target=Relay(replication, lambda: [Side.SERVICE]).run, args=(stop,))
    relay.start()
    ending.wait()
    stop.set()
    relay.join()
    replication.dispose()


def peak_mib(pid: int) -> float:
    """The most memory that a process ever had resident; Linux only."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def connect(url: str, *, autocommit: bool = False) -> psycopg.Connection[tuple[int, ...]]:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(address, autocommit=autocommit)


def execute(url: str, statements: str) -> None:
    with connect(url) as connection:
        connection.execute(statements.encode())
