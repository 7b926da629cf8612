"""What clients notice of a shadow whose service is hostile: p99 beside no shadow at all, by the service's
mode, and the memory that the facade takes meanwhile.

The facade has the first core; the load, the backend and the hostile service share the last one.
"""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.course import Course
from benchmarks.hostile_service import MODES, hostile
from benchmarks.pinning import available, pinned
from benchmarks.rounds import Options, interleave, report
from benchmarks.streaming import Memory

_RATE = 1_500.0
"""Requests a second: fewer than a core can do, so that a latency is one."""
_WITHOUT = "no shadow"


def main() -> None:
    options = Options.parse(__doc__ or "")
    rounds, seconds = (3, 2.0) if options.quick else (7, 10.0)
    cores = available()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        course = Course(Path(directory), cores[0], cores[-1], rounds, seconds)
        backend = stack.enter_context(course.backend())
        facades = {_WITHOUT: stack.enter_context(course.facade(backend, service=backend))}
        for mode in MODES:
            with pinned(course.load):
                service = stack.enter_context(hostile(mode))
            facades[mode] = stack.enter_context(course.facade(backend, shadow=True, service=service))
        # What the first requests need once is not growth.
        for port, _ in facades.values():
            course.p99(port, _RATE)
        memories = {mode: stack.enter_context(Memory(process)) for mode, (_, process) in facades.items()}
        samples = interleave(
            {mode: partial(course.p99, port, _RATE) for mode, (port, _) in facades.items()}, rounds, warm_up=0
        )
        growth = {f"{_name(mode)}_growth_mib": memory.growth for mode, memory in memories.items()}
    ratios = {f"{_name(mode)}_p99": samples.ratio(mode, _WITHOUT) for mode in MODES}
    report(
        f"p99 at {_RATE:,.0f} requests/s with a hostile shadow",
        samples,
        "ms",
        {**ratios, **growth, "requests_each": int(_RATE * seconds * rounds)},
        options,
    )


def _name(mode: str) -> str:
    return mode.replace(" ", "_")


if __name__ == "__main__":
    main()
