"""The rules of a comparison: what each says, and where in a document it holds.

All paths of a rule set become one automaton. Following a document down costs one dictionary look-up a level,
however many rules there are, and a part of the document that no rule can reach is recognised at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any
from unicodedata import normalize

from facade.compare_paths import RuleError, parse_path
from facade.compare_values import Accepts, shape, tolerance

_MOST_DIGITS = 400
"""Numbers of more digits are not written out to be compared."""


class RuleKind(StrEnum):
    """What a rule says of the nodes that its path selects; the name is also the plan's key."""

    IGNORE = "ignore"
    """They may differ, be missing or be extra."""
    TOLERANCE = "tolerance"
    """Numbers or times may be as far apart as the argument says (`facade.compare_values.tolerance`)."""
    SHAPE = "shape"
    """Values of the shape that the argument names may differ (`facade.compare_values.shape`)."""
    UNORDERED = "unordered"
    """The order of the list means nothing."""
    KEYED = "keyed"
    """Neither does it here, and items belong together by the member that the argument names."""
    SUPERSET = "superset"
    """The service's object may have members that the monolith's lacks."""
    SUBSET = "subset"
    """The service's object may lack members that the monolith's has."""
    NULL_AS_ABSENT = "null_as_absent"
    """The member may be null on one side and absent on the other."""
    NULL_FOR_ABSENT = "null_for_absent"
    """The service may answer null where the monolith leaves the member out."""
    ABSENT_FOR_NULL = "absent_for_null"
    """The service may leave the member out where the monolith answers null."""
    NUMBER_FORM = "number_form"
    """``1`` and ``1.0`` may stand for each other."""
    UNICODE_FORM = "unicode_form"
    """Texts may be of different Unicode forms, composed or not: what is equal in NFC is the same."""


