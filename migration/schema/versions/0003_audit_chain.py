"""Each entry of the audit log is bound to the ones before it."""

import sqlalchemy as sa
from alembic import op

from migration.audit import ORIGIN, link

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit", sa.Column("hash", sa.Text(), nullable=False, server_default=""))
    # As the table is at this version, whatever later ones make of it.
    audit = sa.table(
        "audit",
        sa.column("id", sa.Integer),
        sa.column("at", sa.Double),
        sa.column("who", sa.Text),
        sa.column("what", sa.Text),
        sa.column("before", sa.JSON),
        sa.column("after", sa.JSON),
        sa.column("hash", sa.Text),
    )
    connection, last = op.get_bind(), ORIGIN
    for row in connection.execute(sa.select(audit).order_by(audit.c.id)).all():
        values = {key: getattr(row, key) for key in ("at", "who", "what", "before", "after")}
        last = link(last, values)
        connection.execute(sa.update(audit).where(audit.c.id == row.id).values(hash=last))
