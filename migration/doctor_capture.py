"""What to know about a phase whose monolith logs its own changes."""

from collections.abc import Iterator

import sqlalchemy as sa

from migration import doctor_databases
from migration.doctor_databases import Fact
from migration.plan import Phase


def outbox_facts(connection: sa.Connection, phase: Phase) -> Iterator[Fact]:
    """Of the monolith's database: what writes to the phase's tables without its application's engine."""
    if phase.capture != "outbox":
        return
    yield Fact(
        'capture = "outbox": what does not write through the application\'s SQLAlchemy engine is not carried',
        good=False,
        remedy="Call dual_write.outbox.install() on each engine that writes, and let scripts and jobs use it; "
        f"`strangler check {phase.name}` finds what was missed.",
    )
    for table in phase.tables:
        if names := doctor_databases.foreign_triggers(connection, table.monolith):
            yield Fact(
                f"{table.monolith} has triggers ({', '.join(names)}): what they write to the phase's tables "
                "is not seen by the outbox",
                good=False,
                remedy='Say capture = "trigger", or let the application do what they do.',
            )
