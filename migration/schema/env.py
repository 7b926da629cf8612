"""Alembic's entry: runs on the connection that `upgrade` hands over, inside its transaction."""

from alembic import context

from flags.tables import metadata as flags_metadata
from migration.schema import observed, tables
from migration.schema.upgrade import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[flags_metadata, tables.metadata, observed.metadata],
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
