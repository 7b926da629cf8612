"""Documents and their labels."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("resource_id", _id, primary_key=True, autoincrement=False),
        sa.Column("category", sa.String(40), nullable=False, index=True),
        sa.Column("heading", sa.String(200), nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("price_cents", sa.BigInteger),
        sa.Column("attributes", sa.JSON),
        sa.Column("revised_at", sa.DateTime, nullable=False),
        sa.Column("removed_at", sa.DateTime),
    )
    op.create_table(
        "labels",
        sa.Column("label_id", _id, primary_key=True, autoincrement=False),
        sa.Column("text", sa.String(120), nullable=False, index=True),
    )
    op.create_table(
        "document_labels",
        sa.Column("resource_id", _id, primary_key=True),
        sa.Column("label_id", _id, primary_key=True, index=True),
    )


def downgrade() -> None:
    for table in ("document_labels", "labels", "documents"):
        op.drop_table(table)
