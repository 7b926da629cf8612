"""Alembic's entry: migrates the connection it is handed, or the database of the settings."""

from alembic import context
from sqlalchemy import Connection

from extracted.search.database import open_engine
from extracted.search.models import Base
from extracted.search.settings import Settings


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    _migrate(handed_over)
else:
    engine = open_engine(Settings().database)
    with engine.begin() as own:
        _migrate(own)
    engine.dispose()
