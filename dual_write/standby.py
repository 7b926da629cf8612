"""Standbys: PostgreSQL servers that replay what their primary wrote, some time after it."""

import time

import sqlalchemy as sa

from dual_write.database import redacted, unreachable
from dual_write.errors import CheckFailed, SchemaError

_PAUSE_SECONDS = 0.02
_WHICH = "(SELECT system_identifier FROM pg_control_system()), current_database()"


def await_replay(primary: sa.Engine, standby: sa.Engine, seconds: float) -> None:
    """Return once the standby shows whatever the primary showed at the time of the call.

    Raises SchemaError when it is no standby of this primary, UnreachableError, and CheckFailed when it takes
    longer than that.
    """
    where = f"the replica {redacted(standby.url)}"
    if not primary.dialect.name == standby.dialect.name == "postgresql":
        raise SchemaError(f"{where}: only PostgreSQL has standbys; leave `replica` out")
    # What is visible has its commit before this place, also where it is not flushed to the disk yet.
    [(system, name, place)] = _ask(primary, f"SELECT {_WHICH}, pg_current_wal_insert_lsn()")
    [(other, shown, replaying)] = _ask(standby, f"SELECT {_WHICH}, pg_is_in_recovery()")
    if system != other or not replaying:
        raise SchemaError(
            f"{where} is no physical standby of {redacted(primary.url)}; name one under `replica`, or leave "
            "that out"
        )
    if name != shown:
        raise SchemaError(
            f"{where} shows another database than {name!r}; name that at the end of the URL under `replica`"
        )
    until = time.monotonic() + seconds
    while _ask(standby, f"SELECT pg_last_wal_replay_lsn() >= '{place}'") != [(True,)]:
        if time.monotonic() > until:
            raise CheckFailed(
                f"{where} had not replayed within {seconds:.0f} s what its primary had written, so that "
                "nothing can be read from it; look at its delay (pg_stat_replication), or leave `replica` out"
            )
        time.sleep(_PAUSE_SECONDS)


def _ask(engine: sa.Engine, sql: str) -> list[tuple[object, ...]]:
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]
    except sa.exc.DBAPIError as error:
        raise unreachable(engine.url, error) from error