_BY_VALUE: Mapping[RuleKind, Callable[[str], Accepts]] = {
    RuleKind.TOLERANCE: tolerance,
    RuleKind.SHAPE: shape,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Raises RuleError when its path or its argument is not understood."""

    kind: RuleKind
    path: str
    argument: str = ""

    def __post_init__(self) -> None:
        parse_path(self.path)
        if self.kind in _BY_VALUE:
            _BY_VALUE[self.kind](self.argument)
        elif (self.kind is RuleKind.KEYED) != bool(self.argument):
            raise RuleError(f"the rule {self} needs the name of a member for `keyed`, and nothing otherwise.")

    def __str__(self) -> str:
        """How the rule is called in counts and reports."""
        return f"{self.kind} {self.path} {self.argument}".rstrip()


@dataclass(slots=True, eq=False)
class Place:
    """Where a walk stands relative to all rules: those that select exactly this node, and the way down.

    ``may_lack`` and ``may_add`` are rules of an object whose members may be missing or extra, with ``_null``
    of a member that may be so while it is null. ``sliced`` finds the place of an index that slices may take.
    ``dead`` means that no rule can select anything below, whatever follows.
    """

    ignore: str | None = None
    values: tuple[tuple[str, Accepts], ...] = ()
    shapes: tuple[Accepts, ...] = ()
    order: Rule | None = None
    may_lack: str | None = None
    may_add: str | None = None
    may_lack_null: str | None = None
    may_add_null: str | None = None
    number_form: str | None = None
    unicode_form: str | None = None
    names: dict[str, "Place"] = field(default_factory=dict)
    indexes: dict[int, "Place"] = field(default_factory=dict)
    any_name: "Place" = field(init=False)
    any_index: "Place" = field(init=False)
    sliced: Callable[[int], "Place"] | None = None
    dead: bool = False

    def __post_init__(self) -> None:
        self.any_name = self.any_index = self

    def member(self, name: str) -> "Place":
        """The place of the member ``name`` of this node."""
        return self.names.get(name, self.any_name)

    def item(self, index: int) -> "Place":
        """The place of the item at ``index`` of this node."""
        known = self.indexes.get(index)
        if known is None:
            if self.sliced is None:
                return self.any_index
            known = self.indexes[index] = self.sliced(index)
        return known

    def excuse(self, primary: Any, shadow: Any) -> str | None:
        """The rule by which two different values of one type may stand for the same, if there is one."""
        if self.unicode_form is not None and self.formed(primary) == self.formed(shadow):
            return self.unicode_form
        return next((rule for rule, accepts in self.values if accepts(primary, shadow)), None)

    def formed(self, value: Any) -> Any:
        """The value in the one form that stands for all that the rules take for the same here."""
        if self.unicode_form is not None and type(value) is str:
            return normalize("NFC", value)
        if self.number_form is not None and type(value) is Decimal and value == value.to_integral_value():
            return int(value) if value.adjusted() < _MOST_DIGITS else value
        return value

    def is_volatile(self, value: Any) -> bool:
        """Whether the value has a shape by which alone it is judged here."""
        return any(accepts(value, value) for accepts in self.shapes)


@lru_cache(maxsize=256)
def compile_rules(rules: tuple[Rule, ...]) -> Place:
    """The root of a document under these rules. Of two that say the same of a node, the first counts."""
    paths = [parse_path(rule.path) for rule in rules]
    places: dict[frozenset[tuple[int, int]], Place] = {}

    def place(active: frozenset[tuple[int, int]]) -> Place:
        if active in places:
            return places[active]
        done = sorted(rule for rule, at in active if at == len(paths[rule]))
        made = places[active] = _place([rules[rule] for rule in done])
        made.dead = not active
        if active:
            waiting = {
                selector
                for rule, at in active
                if at < len(paths[rule])
                for selector in paths[rule][at].selectors
            }
            made.names = {key: place(step(active, key)) for key in waiting if isinstance(key, str)}
            made.indexes = {key: place(step(active, key)) for key in waiting if isinstance(key, int)}
            if any(isinstance(key, range) for key in waiting):
                made.sliced = lambda index: place(step(active, index))
            # A key that no rule names: only wildcards take it, and those do not tell names from indexes.
            made.any_name = made.any_index = place(step(active, None))
        return made

    def step(active: frozenset[tuple[int, int]], key: str | int | None) -> frozenset[tuple[int, int]]:
        following: set[tuple[int, int]] = set()
        for rule, at in active:
            if at == len(paths[rule]):
                continue
            segment = paths[rule][at]
            if segment.selects(key):
                following.add((rule, at + 1))
            if segment.deep:
                following.add((rule, at))
        return frozenset(following)

    return place(frozenset((rule, 0) for rule in range(len(rules))))


def _place(rules: list[Rule]) -> Place:
    """A place that exactly these rules select."""
    first: dict[RuleKind, Rule] = {}
    for rule in rules:
        first.setdefault(rule.kind, rule)

    def name(*kinds: RuleKind) -> str | None:
        return next((str(rule) for kind, rule in first.items() if kind in kinds), None)

    return Place(
        ignore=name(RuleKind.IGNORE),
        values=tuple(
            (str(rule), _BY_VALUE[rule.kind](rule.argument)) for rule in rules if rule.kind in _BY_VALUE
        ),
        shapes=tuple(shape(rule.argument) for rule in rules if rule.kind is RuleKind.SHAPE),
        order=first.get(RuleKind.KEYED) or first.get(RuleKind.UNORDERED),
        may_lack=name(RuleKind.SUBSET),
        may_add=name(RuleKind.SUPERSET),
        may_lack_null=name(RuleKind.NULL_AS_ABSENT, RuleKind.ABSENT_FOR_NULL),
        may_add_null=name(RuleKind.NULL_AS_ABSENT, RuleKind.NULL_FOR_ABSENT),
        number_form=name(RuleKind.NUMBER_FORM),
        unicode_form=name(RuleKind.UNICODE_FORM),
    )
