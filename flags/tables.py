"""The tables of the embedded flag store, and the one revision that every change of control state raises."""

from sqlalchemy import CheckConstraint, Column, Float, Integer, MetaData, String, Table, Text

metadata = MetaData()

flags = Table(
    "flags",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("document", Text, nullable=False, comment="the feature as JSON, in Unleash's format"),
    Column("updated_at", Float, nullable=False, comment="seconds since 1970, UTC"),
    Column("updated_by", String(200), nullable=False),
)

control_revision = Table(
    "control_revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", Integer, nullable=False),
    CheckConstraint("id = 1", name="control_revision_is_one_row"),
)
