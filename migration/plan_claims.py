"""Who claims what: no route and no table may belong to two phases, no aggregate's path to anything else."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from dual_write.sharing import faults
from migration import plan_syntax
from migration.plan_gateway import Aggregate
from migration.plan_lines import Place
from migration.plan_sections import Phase, Route, Table


def conflicts(phases: Sequence[Phase], aggregates: Sequence[Aggregate] = ()) -> Iterator[tuple[Place, str]]:
    """Every double claim, as the place of the later claim and what is wrong with it."""
    yield from _names(phases)
    for (owner, _, first, shape), (phase, place, second, other_shape) in combinations(_routes(phases), 2):
        if shape == other_shape and _same_methods(first, second, within=owner is phase):
            text = f"{second.name} is claimed already by {first.name} of phase {owner.name!r}."
            yield place, f"{text} Keep it in one place."
    yield from _aggregates(phases, aggregates)
    for (owner, _, one), (phase, place, other) in combinations(_tables(phases), 2):
        if owner is phase:
            continue
        if one.monolith == other.monolith and not one.follow and not other.follow:
            text = f"the monolith's table {other.monolith!r} is claimed already by phase {owner.name!r}."
            yield place, f"{text} Keep it in one phase; where another only needs a copy, say `follow = true`."
        elif one.service == other.service and owner.service.database == phase.service.database:
            text = f"the service's table {other.service!r} is filled already from {one.monolith!r}"
            yield place, f"{text} of phase {owner.name!r}. Carry each into a table of its own."
    for number, phase in enumerate(phases):
        for index, text in faults([table.spec() for table in phase.tables]):
            yield ("phases", number, "tables", index), text


def _aggregates(phases: Sequence[Phase], aggregates: Sequence[Aggregate]) -> Iterator[tuple[Place, str]]:
    claimed = {
        shape: f"{route.name} of phase {owner.name!r}"
        for owner, _, route, shape in _routes(phases)
        if route.method in {"GET", "*"}
    }
    made = {plan_syntax.shape(each.path): each.name for each in aggregates}
    for number, each in enumerate(aggregates):
        place: Place = ("facade", "aggregates", number)
        shape = plan_syntax.shape(each.path)
        if shape in claimed:
            yield (
                (*place, "path"),
                f"{each.name} is claimed already by {claimed[shape]}. Give it its own path.",
            )
        claimed[shape] = f"another aggregate, {each.name}"
        for name, path in each.parts.items():
            if inner := made.get(plan_syntax.shape(path)):
                text = f"the part {name!r} is made of parts itself ({inner}). Name those instead."
                yield (*place, "parts", name), text


def _names(phases: Sequence[Phase]) -> Iterator[tuple[Place, str]]:
    seen: set[str] = set()
    for number, phase in enumerate(phases):
        if phase.name in seen:
            yield (
                ("phases", number, "name"),
                f"there is a phase {phase.name!r} already. Give each its own name.",
            )
        seen.add(phase.name)


def _routes(phases: Sequence[Phase]) -> Iterator[tuple[Phase, Place, Route, str]]:
    for number, phase in enumerate(phases):
        for index, route in enumerate(phase.routes):
            yield phase, ("phases", number, "routes", index), route, plan_syntax.shape(route.path)


def _tables(phases: Sequence[Phase]) -> Iterator[tuple[Phase, Place, Table]]:
    for number, phase in enumerate(phases):
        for index, table in enumerate(phase.tables):
            yield phase, ("phases", number, "tables", index), table


def _same_methods(route: Route, other: Route, *, within: bool) -> bool:
    """Whether a method could be meant for both alike. Within a phase a method may refine ``*``."""
    return route.method == other.method or (not within and "*" in {route.method, other.method})
