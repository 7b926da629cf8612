"""How one side's table becomes the other's: pure descriptions, oriented per direction."""

from dataclasses import dataclass

from dual_write.errors import MappingError
from flags.side import Side


@dataclass(frozen=True, slots=True)
class Column:
    """A target column and the SQL expression over the source row that fills it.

    ``expression`` is evaluated by the source database; ``source`` names the source column when the
    expression is nothing but that column, which is what makes it reversible.
    """

    target: str
    expression: str
    source: str | None


@dataclass(frozen=True, slots=True)
class TableFlow:
    """One table in one direction, ready to run: select ``columns`` from ``source``, upsert into ``target``.

    ``source_key[i]`` corresponds to ``target_key[i]``; both are in ``columns`` as bare renames.
    ``suppress_triggers`` says whether the target's own triggers sleep while changes are applied.
    """

    source: str
    target: str
    source_key: tuple[str, ...]
    target_key: tuple[str, ...]
    columns: tuple[Column, ...]
    suppress_triggers: bool = True


@dataclass(frozen=True, slots=True)
class TableMapping:
    """One pair of tables, named from the monolith's side.

    ``forward`` fills the service's columns from the monolith's; ``backward`` the other way, or None where
    the mapping cannot run backwards. A ``follow`` table stays the monolith's: it is replicated to the
    service in every stage, never back, and never guarded.
    """

    monolith: str
    service: str
    monolith_key: tuple[str, ...]
    service_key: tuple[str, ...]
    forward: tuple[Column, ...]
    backward: tuple[Column, ...] | None
    follow: bool = False
    suppress_triggers: bool = True

    def towards(self, side: Side) -> TableFlow:
        """The flow that ends on ``side``. Raises MappingError when that is backwards and it cannot."""
        if side is Side.SERVICE:
            return TableFlow(
                self.monolith,
                self.service,
                self.monolith_key,
                self.service_key,
                self.forward,
                self.suppress_triggers,
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
        )
