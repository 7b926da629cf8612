"""What the demo's clients saw, and what became of every write that was acknowledged to them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its start in seconds since 1970, milliseconds until answered, and what went wrong."""

    at: float
    ms: float
    name: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Write:
    """One write of the row that ``ref`` names: ``label`` is the text it set, None for a delete."""

    at: float
    table: str
    ref: str
    operation: str
    label: str | None
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class History:
    """All that the clients recorded, in the order of each client."""

    requests: Sequence[Request]
    writes: Sequence[Write]

    @classmethod
    def read(cls, file: Path) -> "History":
        """Read the clients' lines; a last line that was cut short is left out."""
        entries = [
            entry for line in file.read_text(encoding="utf-8").splitlines() if (entry := _decoded(line))
        ]
        acknowledged = {entry["number"] for entry in entries if entry["event"] == "acknowledged"}
        requests = [
            Request(entry["at"], entry["ms"], entry["name"], entry["error"])
            for entry in entries
            if entry["event"] == "request"
        ]
        writes = [
            Write(
                entry["at"],
                entry["table"],
                entry["ref"],
                entry["op"],
                entry["name"],
                entry["number"] in acknowledged,
            )
            for entry in entries
            if entry["event"] == "write"
        ]
        return cls(requests, writes)


def _decoded(line: str) -> dict[str, Any] | None:
    try:
        entry: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry


@dataclass(slots=True)
class Verdict:
    """How many acknowledged writes were found, lost or doubled, with the first few of the bad ones."""

    acknowledged: int = 0
    found: int = 0
    lost: int = 0
    doubled: int = 0
    examples: list[str] = field(default_factory=list)


def judge(writes: Iterable[Write], rows: Mapping[str, Sequence[str]]) -> Verdict:
    """Look every acknowledged write up in ``rows``: the labels of the rows that carry each ref.

    A row must exist once and hold what the last acknowledged write set, or what a later write set that was
    sent and never acknowledged; after an acknowledged delete it must be gone. A write that another
    acknowledged write of the same row replaced counts as found with it.
    """
    verdict = Verdict()
    by_ref: dict[str, list[Write]] = defaultdict(list)
    for write in writes:
        by_ref[write.ref].append(write)
    for ref, of_row in by_ref.items():
        acknowledged = [index for index, write in enumerate(of_row) if write.acknowledged]
        labels = rows.get(ref, ())
        verdict.acknowledged += len(acknowledged)
        if len(labels) > 1:
            verdict.doubled += len(labels) - 1
            verdict.examples.append(f"{ref}: {len(labels)} rows")
        if not acknowledged:
            continue
        allowed = {write.label for write in of_row[acknowledged[-1] :]}
        if (labels[0] if labels else None) in allowed:
            verdict.found += len(acknowledged)
        else:
            verdict.lost += 1
            verdict.found += len(acknowledged) - 1
            verdict.examples.append(f"{ref}: expected {sorted(map(str, allowed))}, found {list(labels)}")
    del verdict.examples[20:]
    return verdict


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 of milliseconds, rounded to 0.1; zeros when there are none."""
    if len(values) < 2:
        only = round(values[0], 1) if values else 0.0
        return {"p50": only, "p95": only, "p99": only}
    cuts = quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "p99": round(cuts[98], 1)}


def timeline(
    requests: Sequence[Request], stages: Sequence[tuple[float, str]], step: float
) -> list[dict[str, Any]]:
    """Requests a second and p95 in windows of ``step`` seconds, each with the stage at its start."""
    if not requests:
        return []
    start = min(request.at for request in requests)
    windows: dict[int, list[float]] = defaultdict(list)
    for request in requests:
        windows[int((request.at - start) / step)].append(request.ms)
    return [
        {
            "at": round(window * step, 1),
            "stage": stage_at(start + window * step, stages),
            "rps": round(len(ms) / step, 1),
            "p95": percentiles(ms)["p95"],
        }
        for window, ms in sorted(windows.items())
    ]


def stage_at(at: float, stages: Sequence[tuple[float, str]]) -> str:
    """The stage that held at a time, from ``(since, stage)`` in order."""
    current = stages[0][1] if stages else ""
    for since, stage in stages:
        if since > at:
            break
        current = stage
    return current
