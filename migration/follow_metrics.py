"""How an Unleash server is followed, as Prometheus metrics on the admin port."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from facade.metrics import exposed
from migration.control import Control
from migration.following import home


class FollowMetrics(Collector):
    """A collector over how the Unleash server at ``url`` is followed."""

    def __init__(self, control: Control, url: str) -> None:
        self._control = control
        self._url = url

    def exposition(self) -> bytes:
        """The metrics of this moment in Prometheus's text format. Raises SQLAlchemyError."""
        return exposed(self)

    def collect(self) -> Iterator[Metric]:
        """Alarm on ``strangler_unleash_degraded``."""
        found = home(self._control, self._url)
        yield GaugeMetricFamily(
            "strangler_unleash_degraded",
            "Whether the flags may be older than what Unleash says.",
            float(found.degraded is not None),
        )
        if found.age_seconds is not None:
            yield GaugeMetricFamily(
                "strangler_unleash_age_seconds", "Seconds since Unleash was read.", found.age_seconds
            )
        yield GaugeMetricFamily(
            "strangler_unleash_untold_flags",
            "Changes made here that Unleash has not taken.",
            len(found.untold),
        )
