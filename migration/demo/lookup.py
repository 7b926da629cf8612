"""Where the demo's acknowledged writes are looked up: the rows of each side, by the clients' references."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import create_engine, text

from migration.demo.environment import Databases

Rows = Mapping[str, Sequence[str]]
"""Labels of the rows that carry each reference."""

_SAVED = {
    "monolith": "SELECT client_ref, name FROM saved_searches WHERE client_ref IS NOT NULL",
    "service": "SELECT client_ref, label FROM saved_queries WHERE client_ref IS NOT NULL",
}
_RESOURCES = "SELECT client_ref, title, id FROM resources WHERE client_ref IS NOT NULL AND deleted_at IS NULL"
_DOCUMENTS = "SELECT resource_id, heading FROM documents"


def saved_searches(databases: Databases, owner: str) -> Rows:
    """Saved searches on the side that owns them (``monolith`` or ``service``)."""
    return _grouped(_query(getattr(databases, owner), _SAVED[owner]))


def resources(databases: Databases) -> tuple[Rows, Rows]:
    """Resources in the monolith, which owns them, and the same in the documents that follow them."""
    owned = _query(databases.monolith, _RESOURCES)
    headings: dict[int, str] = dict(_query(databases.service, _DOCUMENTS))
    followed = [(ref, headings[key]) for ref, _, key in owned if key in headings]
    return _grouped([(ref, title) for ref, title, _ in owned]), _grouped(followed)


def _query(url: str, statement: str) -> list[tuple[Any, ...]]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]
    finally:
        engine.dispose()


def _grouped(pairs: Sequence[tuple[Any, ...]]) -> Rows:
    rows: dict[str, list[str]] = defaultdict(list)
    for reference, label in pairs:
        rows[reference].append(label)
    return rows
