"""The smallest monolith and service: one table of orders, behind HTTP.

``python -m benchmarks.orders SIDE PORT [DATABASE]`` answers a GET with SIDE, and a POST when the order whose
reference is its body is committed.
"""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import httptools
import sqlalchemy as sa
import uvloop

TABLE = sa.Table(
    "orders",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    # Not unique: a doubled order has to be seen, not refused.
    sa.Column("ref", sa.Text, nullable=False, index=True),
    sa.Column("placed", sa.DateTime(), server_default=sa.func.now(), nullable=False),
)
_THREADS = 4


_ADD = TABLE.insert().inline()  # nobody asks for its id


class Orders:
    """The table in one database."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        self._kept = threading.local()

    def create(self) -> None:
        TABLE.create(self._engine)
        if self._engine.dialect.name == "sqlite":  # or readers wait for the writers, at this rate for seconds
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")

    def add(self, ref: str) -> None:
        """Commit one order, on a connection that each thread keeps."""
        if not hasattr(self._kept, "connection"):
            self._kept.connection = self._engine.connect()
        self._kept.connection.execute(_ADD, {"ref": ref})

    def references(self) -> list[str]:
        """The reference of every order, as often as it is there."""
        with self._engine.connect() as connection:
            return list(connection.scalars(sa.select(TABLE.c.ref)))

    def dispose(self) -> None:
        self._engine.dispose()


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, side: bytes, orders: Orders | None, threads: ThreadPoolExecutor) -> None:
        self._side = side
        self._orders = orders
        self._threads = threads
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser: Any = httptools.HttpRequestParser(self)  # httptools has no types

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        ref, self._body = self._body.decode(), b""
        if self._orders is None or self._parser.get_method() == b"GET":
            self._answer(b"200 OK")
            return
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._threads, self._orders.add, ref).add_done_callback(self._added)

    def _added(self, done: asyncio.Future[None]) -> None:
        error = done.exception()
        if error is not None:
            print(error, file=sys.stderr)
        self._answer(b"201 Created" if error is None else b"500 Internal Server Error")

    def _answer(self, status: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%b"
            % (status, len(self._side), self._side)
        )


async def serve(side: str, port: int, database: str | None) -> None:
    """Serve on loopback until stopped."""
    orders = None if database is None else Orders(database)
    with ThreadPoolExecutor(_THREADS) as threads:
        connection = partial(Connection, side.encode(), orders, threads)
        server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", port)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None))
