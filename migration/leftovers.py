"""What of the monolith nobody needs any more once a phase is complete, and what still keeps a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from dual_write.database import open_engine
from migration.crossings import foreign_keys
from migration.doctor_databases import reach
from migration.plan import Phase, Plan

_FLAGS = ("reads", "writes", "shadow")


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table of the monolith that cannot be dropped yet, and who needs it."""

    table: str
    needed_by: Sequence[str]


@dataclass(frozen=True, slots=True)
class Leftovers:
    """``routes`` are the paths whose code can be deleted, ``tables`` those that can be dropped.
    ``flags`` are those to be archived in Unleash, which here are removed."""

    routes: Sequence[str]
    tables: Sequence[str]
    kept: Sequence[KeptTable]
    flags: Sequence[str] = ()

    def lines(self) -> list[str]:
        """The same in words."""
        said = []
        if self.flags:
            said.append(f"Archive these flags in Unleash: {', '.join(self.flags)}.")
        if self.routes:
            said.append(f"The monolith's code behind these routes can be deleted: {', '.join(self.routes)}.")
        if self.tables:
            said.append(f"These of its tables can be dropped: {', '.join(self.tables)}.")
        said += [f"Its table {each.table} is needed by {', '.join(each.needed_by)}." for each in self.kept]
        return said


def leftovers(plan: Plan, name: str) -> Leftovers:
    """Of a phase once it is complete. Asks the monolith's database for foreign keys.

    Raises DataError when that cannot be reached.
    """
    phase = plan.phase(name)
    references: list[tuple[str, str]] = []
    if any(not table.follow for table in phase.tables):
        engine = open_engine(sa.make_url(plan.monolith.database_url))
        try:
            reach(engine)
            references = [(child, parent) for child, _, parent, _ in foreign_keys(engine)]
        finally:
            engine.dispose()
    left = judged(plan.phases, phase, references)
    kept_elsewhere = plan.flags.unleash is not None
    return replace(left, flags=[f"{name}.{kind}" for kind in _FLAGS]) if kept_elsewhere else left


def judged(phases: Sequence[Phase], phase: Phase, references: Iterable[tuple[str, str]]) -> Leftovers:
    """As `leftovers`; ``references`` are the monolith's foreign keys, as child and parent. Pure."""
    needed: dict[str, list[str]] = {table.monolith: [] for table in phase.tables if not table.follow}
    for other in phases:
        for table in other.tables:
            if table.follow and table.monolith in needed:
                needed[table.monolith].append(f"phase {other.name}, which follows it")
    for child, parent in references:
        if parent in needed and child not in needed:
            needed[parent].append(f"the monolith's table {child}, which refers to it")
    return Leftovers(
        routes=[route.name for route in phase.routes],
        tables=[table for table, by in needed.items() if not by],
        kept=[KeptTable(table, tuple(dict.fromkeys(by))) for table, by in needed.items() if by],
    )
