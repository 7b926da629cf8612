"""Flags that an Unleash server keeps."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "flags",
        sa.Column(
            "told_at", sa.Float(), comment="when Unleash and this agreed last; NULL after a change made here"
        ),
    )
    op.add_column(
        "flags",
        sa.Column(
            "killed",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="off until it is set here",
        ),
    )
    op.create_table(
        "flag_home",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("url", sa.Text(), nullable=False, comment="the Unleash server that was followed last"),
        sa.Column("reached_at", sa.Float(), comment="when it was read last; NULL before the first time"),
        sa.Column("trouble", sa.Text(), comment="why what is known of it may be old"),
        sa.CheckConstraint("id = 1", name="flag_home_is_one_row"),
    )
