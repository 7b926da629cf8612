"""Saved queries."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "saved_queries",
        sa.Column("id", _id, sa.Identity(), primary_key=True),
        sa.Column("owner_id", sa.BigInteger, nullable=False, index=True),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("terms", sa.String(200), nullable=False),
        sa.Column("criteria", sa.JSON),
        sa.Column("threshold_cents", sa.BigInteger),
        sa.Column("notify", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("client_ref", sa.String(64), index=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("saved_queries")
