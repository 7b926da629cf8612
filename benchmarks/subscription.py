"""PostgreSQL's own logical replication of a pair's table, as the peer of the relay."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.pair import PATIENCE_SECONDS, Pair, connect

_POLL_SECONDS = 0.005
_NAME = "bench"


class Subscription:
    """A publication on the source and, for as long as ``seconds`` takes, a subscription on the target."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        with connect(pair.source, autocommit=True) as connection:
            connection.execute(f"CREATE PUBLICATION {_NAME} FOR TABLE orders".encode())

    @contextmanager
    def retained(self) -> Iterator[None]:
        """What is committed inside is kept for the subscription."""
        with connect(self._pair.source, autocommit=True) as connection:
            connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (_NAME,))
            try:
                yield
            finally:
                self._drop_slot(connection)

    def seconds(self) -> float:
        """Subscribe, until all that was retained is on the target."""
        source = make_url(self._pair.source)
        fields = {
            "host": source.host,
            "port": source.port,
            "user": source.username,
            "password": source.password,
            "dbname": source.database,
        }
        address = " ".join(f"{name}={value}" for name, value in fields.items() if value)
        with (
            connect(self._pair.source) as here,
            connect(self._pair.target, autocommit=True) as there,
        ):
            newest = here.execute("SELECT max(id) FROM orders").fetchone()
            began = time.perf_counter()
            there.execute(
                f"CREATE SUBSCRIPTION {_NAME} CONNECTION '{address}' PUBLICATION {_NAME} "
                f"WITH (create_slot = false, slot_name = '{_NAME}', copy_data = false)".encode()
            )
            while there.execute("SELECT max(id) FROM orders").fetchone() != newest:
                if time.perf_counter() - began > PATIENCE_SECONDS:
                    raise SystemExit("logical replication did not catch up")
                time.sleep(_POLL_SECONDS)
            seconds = time.perf_counter() - began
            for statement in (
                f"ALTER SUBSCRIPTION {_NAME} DISABLE",
                f"ALTER SUBSCRIPTION {_NAME} SET (slot_name = NONE)",
                f"DROP SUBSCRIPTION {_NAME}",
            ):
                there.execute(statement.encode())
            return seconds

    @staticmethod
    def _drop_slot(connection: psycopg.Connection[tuple[int, ...]]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:  # its walsender goes a moment after the subscription
            with suppress(psycopg.errors.ObjectInUse):
                connection.execute("SELECT pg_drop_replication_slot(%s)", (_NAME,))
                return
            time.sleep(_POLL_SECONDS)
