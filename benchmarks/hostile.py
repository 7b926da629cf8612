"""What clients notice of a shadow whose service is hostile: p99 beside no shadow at all, by the service's
mode, and the memory that the facade takes meanwhile.

The facade has the first core; the load, the backend and the hostile service share the last one.
"""

import os
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.course import Course
from benchmarks.hostile_service import MODES, hostile
from benchmarks.pinning import available, pinned
from benchmarks.rounds import Options, Samples, emit, interleave, show
from benchmarks.streaming import Memory

_RATE = 1_500.0
"""Requests a second: fewer than a core can do, so that a latency is one."""
_WITHOUT = "no shadow"


def main() -> None:
    options = Options.parse(__doc__ or "")
    rounds, seconds = (3, 2.0) if options.quick else (7, 10.0)
    cores = available()
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        course = Course(Path(directory), cores[0], cores[-1], rounds, seconds)
        for mode in MODES:
            samples, growth = measure(course, mode)
            show(f"p99 at {_RATE:,.0f} requests/s, the service is {mode}", samples, "ms")
            name = mode.replace(" ", "_")
            results[f"{name}_p99"] = samples.ratio(mode, _WITHOUT)
            results[f"{name}_growth_mib"] = growth
    for name, value in results.items():
        print(f"{name} = {value:.3g}")
    emit({**results, "requests_each": _RATE * seconds * rounds, "load_average": os.getloadavg()[0]}, options)


def measure(course: Course, mode: str) -> tuple[Samples, float]:
    """p99 without a shadow and with this one in turn, and MiB by which the latter's facade grew.

    The warm-up round goes before: what the first requests need once is not growth.
    """
    with ExitStack() as stack:
        backend = stack.enter_context(course.backend())
        with pinned(course.load):
            service = stack.enter_context(hostile(mode))
        alone, _ = stack.enter_context(course.facade(backend, service=backend))
        port, process = stack.enter_context(course.facade(backend, shadow=True, service=service))
        for each in (alone, port):
            course.p99(each, _RATE)
        with Memory(process) as memory:
            samples = interleave(
                {_WITHOUT: partial(course.p99, alone, _RATE), mode: partial(course.p99, port, _RATE)},
                course.rounds,
                warm_up=0,
            )
    return samples, memory.growth


if __name__ == "__main__":
    main()
