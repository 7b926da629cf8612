"""A stream's tables as they are now on both sides: what can be carried, and what no longer fits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dual_write import drift_log
from dual_write.adapter import Adapter
from dual_write.apply import Failure, Work
from dual_write.carrier import Carrier, carrier
from dual_write.drift import Drift, Shape, Shapes, drift, shapes
from dual_write.errors import SchemaError
from dual_write.stream import Stream, parents_first


@dataclass(frozen=True, slots=True)
class View:
    """``ordered`` are the carriers, one for each target table that could be carried as it is, parents first.

    ``faults`` say by lane why changes have to wait. ``drifts`` hold these and what else changed; ``source``
    and ``target`` are the shapes looked at, by table.
    """

    stream: str
    ordered: Sequence[Carrier]
    faults: Mapping[str, SchemaError]
    drifts: Sequence[Drift]
    source: Mapping[str, Shape]
    target: Mapping[str, Shape]
    carriers: Mapping[str, Carrier]
    lanes: Mapping[str, Sequence[str]]
    """The lanes that a source table's changes take."""

    def outdated(self, shapes: Mapping[str, Shape], *, of_source: bool) -> bool:
        return shapes != (self.source if of_source else self.target)

    def fault(self, lane: str) -> SchemaError | None:
        """Why changes that come by this lane cannot be carried now."""
        if lane in self.faults:
            return self.faults[lane]
        if lane not in self.carriers:
            return SchemaError(
                f"the log of {self.stream!r} names table {lane!r}, which the plan no longer has; "
                "put it back, or run `strangler rollback` to `off` and start the phase again"
            )
        return None

    def fitting(self, works: Sequence[Work]) -> tuple[list[Work], list[Failure]]:
        """Those that can be carried now, and those that cannot, with the reason."""
        faults = {lane: self.fault(lane) for lane in {work.table for work in works}}
        fitting = [work for work in works if faults[work.table] is None]
        return fitting, [Failure(work, error) for work in works if (error := faults[work.table]) is not None]

    def shapes(self) -> dict[str, Shapes]:
        """What is carried now, by lane."""
        return {
            lane: shapes(strand, self.source[strand.source], self.target[strand.target])
            for made in self.ordered
            for lane, strand in made.flow.strands.items()
        }


def look(stream: Stream, source: Adapter, target: Adapter, known_faults: Mapping[str, SchemaError]) -> View:
    """Raises MappingError when the stream cannot run in its direction at all."""
    flows = {flow.target: flow for flow in stream.flows()}
    made: list[Carrier] = []
    faults: dict[str, SchemaError] = {}
    drifts: list[Drift] = []
    with source.reading() as here, target.reading() as there:
        tables = dict.fromkeys(table for flow in flows.values() for table in flow.lanes.values())
        sources, targets = source.shapes(here, list(tables)), target.shapes(there, list(flows))
        before = drift_log.read(target, there, stream.name) if target.has_bookkeeping(there) else {}
        present = [table for table in flows if targets[table]]
        order = parents_first(present, target.references(there, present))
        for flow in [flows[table] for table in (*order, *(t for t in flows if t not in present))]:
            changed = [
                each
                for lane, strand in flow.strands.items()
                if lane in before
                for each in drift(
                    strand,
                    stream.to,
                    before[lane],
                    shapes(strand, sources[strand.source], targets[flow.target]),
                    one_engine=source.engine == target.engine,
                )
            ]
            fault = next(
                (known_faults[table] for table in flow.lanes.values() if table in known_faults), None
            )
            if fault is None:
                try:
                    made.append(carrier(flow, source, here, target, there))
                except SchemaError as error:
                    fault = error
            # What has changed says more than what is missing now.
            fault = next((SchemaError(each.text) for each in changed if each.blocks), fault)
            if fault is not None:
                faults |= dict.fromkeys(flow.lanes, fault)
                if not any(each.blocks for each in changed):
                    changed.append(Drift(flow.source, str(fault), blocks=True))
            drifts += [each for each in changed if each not in drifts]
    lanes: dict[str, list[str]] = {}
    for flow in flows.values():
        for lane, table in flow.lanes.items():
            lanes.setdefault(table, []).append(lane)
    carriers = {lane: each for each in made for lane in each.flow.lanes}
    return View(stream.name, made, faults, drifts, sources, targets, carriers, lanes)
