"""Names: how a table or column of the plan is written in SQL, and found by a schema's inspector."""


def quote(name: str) -> str:
    """A column's or table's name in SQL, which both engines quote alike."""
    return '"' + name.replace('"', '""') + '"'


def table_name(table: str) -> str:
    """PostgreSQL's name of ``table``, which may carry its schema in front of a dot."""
    return ".".join(quote(part) for part in table.split(".", 1))


def table_in(dialect: str, table: str) -> str:
    """The name of ``table`` in the SQL of ``dialect``: SQLite has no schemas, and a dot is part of a name."""
    return table_name(table) if dialect == "postgresql" else quote(table)


def located(dialect: str, table: str) -> tuple[str, str | None]:
    """``table`` without its schema, and the schema, as an inspector asks for them."""
    schema, dot, name = table.partition(".")
    return (name, schema) if dot and dialect == "postgresql" else (table, None)
