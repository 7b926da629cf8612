"""Flags that an Unleash server keeps."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("flags", sa.Column("told_at", sa.Float()))
    op.add_column("flags", sa.Column("killed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "flag_home",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("reached_at", sa.Float()),
        sa.Column("trouble", sa.Text()),
        sa.CheckConstraint("id = 1", name="flag_home_is_one_row"),
    )
