"""Bring a control database to this version's tables, or say that it is not there.

Every command and every worker looks; Alembic, which is slow to import, is only for those that find work.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from migration.errors import ControlError

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "strangler_version"
"""Not Alembic's default: the monolith's own migrations may use that in the same database."""

_HERE = Path(__file__).parent
_UPGRADE_LOCK = 0x5374_7261  # any number that nothing else in the database locks

# The revisions are one chain, and their files begin with their numbers.
NEWEST = max(file.name for file in (_HERE / "versions").glob("[0-9]*.py")).partition("_")[0]


def upgrade(connection: Connection, label: str) -> None:
    """Create or upgrade the tables in the caller's transaction. Raises ControlError for a newer database."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
    found = _version(connection)
    if found == NEWEST:
        return
    from alembic import command  # noqa: PLC0415 - slow to import, and hardly ever needed

    config = _config()
    _refuse_unknown(config, found, label)
    config.attributes["connection"] = connection
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config, "head")


def require_current(connection: Connection, label: str) -> None:
    """Raise ControlError unless the tables are there in this version."""
    found = _version(connection)
    if found == NEWEST:
        return
    _refuse_unknown(_config(), found, label)
    raise ControlError(
        f"the control database {label} is {'empty' if found is None else 'of an older version'}. "
        "Run `strangler status`, which brings it to this version."
    )


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return found


def _refuse_unknown(config: "Config", found: str | None, label: str) -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise ControlError(
            f"the control database {label} was written by a newer strangler (version {found!r}). "
            "Upgrade this installation."
        )
