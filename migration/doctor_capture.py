"""What to know about a phase's capture: an outbox that does not see everything, tables that have changed."""

from collections.abc import Iterator

import sqlalchemy as sa

from dual_write.drift import Drift
from dual_write.errors import DataError
from dual_write.replication import Replication
from dual_write.standing import standing
from flags.side import Side
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
        remedy="Call dual_write.outbox.install() on each engine that writes, also in scripts and jobs; "
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


def drift(phase: Phase, monolith: sa.Engine, service: sa.Engine) -> list[Drift]:
    """What has changed of both sides' tables since the phase was installed; nothing of one that is not."""
    specs = [table.spec() for table in phase.tables]
    try:
        mappings, faults = standing(specs, monolith, service)
        replication = Replication(
            phase.name,
            monolith.url.render_as_string(hide_password=False),
            service.url.render_as_string(hide_password=False),
            mappings,
            outbox=phase.capture == "outbox",
            faults=faults,
        )
        try:
            found = [each for side in Side for each in replication.drift(side)]
            return list({each.text: each for each in found}.values())  # both directions tell of one table
        finally:
            replication.dispose()
    except DataError:
        return []  # said already, by those who looked at the tables themselves
