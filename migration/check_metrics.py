"""Prometheus metrics of checks and repairs, from the control database."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Integer, case, cast, func, select

from facade.metrics import exposed
from migration.check_history import Scope, last_check
from migration.control import Control
from migration.observations import CheckRun
from migration.schema.tables import check_runs

_GAUGES = (
    ("clean", "Whether the last check was clean.", lambda run, _: float(run.clean)),
    ("age_seconds", "Seconds since the last check began.", lambda _, age: age),
    ("duration_seconds", "How long the last check took.", lambda run, _: run.seconds),
    ("rows", "Rows that the last check compared.", lambda run, _: run.rows),
    ("findings", "What the last check found.", lambda run, _: run.findings),
)


class CheckMetrics(Collector):
    """A collector over these phases' check runs."""

    def __init__(self, control: Control, phases: Sequence[str]) -> None:
        self._control = control
        self._phases = phases

    def exposition(self) -> bytes:
        """The metrics of this moment in Prometheus's text format. Raises SQLAlchemyError."""
        return exposed(self)

    def collect(self) -> Iterator[Metric]:
        """Gauges of the last run of each scope since the installation, counters of all runs."""
        last: list[tuple[tuple[str, str], tuple[CheckRun, float]]] = [
            ((phase, scope), found)
            for phase in self._phases
            for scope in Scope
            if (found := last_check(self._control, phase, scope)) is not None
        ]
        for name, said, of in _GAUGES:
            gauge = GaugeMetricFamily(f"strangler_check_{name}", said, labels=("phase", "scope"))
            for labels, found in last:
                gauge.add_metric(labels, of(*found))
            yield gauge
        yield from self._counters()

    def _counters(self) -> Iterator[Metric]:
        query = (
            select(
                check_runs.c.phase,
                func.count(),
                func.sum(case((check_runs.c.clean, 0), else_=1)),
                func.coalesce(func.sum(cast(check_runs.c.detail["repaired"].as_string(), Integer)), 0),
            )
            .where(check_runs.c.phase.in_(self._phases))
            .group_by(check_runs.c.phase)
        )
        with self._control.read() as connection:
            rows = connection.execute(query).all()
        for at, (name, said) in enumerate(
            (
                ("strangler_checks", "Checks that were carried through."),
                ("strangler_checks_not_clean", "Checks that found something."),
                ("strangler_repaired_rows", "Rows that a repair changed."),
            ),
            start=1,
        ):
            counter = CounterMetricFamily(name, said, labels=("phase",))
            for row in rows:
                counter.add_metric((row[0],), row[at])
            yield counter
