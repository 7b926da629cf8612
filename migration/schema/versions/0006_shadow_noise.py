"""How far the monolith differs from itself, and how far replication was behind at stale reads."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shadow_noise",
        sa.Column("phase", sa.Text(), primary_key=True),
        sa.Column("route", sa.Text(), primary_key=True),
        sa.Column("slot", sa.BigInteger(), primary_key=True),
        sa.Column("pairs", sa.BigInteger(), nullable=False),
        sa.Column("noisy", sa.BigInteger(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
    )
    op.add_column("shadow_counts", sa.Column("stale_ms", sa.JSON(), nullable=False, server_default="{}"))
