"""Walks of runbooks: which is under way, and its journal."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "walks",
        sa.Column("walk", sa.Text(), primary_key=True),
        sa.Column("phase", sa.Text(), nullable=False, index=True),
        sa.Column("runbook", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double()),
    )
    op.create_table(
        "walk_journal",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("walk", sa.Text(), nullable=False, index=True),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
