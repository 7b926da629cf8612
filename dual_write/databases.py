"""Which adapter speaks to a database."""

from sqlalchemy.engine import URL

from dual_write.adapter import Adapter
from dual_write.database import normalised
from dual_write.postgresql import PostgreSQL
from dual_write.sqlite import SQLite


def adapter(url: str | URL) -> Adapter:
    """Raises DataError for an engine that is not supported."""
    return SQLite(url) if normalised(url).get_backend_name() == "sqlite" else PostgreSQL(url)
