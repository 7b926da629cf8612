"""Where the outcome of calibration is kept, and read back."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, select, update

from facade.evidence import ShadowCounts
from facade.noise import Field, FieldNoise, Noise, Traits
from migration.control import Control, insert_absent
from migration.schema.observed import shadow_noise

FIELDS_KEPT = 500
"""Places kept apart on one route in one minute."""
HOUR = 3600
_FOLDED_AT_ONCE = 500
_TABLE = shadow_noise.c


def record_noise(connection: Connection, slot: int, counts: Iterable[ShadowCounts]) -> None:
    """Add the pairs of each route to those of the minute ``slot``."""
    for count in sorted(counts, key=lambda each: (each.phase, each.route)):
        if not count.noise.pairs:
            continue
        _add(connection, (count.phase, count.route, slot), count.noise)


def tidy_noise(connection: Connection, phase: str, oldest: float, whole: int) -> None:
    """Let go of the minutes before ``oldest``, and make those before ``whole`` one an hour."""
    connection.execute(delete(shadow_noise).where(_TABLE.phase == phase, _TABLE.slot < oldest))
    old = and_(_TABLE.phase == phase, _TABLE.slot < whole, _TABLE.slot % HOUR != 0)
    folding = select(shadow_noise).where(old).order_by(_TABLE.route, _TABLE.slot).limit(_FOLDED_AT_ONCE)
    for row in connection.execute(folding.with_for_update()).all():
        _add(connection, (phase, row.route, row.slot // HOUR * HOUR), _noise(row))
        connection.execute(delete(shadow_noise).where(_is(phase, row.route, row.slot)))


def _add(connection: Connection, key: tuple[str, str, int], noise: Noise) -> None:
    """Two workers may both be the first in a minute: the row is there before it is read and added to."""
    names = ("phase", "route", "slot")
    insert_absent(connection, shadow_noise, dict(zip(names, key, strict=True)) | _row(Noise()))
    here = _is(*key)
    merged = _noise(connection.execute(select(shadow_noise).where(here).with_for_update()).one())
    merged.merge(noise)
    connection.execute(update(shadow_noise).where(here).values(_row(merged)))


def _is(phase: str, route: str, slot: int) -> ColumnElement[bool]:
    return and_(_TABLE.phase == phase, _TABLE.route == route, _TABLE.slot == slot)


def noise_of(control: Control, phase: str, since: float) -> dict[str, Noise]:
    """By route, what was found in the minutes that began at ``since`` (seconds since 1970) or later."""
    routes: dict[str, Noise] = {}
    with control.read() as connection:
        for row in connection.execute(
            select(shadow_noise).where(_TABLE.phase == phase, _TABLE.slot >= since).order_by(_TABLE.route)
        ):
            routes.setdefault(row.route, Noise()).merge(_noise(row))
    return routes


def _bounded(fields: Mapping[Field, FieldNoise]) -> list[tuple[Field, FieldNoise]]:
    """Those that differ most often: object keys made of data would grow without end."""
    ranked = sorted(fields.items(), key=lambda item: -(item[1].both + item[1].monolith + item[1].service))
    return ranked[:FIELDS_KEPT]


def _row(noise: Noise) -> dict[str, Any]:
    fields = [_stored(place, found) for place, found in _bounded(noise.fields)]
    return {"pairs": noise.pairs, "noisy": noise.noisy, "fields": fields}


def _stored(place: Field, found: FieldNoise) -> list[Any]:
    return [*place, found.both, found.monolith, found.service, asdict(found.traits)]


def _noise(row: Row[Any]) -> Noise:
    return Noise(
        row.pairs,
        row.noisy,
        {
            (path, kind): FieldNoise(both, monolith, service, Traits(**traits))
            for path, kind, both, monolith, service, traits in row.fields
        },
    )
