"""Where the outcome of shadow traffic is kept, and read back as a summary."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from facade.evidence import Comparison, Difference, ShadowCounts
from migration.control import Control, upsert
from migration.schema.tables import shadow_counts, shadow_samples
from migration.summary import FieldSummary, Latency, RouteSummary, ShadowSummary, merge, summarise, wilson

__all__ = [
    "ControlEvidence",
    "FieldSummary",
    "Latency",
    "RouteSummary",
    "ShadowSummary",
    "shadow_summary",
    "wilson",
]

SLOT_SECONDS = 60
SAMPLES_KEPT = 5
"""Samples kept of each kind of difference on each route: the newest."""
FIELDS_KEPT = 500
"""Places kept apart in one slot; object keys made of data would otherwise grow without end."""
RETENTION_SECONDS = 30 * 86_400


class ControlEvidence:
    """The facade's EvidenceSink on the control database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def record(self, worker: str, counts: Sequence[ShadowCounts], samples: Sequence[Comparison]) -> None:  # noqa: ARG002 - the port says who reports
        """Add the counts to those of the current minute, and keep the newest samples of each kind."""
        with self._control.write() as connection:
            now = self._control.now(connection)
            slot = int(now) // SLOT_SECONDS * SLOT_SECONDS
            for count in sorted(counts, key=lambda c: (c.phase, c.route)):
                _add_counts(connection, slot, count)
            for sample in samples:
                _add_sample(connection, sample)
            connection.execute(delete(shadow_counts).where(shadow_counts.c.slot < now - RETENTION_SECONDS))


def shadow_summary(control: Control, phase: str, since: float) -> ShadowSummary:
    """What was counted in the minutes from ``since`` (seconds since 1970) on."""
    with control.read() as connection:
        now = control.now(connection)
        stored = connection.execute(
            select(shadow_counts)
            .where(shadow_counts.c.phase == phase)
            .where(shadow_counts.c.slot > since - SLOT_SECONDS)
        )
        routes: dict[str, ShadowCounts] = {}
        for row in stored:
            merge(routes.setdefault(row.route, ShadowCounts(phase, row.route)), _counts(row))
        samples = connection.scalars(
            select(shadow_samples.c.sample)
            .where(shadow_samples.c.phase == phase, shadow_samples.c.at >= since)
            .order_by(shadow_samples.c.route, shadow_samples.c.id.desc())
        )
        total = ShadowCounts(phase, "*")
        for counts in routes.values():
            merge(total, counts)
        return ShadowSummary(
            phase=phase,
            since=since,
            until=now,
            total=summarise(total),
            routes=tuple(summarise(routes[route]) for route in sorted(routes)),
            samples=tuple(_comparison(sample) for sample in samples),
        )


def _add_counts(connection: Connection, slot: int, counts: ShadowCounts) -> None:
    table = shadow_counts.c
    stored = connection.execute(
        select(shadow_counts)
        .where(table.phase == counts.phase, table.route == counts.route, table.slot == slot)
        .with_for_update()
    ).one_or_none()
    merged = ShadowCounts(counts.phase, counts.route) if stored is None else _counts(stored)
    merge(merged, counts)
    upsert(
        connection,
        shadow_counts,
        {
            "phase": merged.phase,
            "route": merged.route,
            "slot": slot,
            "eligible": merged.eligible,
            "matched": merged.matched,
            "mismatched": merged.mismatched,
            "stale": merged.stale,
            "drops": merged.drops,
            "fields": [[path, kind, n] for (path, kind), n in _bounded(merged.fields).items()],
            "rules": merged.rules,
            "primary_ms": {str(bound): n for bound, n in merged.primary_ms.items()},
            "shadow_ms": {str(bound): n for bound, n in merged.shadow_ms.items()},
        },
        key=("phase", "route", "slot"),
    )


def _bounded(fields: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    if len(fields) <= FIELDS_KEPT:
        return dict(fields)
    ranked = sorted(fields.items(), key=lambda item: -item[1])
    kept = dict(ranked[:FIELDS_KEPT])
    for (_, kind), count in ranked[FIELDS_KEPT:]:
        kept["(elsewhere)", kind] = kept.get(("(elsewhere)", kind), 0) + count
    return kept


def _counts(row: Row[Any]) -> ShadowCounts:
    return ShadowCounts(
        phase=row.phase,
        route=row.route,
        eligible=row.eligible,
        matched=row.matched,
        mismatched=row.mismatched,
        stale=row.stale,
        drops=dict(row.drops),
        fields={(path, kind): count for path, kind, count in row.fields},
        rules=dict(row.rules),
        primary_ms={float(bound): count for bound, count in row.primary_ms.items()},
        shadow_ms={float(bound): count for bound, count in row.shadow_ms.items()},
    )


def _add_sample(connection: Connection, sample: Comparison) -> None:
    signature = json.dumps(sorted({(d.path, d.kind) for d in sample.differences}))
    connection.execute(
        insert(shadow_samples).values(
            phase=sample.phase, route=sample.route, signature=signature, at=sample.at, sample=asdict(sample)
        )
    )
    table = shadow_samples.c
    alike = (table.phase == sample.phase) & (table.route == sample.route) & (table.signature == signature)
    kept = select(table.id).where(alike).order_by(table.id.desc()).limit(SAMPLES_KEPT)
    connection.execute(delete(shadow_samples).where(alike, table.id.not_in(kept)))


def _comparison(sample: Mapping[str, Any]) -> Comparison:
    differences = tuple(Difference(**difference) for difference in sample["differences"])
    return Comparison(**{**sample, "differences": differences})
