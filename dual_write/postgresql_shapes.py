"""PostgreSQL's tables by their columns and declared types."""

from collections.abc import Sequence

from dual_write.names import table_name
from dual_write.postgresql_session import native
from dual_write.rows import Session

_SHAPES = """
SELECT t.i, a.attname, format_type(a.atttypid, a.atttypmod)
FROM unnest($1::text[]) WITH ORDINALITY AS t(name, i)
JOIN pg_attribute AS a ON a.attrelid = to_regclass(t.name)
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY t.i, a.attnum
"""


def shapes(session: Session, tables: Sequence[str]) -> dict[str, dict[str, str]]:
    """As ``Adapter.shapes``, of all tables at once: it is asked for with each batch."""
    found: dict[str, dict[str, str]] = {table: {} for table in tables}
    for number, column, type_ in native(session).native(_SHAPES, [table_name(table) for table in tables]):
        found[tables[number - 1]][column] = type_
    return found
