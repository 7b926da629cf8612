"""Writers that go around the facade, straight to a database: only the write guard stands in their way."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from flags.side import Side
from migration.demo.environment import Databases
from migration.demo.history import Write

_INSERT = {
    Side.MONOLITH: "INSERT INTO saved_searches "
    "(user_id, name, query, notify, client_ref, version, created_at, updated_at) "
    "VALUES (1, :name, 'stray', false, :ref, 1, now(), now())",
    Side.SERVICE: "INSERT INTO saved_queries "
    "(owner_id, label, terms, notify, client_ref, version, created_at, updated_at) "
    "VALUES (1, :name, 'stray', false, :ref, 1, now(), now())",
}


class Strays:
    """``writes`` are those that a database took: they have to be found like any client's."""

    def __init__(self, databases: Databases) -> None:
        self.writes: list[Write] = []
        self._urls = {side: getattr(databases, side) for side in Side}

    def refused(self, side: Side, owner: Side, epoch: int) -> bool:
        """Whether ``side`` names the owner and the epoch instead of taking a write."""
        try:
            self._write(side, 0.0)
        except DBAPIError as error:
            return f"owned by {owner} (epoch {epoch})" in str(error)
        return False

    def hammer(self, seconds: float) -> None:
        """Write to both sides for so long, whichever takes it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for side in Side:
                self.keep_open(side, 0.0)

    def keep_open(self, side: Side, seconds: float) -> None:
        """A transaction that has written and then takes its time; or that is refused."""
        try:
            self._write(side, seconds)
        except DBAPIError:
            time.sleep(0.01)

    def _write(self, side: Side, seconds: float) -> None:
        ref, name = str(uuid.uuid4()), f"stray {uuid.uuid4().hex[:12]}"
        at = time.time()
        with self._connected(side) as connection:
            connection.execute(sa.text(_INSERT[side]), {"ref": ref, "name": name})
            time.sleep(seconds)
            connection.commit()
        self.writes.append(Write(at, "saved_searches", ref, "POST", name, acknowledged=True))

    @contextmanager
    def _connected(self, side: Side) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self._urls[side], poolclass=sa.NullPool)
        with engine.connect() as connection:
            yield connection
