"""Who answers how many requests, the monolith's last hits by route, and writes that its guard refused."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "traffic",
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("phase", "side", "width", "slot"),
    )
    op.create_table(
        "monolith_hits",
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("phase", "route"),
    )
    op.create_table(
        "stray_writes",
        sa.Column("phase", sa.Text(), primary_key=True),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.Double()),
    )
