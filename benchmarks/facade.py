"""The facade beside Envoy, HAProxy, nginx and the proxy of the tutorials, before the same backend.

The proxy has the first core; the load and the backend share the last one. Ours has sticky flags, request ids,
metrics and the access log switched on. What is compared runs in interleaved rounds; ratios are of medians.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import measures
from benchmarks.course import Course
from benchmarks.measures import Measured
from benchmarks.pinning import available
from benchmarks.rounds import Options, Value, emit, show


class Row(NamedTuple):
    """A line of the table: the result's name, what it is, and what it must be."""

    name: str
    what: str
    must: str


ROWS = (
    Row("vs_envoy", "requests/s, × Envoy", "≥ 1"),
    Row("vs_haproxy", "requests/s, × HAProxy", ""),
    Row("vs_nginx", "requests/s, × nginx", ""),
    Row("vs_fastapi_httpx", "requests/s, × FastAPI + httpx", "≥ 30"),
    Row("p99_vs_envoy", "p99 at 70 % of our peak, × Envoy's at that rate", "≤ 1.2"),
    Row("decide_us", "decision on one of 50,000 paths, µs", "≤ 5"),
    Row("two_workers", "two workers on two cores, × one on one", "≥ 1.6"),
    Row("stream_growth_mib", "memory that 1 GiB down and up takes, MiB", "≤ 10"),
    Row("download_vs_nginx", "1 GiB down, × nginx", "≥ 0.5"),
    Row("upload_vs_nginx", "1 GiB up, × nginx", "≥ 0.5"),
    Row("shadow_p99", "p99 with all reads shadowed, × without", "≤ 1.2"),
)


def main() -> None:
    options = Options.parse(__doc__ or "")
    rounds, seconds = (3, 3.0) if options.quick else (5, 6.0)
    cores = available()
    with tempfile.TemporaryDirectory() as directory:
        course = Course(Path(directory), cores[0], cores[-1], rounds, seconds)
        throughput = measures.throughput(course)
        every = [throughput, measures.latency(course, throughput.samples.median("facade"))]
        every += [
            measure(course)
            for measure in (measures.decision, measures.workers, measures.streaming, measures.shadow)
        ]
    _show(every)
    emit(summary(every), options)


def summary(every: Sequence[Measured]) -> dict[str, object]:
    """All results by name, the medians they come of, what is missing, and how busy the machine was."""
    return {
        **_results(every),
        "medians": {f"{each.title}, {each.unit}": each.samples.medians() for each in every},
        "missing": _missing(every),
        "load_average": os.getloadavg()[0],
    }


def _results(every: Sequence[Measured]) -> dict[str, Value]:
    return {name: value for each in every for name, value in each.results.items()}


def _missing(every: Sequence[Measured]) -> list[str]:
    return sorted({why for each in every for why in each.missing})


def _show(every: Sequence[Measured]) -> None:
    console, results = Console(), _results(every)
    for measured in every:
        show(measured.title, measured.samples, measured.unit)
    table = Table(title="The facade, in ratios", title_justify="left")
    for heading in ("what", "measured", "must", "name"):
        table.add_column(heading, justify="right" if heading == "measured" else "left")
    for row in ROWS:
        value = results[row.name]
        table.add_row(row.what, "–" if value is None else f"{value:.3g}", row.must, row.name)
    console.print(table)
    for why in _missing(every):
        console.print(why, highlight=False)


if __name__ == "__main__":
    main()
