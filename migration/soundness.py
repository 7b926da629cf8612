"""What the rows of a phase alone do not show: the plan's invariants, and references between databases."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from dual_write.check_pace import POLITE, Manners
from dual_write.check_suspects import Settle
from dual_write.database import open_engine
from dual_write.invariants import Holding, Invariant, InvariantResult, check_invariants
from dual_write.mapping import TableMapping
from dual_write.references import ReferenceResult, check_references
from dual_write.sequences import SequenceBehind
from flags.side import Side
from migration.crossings import Crossing, Home, Moved, crossings, moved_tables
from migration.doctor_databases import reach
from migration.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Soundness:
    """The results of every invariant of the phase, and of every reference that crosses databases, and the
    numberings that are ``behind``.
    """

    invariants: Sequence[InvariantResult] = ()
    references: Sequence[ReferenceResult] = ()
    behind: Sequence[SequenceBehind] = ()

    @property
    def problems(self) -> int:
        """Invariants that do not hold or were not decided, references to nothing, numbers that collide."""
        orphans = sum(len(result.orphans) for result in self.references)
        return len(self.broken) + orphans + len(self.behind)

    @property
    def broken(self) -> list[InvariantResult]:
        """The invariants that do not hold, or were not decided."""
        return [result for result in self.invariants if result.holding is not Holding.HOLDS]

    @property
    def covers(self) -> str:
        """In words what was looked at."""
        values = sum(result.values for result in self.references)
        return (
            f"{len(self.references)} references between databases with {values} values, "
            f"{len(self.invariants)} invariants"
        )


SOUND = Soundness()
"""Nothing was asked, and nothing is wrong."""


def soundness(
    wiring: Wiring,
    phase: str,
    mappings: Sequence[TableMapping],
    settle: Settle | None,
    manners: Manners = POLITE,
) -> Soundness:
    """Raises DataError when it could not be found out."""
    section = wiring.plan.phase(phase)
    said = [Invariant(each.name, each.monolith, each.service, each.expect) for each in section.invariants]
    with _engines(wiring) as engine:
        monolith = engine(Home(None))
        found = crossings(monolith, moved_tables(phase, mappings), _elsewhere(wiring, phase))
        references = [result for each in found for result in _followed(each, engine, settle, manners)]
        invariants = check_invariants(monolith, engine(Home(phase)), said, settle, manners) if said else []
    return Soundness(invariants, references)


def _followed(
    crossing: Crossing, engine: Callable[[Home], sa.Engine], settle: Settle | None, manners: Manners
) -> list[ReferenceResult]:
    child, parent = engine(crossing.child), engine(crossing.parent)
    return check_references(child, parent, [crossing.reference], settle, manners)


def _elsewhere(wiring: Wiring, phase: str) -> list[Moved]:
    """The tables that other phases' services write by now."""
    owners = [
        name
        for name, record in wiring.control.phases().items()
        if name != phase
        and record.writer is Side.SERVICE
        and any(name == each.name for each in wiring.plan.phases)
    ]
    moved = []
    for owner in owners:
        if wiring.plan.phase(owner).tables:
            with wiring.replicating(owner) as replication:
                moved += moved_tables(owner, replication.mappings)
    return moved


@contextmanager
def _engines(wiring: Wiring) -> Iterator[Callable[[Home], sa.Engine]]:
    """Gives the database that is some table's home, opened when first asked for."""
    opened: dict[Home, sa.Engine] = {}

    def engine(home: Home) -> sa.Engine:
        if home not in opened:
            opened[home] = open_engine(_url(wiring, home))
            reach(opened[home])
        return opened[home]

    try:
        yield engine
    finally:
        for each in opened.values():
            each.dispose()


def _url(wiring: Wiring, home: Home) -> str:
    if home.phase is None:
        return wiring.plan.monolith.database_url
    url = wiring.plan.phase(home.phase).service.database_url
    assert url is not None  # noqa: S101 - the plan refuses tables without a database
    return url
