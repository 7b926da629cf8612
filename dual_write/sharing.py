"""Tables that several mappings share: which do, and what may be said of them together. Pure rules."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from flags.side import Side

_ON_BOTH_SIDES = (
    "{!r} goes to several tables of the service, and {!r} comes from several of the monolith. "
    "Split a table on one side only."
)
_MOVED_AND_FOLLOWING = (
    "{!r} is filled by a table that moves and by one that only follows. Carry each into a table of its own."
)
_WHERE_OR_NOT = (
    "of the entries that share a table either each has a `where`, which says which rows are its own, "
    "or none has: then they hold the columns of one row."
)
_NOT_OPTIONAL = (
    "`optional` is for the second and later tables that hold the columns of one row. Leave it out here."
)


class Claim(Protocol):
    """What the plan says of one pair of tables, as far as it concerns the others."""

    @property
    def monolith(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def where(self) -> str: ...
    @property
    def optional(self) -> bool: ...
    @property
    def follow(self) -> bool: ...


def groups(claims: Sequence[Claim]) -> list[tuple[Side | None, list[int]]]:
    """The claims that belong together, by number, and the side on which they share a table (None: alone)."""
    together: dict[tuple[Side | None, str, bool], list[int]] = {}
    for number, claim in enumerate(claims):
        side = _shared(claim, claims)
        table = str(number) if side is None else _table(claim, side)
        together.setdefault((side, table, claim.follow), []).append(number)
    return [(side, numbers) for (side, _, _), numbers in together.items()]


def faults(claims: Sequence[Claim]) -> Iterator[tuple[int, str]]:
    """What cannot be right of one phase's claims: the number of the claim, and what is wrong with it."""
    pairs = Counter((claim.monolith, claim.service) for claim in claims)
    for number, claim in enumerate(claims):
        if pairs[claim.monolith, claim.service] > 1:
            yield number, f"{claim.monolith!r} is carried to {claim.service!r} twice. Keep one of the two."
        elif all(_shares(claim, claims, side) for side in Side):
            yield number, _ON_BOTH_SIDES.format(claim.monolith, claim.service)
        elif any(other.service == claim.service and other.follow != claim.follow for other in claims):
            yield number, _MOVED_AND_FOLLOWING.format(claim.service)
    for side, numbers in groups(claims):
        first = numbers[0]
        by_rows = bool(claims[first].where)
        for number in numbers:
            if bool(claims[number].where) != by_rows:
                yield number, _WHERE_OR_NOT
            if claims[number].optional and (side is None or number == first or by_rows):
                yield number, _NOT_OPTIONAL


def _shared(claim: Claim, claims: Sequence[Claim]) -> Side | None:
    return next((side for side in Side if _shares(claim, claims, side)), None)


def _shares(claim: Claim, claims: Sequence[Claim], side: Side) -> bool:
    alike = (other for other in claims if other.follow == claim.follow)
    return sum(_table(other, side) == _table(claim, side) for other in alike) > 1


def _table(claim: Claim, side: Side) -> str:
    return claim.monolith if side is Side.MONOLITH else claim.service
