"""The right to work on a phase: held by one controller, kept alive by it, taken over when it dies."""

import logging
import os
import secrets
import socket
import threading
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import SQLAlchemyError

from migration.control import Control, insert_absent
from migration.errors import LeaseHeld, LeaseLost
from migration.schema.tables import leases

TTL_SECONDS = 3.0

_log = logging.getLogger(__name__)


def new_holder() -> str:
    """A name for this controller that people can find: host, process, and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


class Lease:
    """A held lease, renewed by a thread of its own until ``release``.

    ``token`` grows each time the lease changes hands. Whatever is done under the lease is done in a
    transaction that has called ``hold`` first, so that a controller that lost it cannot act any more.
    """

    def __init__(self, control: Control, name: str, holder: str, token: int, ttl: float) -> None:
        self.name = name
        self.holder = holder
        self.token = token
        self._control = control
        self._ttl = ttl
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"lease-{name}", daemon=True)
        self._heart.start()

    @classmethod
    def acquire(cls, control: Control, name: str, holder: str, ttl: float = TTL_SECONDS) -> Self:
        """Take a lease that is free or whose holder is dead. Raises LeaseHeld, naming who has it."""
        with control.write() as connection:
            insert_absent(connection, leases, {"name": name, "holder": None, "token": 0, "expires_at": 0.0})
            row = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).one()
            now = control.now(connection)
            if row.holder is not None and row.expires_at > now:
                raise LeaseHeld(name, row.holder, row.expires_at - now)
            token = row.token + 1
            connection.execute(
                update(leases)
                .where(leases.c.name == name)
                .values(holder=holder, token=token, expires_at=now + ttl)
            )
        return cls(control, name, holder, token, ttl)

    def hold(self, connection: Connection) -> None:
        """Renew inside the caller's transaction. Raises LeaseLost when another has taken over."""
        renewed = connection.execute(
            update(leases)
            .where(leases.c.name == self.name, leases.c.token == self.token, leases.c.holder.is_not(None))
            .values(expires_at=self._control.clock(connection) + self._ttl)
        )
        if renewed.rowcount != 1:
            raise LeaseLost(
                f"the lease on phase {self.name!r} was taken over, probably because this process stood still "
                "for longer than the lease runs. Nothing more was done here; see `strangler status`."
            )

    def release(self) -> None:
        """Let the next controller in at once; without the database it is let in when the lease runs out."""
        self._released.set()
        self._heart.join()
        try:
            with self._control.write() as connection:
                connection.execute(
                    update(leases)
                    .where(leases.c.name == self.name, leases.c.token == self.token)
                    .values(holder=None, expires_at=0.0)
                )
        except SQLAlchemyError as error:
            _log.warning("lease on %s: not released, it runs out by itself: %s", self.name, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._released.wait(self._ttl / 3):
            try:
                with self._control.write() as connection:
                    self.hold(connection)
            except LeaseLost:
                return
            except SQLAlchemyError as error:
                _log.warning("lease on %s: not renewed, will try again: %s", self.name, error)
