"""The tables of the embedded flag store, and the one revision that every change of control state raises."""

from sqlalchemy import Boolean, CheckConstraint, Column, Float, Integer, MetaData, String, Table, Text, false

metadata = MetaData()

flags = Table(
    "flags",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("document", Text, nullable=False, comment="the feature as JSON, in Unleash's format"),
    Column("updated_at", Float, nullable=False, comment="seconds since 1970, UTC"),
    Column("updated_by", String(200), nullable=False),
    Column("told_at", Float, comment="when Unleash and this agreed last; NULL after a change made here"),
    Column("killed", Boolean, nullable=False, server_default=false(), comment="off until it is set here"),
)

flag_home = Table(
    "flag_home",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False, comment="the Unleash server that was followed last"),
    Column("reached_at", Float, comment="when it was read last; NULL before the first time"),
    Column("trouble", Text, comment="why what is known of it may be old"),
    CheckConstraint("id = 1", name="flag_home_is_one_row"),
)

control_revision = Table(
    "control_revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", Integer, nullable=False),
    CheckConstraint("id = 1", name="control_revision_is_one_row"),
)
