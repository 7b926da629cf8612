"""Bring a control database to this version's tables, or say that it is not there."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from migration.errors import ControlError

VERSION_TABLE = "strangler_version"
"""Not Alembic's default: the monolith's own migrations may use that in the same database."""

_HERE = Path(__file__).parent
_UPGRADE_LOCK = 0x5374_7261  # any number that nothing else in the database locks


def upgrade(connection: Connection, label: str) -> None:
    """Create or upgrade the tables in the caller's transaction. Raises ControlError for a newer database."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
    config = _config()
    found = _version(connection)
    if found == _newest(config):
        return
    _refuse_unknown(config, found, label)
    config.attributes["connection"] = connection
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config, "head")


def require_current(connection: Connection, label: str) -> None:
    """Raise ControlError unless the tables are there in this version."""
    config = _config()
    found = _version(connection)
    if found == _newest(config):
        return
    _refuse_unknown(config, found, label)
    raise ControlError(
        f"the control database {label} is {'empty' if found is None else 'of an older version'}. "
        "Run `strangler status`, which brings it to this version."
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE}
    ).get_current_revision()


def _newest(config: Config) -> str | None:
    return ScriptDirectory.from_config(config).get_current_head()


def _refuse_unknown(config: Config, found: str | None, label: str) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise ControlError(
            f"the control database {label} was written by a newer strangler (version {found!r}). "
            "Upgrade this installation."
        )
