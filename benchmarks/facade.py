"""The facade beside Envoy, HAProxy, nginx and the proxy of the tutorials, before the same backend.

The proxy has the first core; the load and the backend share the last one. Ours has sticky flags, request ids,
metrics and the access log switched on. What is compared runs in interleaved rounds; ratios are of medians.
"""

import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import measures
from benchmarks.course import Course
from benchmarks.measures import Measured
from benchmarks.pinning import available
from benchmarks.rounds import Options, Value, emit, show

_ROWS = (
    ("vs_envoy", "requests/s, × Envoy", "≥ 1"),
    ("vs_haproxy", "requests/s, × HAProxy", ""),
    ("vs_nginx", "requests/s, × nginx", ""),
    ("vs_fastapi_httpx", "requests/s, × FastAPI + httpx", "≥ 30"),
    ("p99_vs_envoy", "p99 at 70 % of our peak, × Envoy's at that rate", "≤ 1.2"),
    ("decide_us", "decision on a path never seen before, µs", "≤ 5"),
    ("decide_known_us", "decision on one of 1,000 paths, µs", "≤ 5"),
    ("two_workers", "two workers on two cores, × one on one", "≥ 1.6"),
    ("stream_growth_mib", "memory that 1 GiB down and up takes, MiB", "≤ 10"),
    ("download_vs_nginx", "1 GiB down, × nginx", "≥ 0.5"),
    ("upload_vs_nginx", "1 GiB up, × nginx", "≥ 0.5"),
    ("shadow_p99", "p99 with all reads shadowed, × without", "≤ 1.2"),
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
    results = {name: value for measured in every for name, value in measured.results.items()}
    _show(every, results)
    details = {f"{measured.title}, {measured.unit}": measured.samples.medians() for measured in every}
    missing = [why for measured in every for why in measured.missing]
    load = {"load_average": os.getloadavg()[0]}
    emit({**results, "medians": details, "missing": missing, **load}, options)


def _show(every: list[Measured], results: dict[str, Value]) -> None:
    console = Console()
    for measured in every:
        show(measured.title, measured.samples, measured.unit)
    table = Table(title="The facade, in ratios", title_justify="left")
    for heading in ("what", "measured", "must", "name"):
        table.add_column(heading, justify="right" if heading == "measured" else "left")
    for name, what, must in _ROWS:
        value = results[name]
        table.add_row(what, "–" if value is None else f"{value:.3g}", must, name)
    console.print(table)
    for why in sorted({why for measured in every for why in measured.missing}):
        console.print(why, highlight=False)


if __name__ == "__main__":
    main()
