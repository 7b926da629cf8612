"""The outcome of shadow traffic: counts that balance, and redacted samples of what differed."""

from dataclasses import dataclass, field
from typing import Any

from facade.noise import Noise


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between two answers.

    ``path`` is a JSONPath-like place (``$.items[*].price``, ``status``, ``header:etag``), ``kind`` one of
    ``status``, ``header``, ``missing``, ``extra``, ``type``, ``value``, ``length``, ``body``. The two values
    are short redacted texts.
    """

    path: str
    kind: str
    primary: str
    shadow: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One compared request: its route and how the two answers differed (empty when they agree)."""

    phase: str
    route: str
    request_id: str
    method: str
    target: str
    at: float
    differences: tuple[Difference, ...]
    primary_status: int
    shadow_status: int
    primary_ms: float
    shadow_ms: float


@dataclass(slots=True)
class ShadowCounts:
    """Counts of one route since they were last recorded (invariant I10).

    ``eligible = matched + mismatched + stale + sum(drops)``; ``stale`` are differences that vanished when
    both sides were asked again. ``drops`` maps a reason to a count, ``fields`` maps ``(path, kind)`` to a
    count, ``rules`` maps a rule's text to how often it hid something. Latencies are milliseconds in the
    buckets of ``LATENCY_BUCKETS_MS``, one list a side; ``stale_ms`` are in the same buckets how far
    replication was behind when a stale read was seen first, as far as that is known. ``noise`` is of
    calibrated requests.
    """

    phase: str
    route: str
    eligible: int = 0
    matched: int = 0
    mismatched: int = 0
    stale: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    fields: dict[tuple[str, str], int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    primary_ms: dict[float, int] = field(default_factory=dict)
    shadow_ms: dict[float, int] = field(default_factory=dict)
    stale_ms: dict[float, int] = field(default_factory=dict)
    noise: Noise = field(default_factory=Noise)


LATENCY_BUCKETS_MS: tuple[float, ...] = tuple(round(0.5 * 1.12**n, 3) for n in range(100))
"""Upper bounds, 12 % apart, from 0.5 ms to about 37 s: a percentile read from them is within 12 %."""

Json = Any
"""A decoded JSON document."""
