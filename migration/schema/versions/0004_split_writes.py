"""Phases whose writes are split between both sides."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("phases", sa.Column("split", sa.Boolean(), nullable=False, server_default=sa.false()))
