"""``python -m monolith.seed --resources 20000``: fill an empty monolith, the same way every time."""

import argparse
import sys

from sqlalchemy import Connection, func, insert, select, text

from monolith.auth.models import User
from monolith.base import Base
from monolith.database import open_engine, upgrade
from monolith.generator import PASSWORD, Sizes, generate
from monolith.settings import Settings

_BATCH = 5000


class SeedError(Exception):
    """The database cannot be filled; the message says what to do."""


def fill(url: str, seed: int, sizes: Sizes) -> int:
    """Migrate the database at ``url`` and insert the generated rows in one transaction; the number inserted.

    Raises SeedError when there are users already.
    """
    upgrade(url)
    engine = open_engine(url)
    inserted = 0
    try:
        with engine.begin() as connection:
            if connection.scalar(select(func.count()).select_from(User)):
                raise SeedError("The database already holds rows. Give --database an empty one.")
            for mapped, rows in generate(seed, sizes):
                for start in range(0, len(rows), _BATCH):
                    connection.execute(insert(mapped), rows[start : start + _BATCH])
                inserted += len(rows)
                _advance_sequence(connection, mapped, len(rows))
    finally:
        engine.dispose()
    return inserted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m monolith.seed", description="Fill an empty monolith.")
    parser.add_argument("--resources", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--saved-searches", type=int, help="default: a tenth of the resources")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", default=Settings().database, metavar="URL")
    arguments = parser.parse_args()
    saved = arguments.resources // 10 if arguments.saved_searches is None else arguments.saved_searches
    try:
        sizes = Sizes(arguments.resources, arguments.users, saved)
        inserted = fill(arguments.database, arguments.seed, sizes)
    except (SeedError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{inserted} rows; log in as user1@example.com with {PASSWORD!r}\n")
    return 0


def _advance_sequence(connection: Connection, mapped: type[Base], last: int) -> None:
    """Ids were given explicitly, which PostgreSQL's sequences do not notice."""
    if connection.dialect.name != "postgresql" or last == 0 or "id" not in mapped.__table__.c:
        return
    table = mapped.__tablename__
    connection.execute(
        text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :last)"), {"table": table, "last": last}
    )


if __name__ == "__main__":
    sys.exit(main())
