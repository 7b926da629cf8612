"""A stream's tables as they are now on both sides: what can be carried, and what no longer fits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dual_write import drift_log
from dual_write.adapter import Adapter
from dual_write.carrier import Carrier, carrier
from dual_write.drift import Drift, Shape, drift, shapes
from dual_write.errors import SchemaError
from dual_write.stream import Stream, parents_first


@dataclass(frozen=True, slots=True)
class View:
    """``carriers`` by source table, parents first; ``faults`` say why the changes of a table have to wait.

    ``drifts`` hold the faults and what else changed; ``source`` and ``target`` the shapes looked at.
    """

    stream: str
    carriers: Mapping[str, Carrier]
    faults: Mapping[str, SchemaError]
    drifts: Sequence[Drift]
    source: Mapping[str, Shape]
    target: Mapping[str, Shape]

    def outdated(self, shapes: Mapping[str, Shape], *, of_source: bool) -> bool:
        return shapes != (self.source if of_source else self.target)

    def fault(self, table: str) -> SchemaError | None:
        """Why changes of ``table`` cannot be carried now."""
        if table in self.faults:
            return self.faults[table]
        if table not in self.carriers:
            return SchemaError(
                f"the log of {self.stream!r} names table {table!r}, which the plan no longer has; "
                "put it back, or run `strangler rollback` to `off` and start the phase again"
            )
        return None


def look(stream: Stream, source: Adapter, target: Adapter, known_faults: Mapping[str, SchemaError]) -> View:
    """Raises MappingError when the stream cannot run in its direction at all."""
    flows = {flow.target: flow for flow in stream.flows()}
    carriers: dict[str, Carrier] = {}
    faults: dict[str, SchemaError] = dict(known_faults)
    drifts: list[Drift] = []
    with source.reading() as here, target.reading() as there:
        sources = source.shapes(here, [flow.source for flow in flows.values()])
        targets = target.shapes(there, list(flows))
        before = drift_log.read(target, there, stream.name) if target.has_bookkeeping(there) else {}
        present = [table for table in flows if targets[table]]
        order = parents_first(present, target.references(there, present))
        for flow in [flows[table] for table in order] + [flows[t] for t in flows if t not in present]:
            now = shapes(flow, sources[flow.source], targets[flow.target])
            if (was := before.get(flow.target)) is not None:
                drifts += drift(flow, stream.to, was, now, one_engine=source.engine == target.engine)
            try:
                if flow.source not in faults:
                    carriers[flow.source] = carrier(flow, source, here, target, there)
            except SchemaError as error:
                faults[flow.source] = error
    for each in drifts:
        if each.blocks:
            # What has changed says more than what is missing now.
            faults[each.table] = SchemaError(each.text)
    named = {each.table for each in drifts if each.blocks}
    drifts += [Drift(table, str(error), blocks=True) for table, error in faults.items() if table not in named]
    return View(stream.name, carriers, faults, drifts, sources, targets)
