"""Where the outcome of shadow traffic is kept, for how long, and read back as a summary."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, select, update

from facade.evidence import Comparison, Difference, ShadowCounts
from migration.control import Control, insert_absent
from migration.noise import HOUR, record_noise, tidy_noise
from migration.schema.observed import shadow_counts, shadow_samples
from migration.summary import WHOLE, Agreement, ShadowSummary, View, merge, summarise_phase

SLOT_SECONDS = 60
FOLD_SECONDS = 86_400
"""Slots that are older become one an hour: what is kept stays small, however long a phase is shadowed."""
FIELDS_KEPT = 500
"""Places kept apart in one slot; object keys made of data would otherwise grow without end."""
PATH_KEPT = 300
"""Characters of a place; a longer one is an object key made of data."""
DIFFERENCES_KEPT = 40
"""Differences kept of one sample."""
_FOLDED_AT_ONCE = 500
_ELSEWHERE = "(elsewhere)"


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a phase's counts and samples are kept, in days; how many samples of each kind of difference
    on each route, and how many in all. Half of them are the first ones, half the latest."""

    days: float = 30.0
    samples: int = 10
    most_samples: int = 1000


class ControlEvidence:
    """The facade's EvidenceSink on the control database, with each phase's retention. For one thread."""

    def __init__(self, control: Control, retention: Mapping[str, Retention] | None = None) -> None:
        self._control = control
        self._retention = retention or {}
        self._tidied = -float(SLOT_SECONDS)

    def record(self, worker: str, counts: Sequence[ShadowCounts], samples: Sequence[Comparison]) -> None:  # noqa: ARG002 - the port says who reports
        """Add the counts to those of the current minute, keep the samples, let go of what is too old."""
        with self._control.write() as connection:
            now = self._control.now(connection)
            slot = int(now) // SLOT_SECONDS * SLOT_SECONDS
            for count in sorted(counts, key=lambda c: (c.phase, c.route)):
                _add_counts(connection, slot, count)
            record_noise(connection, slot, counts)
            self._add_samples(connection, samples)
        if now - self._tidied >= SLOT_SECONDS:
            self._tidied = now
            for phase in {count.phase for count in counts}:
                with self._control.write() as connection:
                    _tidy(connection, phase, now, self._of(phase))

    def _add_samples(self, connection: Connection, samples: Sequence[Comparison]) -> None:
        if not samples:
            return
        table = shadow_samples.c
        rows = [_sample_row(sample) for sample in samples]
        connection.execute(insert(shadow_samples), rows)
        kinds = {(row["phase"], row["route"], row["signature"]) for row in rows}
        for phase, route, signature in kinds:
            alike = and_(table.phase == phase, table.route == route, table.signature == signature)
            _keep_ends(connection, alike, self._of(phase).samples)
        for phase in {phase for phase, _, _ in kinds}:
            _keep_ends(connection, table.phase == phase, self._of(phase).most_samples)

    def _of(self, phase: str) -> Retention:
        return self._retention.get(phase, _DEFAULT)


_DEFAULT = Retention()


def shadow_summary(
    control: Control, phase: str, since: float, until: float | None = None, view: View = WHOLE
) -> ShadowSummary:
    """What was counted in the minutes from ``since`` until ``until`` (seconds since 1970; now).

    A minute in which one period ends and the next begins belongs to the next.
    """
    with control.read() as connection:
        end = control.now(connection) if until is None else until
        asked = select(shadow_counts).where(_counted(phase, since))
        if until is not None:
            asked = asked.where(shadow_counts.c.slot <= until - SLOT_SECONDS)
        stored = connection.execute(asked)
        slots = [(float(row.slot), _counts(row)) for row in stored]
        samples = connection.scalars(
            select(shadow_samples.c.sample)
            .where(shadow_samples.c.phase == phase, shadow_samples.c.at.between(since, end))
            .order_by(shadow_samples.c.id)
        )
        return summarise_phase(phase, since, end, slots, map(_comparison, samples), view=view)


def agreement(control: Control, phase: str, since: float) -> Agreement:
    """How many comparisons agreed and differed in the minutes from ``since`` on: what a gate asks for."""
    table = shadow_counts.c
    with control.read() as connection:
        row = connection.execute(
            select(func.sum(table.matched), func.sum(table.mismatched)).where(_counted(phase, since))
        ).one()
    return Agreement(int(row[0] or 0), int(row[1] or 0))


