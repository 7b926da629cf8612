"""Saved searches, and references by which clients find what they created."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_searches",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("query", sa.String(200), nullable=False),
        sa.Column("filters", sa.JSON),
        sa.Column("threshold", sa.Numeric(12, 2)),
        sa.Column("notify", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("legacy_rank", sa.Integer),
        sa.Column("client_ref", sa.String(64), index=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.add_column("resources", sa.Column("client_ref", sa.String(64)))
    op.create_index("ix_resources_client_ref", "resources", ["client_ref"])


def downgrade() -> None:
    op.drop_index("ix_resources_client_ref", "resources")
    op.drop_column("resources", "client_ref")
    op.drop_table("saved_searches")
