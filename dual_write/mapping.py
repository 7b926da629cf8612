"""How one side's table becomes the other's: pure descriptions, oriented per direction."""

from dataclasses import dataclass

from dual_write.errors import MappingError
from flags.side import Side


@dataclass(frozen=True, slots=True)
class Column:
    """A target column and the SQL expression over the source row that fills it.

    ``expression`` is evaluated by the source database; ``source`` names the source column when the
    expression is nothing but that column, which is what makes it reversible. With ``python``, a reference
    ``module:name``, the expression gives the arguments of that function (see ``computing``).
    """

    target: str
    expression: str
    source: str | None
    python: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What one source table gives to a flow: the target columns that it fills, from rows that meet ``where``.

    ``key[i]`` corresponds to the flow's ``target_key[i]``. ``lane`` names the table's changes on their way to
    this one target: each lane keeps versions of its own, because no lock spans rows of two tables.
    """

    lane: str
    table: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    where: str = ""


@dataclass(frozen=True, slots=True)
class TableFlow:
    """One target table in one direction, ready to run: select ``columns`` from the source, upsert them.

    ``source_key[i]`` corresponds to ``target_key[i]``; both are in ``columns`` as bare renames.
    ``suppress_triggers`` says whether the target's own triggers sleep while changes are applied.

    Without ``parts`` the source is the table ``source``. With them it is a relation made of them (see
    ``relation``), which has the target's column names: the rows of the first part with what the others hold
    under the same key, or with ``union`` the rows of all. ``owned`` is a condition over the target's rows:
    the others are none of this flow's business. ``tolerance`` says of target
    columns how far apart a check lets their values be.
    """

    source: str
    target: str
    source_key: tuple[str, ...]
    target_key: tuple[str, ...]
    columns: tuple[Column, ...]
    suppress_triggers: bool = True
    parts: tuple[Part, ...] = ()
    union: bool = False
    owned: str = ""
    tolerance: tuple[tuple[str, str], ...] = ()

    @property
    def lanes(self) -> dict[str, str]:
        """Each lane's source table."""
        return {part.lane: part.table for part in self.parts} or {self.source: self.source}

    @property
    def strands(self) -> dict[str, "TableFlow"]:
        """By lane, what its table alone gives to the target."""
        if not self.parts:
            return {self.source: self}
        return {
            part.lane: TableFlow(part.table, self.target, part.key, self.target_key, part.columns)
            for part in self.parts
        }

    @property
    def tables(self) -> set[str]:
        """Every table that the flow touches, on either side."""
        return {*self.lanes.values(), self.target}

    @property
    def name(self) -> str:
        """Tells the flow from the others of its stream."""
        return next(iter(self.lanes))

    @property
    def computed(self) -> bool:
        """Whether rows have to pass through functions of Python."""
        return any(column.python for column in self.columns)

    @property
    def joined(self) -> bool:
        """Whether a row is made of rows of several tables."""
        return len(self.parts) > 1 and not self.union


@dataclass(frozen=True, slots=True)
class TableMapping:
    """One pair of tables, named from the monolith's side.

    ``forward`` fills the service's columns from the monolith's; ``backward`` the other way, or None where
    the mapping cannot run backwards. A ``follow`` table stays the monolith's: it is replicated to the
    service in every stage, never back, and never guarded. ``where`` says which rows this mapping is about: of
    the table that it shares with other mappings, or of the monolith's where it shares none. ``tolerance``:
    how far apart a check lets the values of a column be, named by either side's name.
    """

    monolith: str
    service: str
    monolith_key: tuple[str, ...]
    service_key: tuple[str, ...]
    forward: tuple[Column, ...]
    backward: tuple[Column, ...] | None
    follow: bool = False
    suppress_triggers: bool = True
    where: str = ""
    tolerance: tuple[tuple[str, str], ...] = ()

    def table(self, side: Side) -> str:
        return self.monolith if side is Side.MONOLITH else self.service

    def key(self, side: Side) -> tuple[str, ...]:
        return self.monolith_key if side is Side.MONOLITH else self.service_key

    def towards(self, side: Side) -> TableFlow:
        """The flow of these two tables alone that ends on ``side``.

        Raises MappingError when that is backwards and it cannot.
        """
        if side is Side.SERVICE:
            return TableFlow(
                self.monolith,
                self.service,
                self.monolith_key,
                self.service_key,
                self.forward,
                self.suppress_triggers,
                tolerance=self._tolerance(self.forward),
            )
        if self.follow:
            raise MappingError(
                f"table {self.monolith!r} only follows the monolith; it is never written back. "
                "Remove `follow = true` if the phase is to own it."
            )
        if self.backward is None:
            raise MappingError(
                f"table {self.service!r} cannot be mapped back to {self.monolith!r}. "
                "Give the columns under `reverse` in the plan, or the phase cannot go live."
            )
        return TableFlow(
            self.service,
            self.monolith,
            self.service_key,
            self.monolith_key,
            self.backward,
            self.suppress_triggers,
            tolerance=self._tolerance(self.backward),
        )

    def _tolerance(self, columns: tuple[Column, ...]) -> tuple[tuple[str, str], ...]:
        """By target column: what is said of it, or of the column that it is the same as."""
        said = dict(self.tolerance)
        amounts = (
            (column.target, said.get(column.target) or said.get(column.source or "")) for column in columns
        )
        return tuple((name, amount) for name, amount in amounts if amount is not None)


def quote(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'