def _counted(phase: str, since: float) -> ColumnElement[bool]:
    return and_(shadow_counts.c.phase == phase, shadow_counts.c.slot > since - SLOT_SECONDS)


def _add_counts(connection: Connection, slot: int, counts: ShadowCounts) -> None:
    """Two workers may both be the first in a slot: the row is there before it is read and added to."""
    key = {"phase": counts.phase, "route": counts.route, "slot": slot}
    insert_absent(connection, shadow_counts, key | _row(ShadowCounts(counts.phase, counts.route)))
    table = shadow_counts.c
    same = and_(table.phase == counts.phase, table.route == counts.route, table.slot == slot)
    merged = _counts(connection.execute(select(shadow_counts).where(same).with_for_update()).one())
    merge(merged, counts)
    connection.execute(update(shadow_counts).where(same).values(_row(merged)))


def _row(counts: ShadowCounts) -> dict[str, Any]:
    return {
        "eligible": counts.eligible,
        "matched": counts.matched,
        "mismatched": counts.mismatched,
        "stale": counts.stale,
        "drops": counts.drops,
        "fields": [[path, kind, n] for (path, kind), n in _bounded(counts.fields).items()],
        "rules": counts.rules,
        "primary_ms": {str(bound): n for bound, n in counts.primary_ms.items()},
        "shadow_ms": {str(bound): n for bound, n in counts.shadow_ms.items()},
        "stale_ms": {str(bound): n for bound, n in counts.stale_ms.items()},
    }


def _bounded(fields: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    ranked = sorted(fields.items(), key=lambda item: -item[1])
    kept: dict[tuple[str, str], int] = {}
    for (path, kind), count in ranked:
        fits = len(kept) < FIELDS_KEPT and len(path) <= PATH_KEPT
        place = (path if fits else _ELSEWHERE), kind
        kept[place] = kept.get(place, 0) + count
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
        stale_ms={float(bound): count for bound, count in row.stale_ms.items()},
    )


def _sample_row(sample: Comparison) -> dict[str, Any]:
    cut = replace(sample, differences=sample.differences[:DIFFERENCES_KEPT])
    signature = json.dumps(sorted({(d.path, d.kind) for d in cut.differences}))
    return {
        "phase": sample.phase,
        "route": sample.route,
        "signature": signature,
        "at": sample.at,
        "sample": asdict(cut),
    }


def _comparison(sample: Mapping[str, Any]) -> Comparison:
    differences = tuple(Difference(**difference) for difference in sample["differences"])
    return Comparison(**{**sample, "differences": differences})


# Retention


def _tidy(connection: Connection, phase: str, now: float, retention: Retention) -> None:
    """Let go of what is too old, and fold what is old into hours."""
    oldest = now - retention.days * 86_400
    counts, samples = shadow_counts.c, shadow_samples.c
    connection.execute(delete(shadow_counts).where(counts.phase == phase, counts.slot < oldest))
    connection.execute(delete(shadow_samples).where(samples.phase == phase, samples.at < oldest))
    whole = int(now - FOLD_SECONDS) // HOUR * HOUR
    tidy_noise(connection, phase, oldest, whole)
    old = and_(counts.phase == phase, counts.slot < whole, counts.slot % HOUR != 0)
    folding = select(shadow_counts).where(old).order_by(counts.route, counts.slot).limit(_FOLDED_AT_ONCE)
    for row in connection.execute(folding.with_for_update()).all():
        _add_counts(connection, row.slot // HOUR * HOUR, _counts(row))
        same = and_(counts.phase == phase, counts.route == row.route, counts.slot == row.slot)
        connection.execute(delete(shadow_counts).where(same))


def _keep_ends(connection: Connection, alike: ColumnElement[bool], most: int) -> None:
    """Of the samples that are alike keep the first half of ``most`` and the latest."""
    number = shadow_samples.c.id
    first = select(number).where(alike).order_by(number).limit(most // 2)
    latest = select(number).where(alike).order_by(number.desc()).limit(most - most // 2)
    connection.execute(delete(shadow_samples).where(alike, number.not_in(first), number.not_in(latest)))
