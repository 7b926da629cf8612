"""What clients notice of a shadow whose service is hostile: p99 beside no shadow at all, by the service's
mode, and the memory that the facade takes meanwhile.

All modes share each round, so that they share what the machine does meanwhile; a second facade without a
shadow shows what is left of that: its ratio would be 1 if there were no noise.

The facades have the first core; the load, the backend and the hostile services share the last one.
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
_WITHOUT, _AGAIN = "no shadow", "no shadow, again"


def main() -> None:
    options = Options.parse(__doc__ or "")
    rounds, seconds = (3, 2.0) if options.quick else (21, 3.5)
    cores = available()
    with tempfile.TemporaryDirectory() as directory:
        samples, growth = measure(Course(Path(directory), cores[0], cores[-1], rounds, seconds))
    show(f"p99 at {_RATE:,.0f} requests/s, by what the service does", samples, "ms")
    results: dict[str, float] = {}
    for mode in (_AGAIN, *MODES):
        name = mode.replace(", ", "_").replace(" ", "_")
        low, high = samples.interval(mode, _WITHOUT)
        results[f"{name}_p99"] = samples.ratio(mode, _WITHOUT)
        grown = f", memory + {growth[mode]:.2g} MiB" if mode in growth else ""
        print(f"{name}_p99 = {results[f'{name}_p99']:.3g} ({low:.3g} to {high:.3g}){grown}")
    results |= {f"{mode.replace(' ', '_')}_growth_mib": grown for mode, grown in growth.items()}
    emit({**results, "requests_each": _RATE * seconds * rounds, "load_average": os.getloadavg()[0]}, options)


def measure(course: Course) -> tuple[Samples, dict[str, float]]:
    """p99 of every mode in milliseconds, and MiB by which its facade grew.

    The warm-up round goes before: what the first requests need once is not growth.
    """
    with ExitStack() as stack:
        backend = stack.enter_context(course.backend())
        ports = {
            name: stack.enter_context(course.facade(backend, service=backend))[0]
            for name in (_WITHOUT, _AGAIN)
        }
        processes: dict[str, int] = {}
        for mode in MODES:
            with pinned(course.load):
                service = stack.enter_context(hostile(mode))
            ports[mode], processes[mode] = stack.enter_context(
                course.facade(backend, shadow=True, service=service)
            )
        contenders = {name: partial(course.p99, port, _RATE) for name, port in ports.items()}
        for contender in contenders.values():
            contender()
        memories = {mode: stack.enter_context(Memory(process)) for mode, process in processes.items()}
        samples = interleave(contenders, course.rounds, warm_up=0)
        return samples, {mode: memory.growth for mode, memory in memories.items()}


if __name__ == "__main__":
    main()
