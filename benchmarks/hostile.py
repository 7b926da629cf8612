"""What clients notice of a shadow whose service is hostile, against no shadow at all, by the service's mode:
their p50 and p99, the CPU time that the facade takes for the same requests, and its memory.

All modes share each round, so that they share what the machine does meanwhile; a second facade without a
shadow shows what is left of that: its ratios would be 1 if there were no noise.

The facades have the first core, and are stopped but for the one that is asked; the load, the backend and the
hostile services share the last core.
"""

import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil

from benchmarks.course import Course
from benchmarks.hostile_service import MODES, hostile
from benchmarks.pinning import available, pinned
from benchmarks.rounds import Options, Samples, emit, interleave, show
from benchmarks.streaming import MEBIBYTE

_RATE = 1_500.0
"""Requests a second: fewer than a core can do, so that a latency is one."""
_WITHOUT, _AGAIN = "no shadow", "no shadow, again"


class Asked:
    """A facade under load; by round its ``p50`` and ``p99`` in ms, ``cpu`` in seconds, ``memory`` in MiB."""

    def __init__(self, course: Course, port: int, process: int) -> None:
        parent = psutil.Process(process)
        self.p50: list[float] = []
        self.p99: list[float] = []
        self.cpu: list[float] = []
        self.memory: list[float] = []
        self._course = course
        self._port = port
        self._processes = [parent, *parent.children(recursive=True)]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What it does by itself, others shall not feel."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def ask(self) -> float:
        """One round's p99."""
        self._signal(signal.SIGCONT)
        before = self._cpu()
        told = self._course.latencies(self._port, _RATE)
        self.cpu.append(self._cpu() - before)
        self.memory.append(sum(each.memory_info().rss for each in self._processes) / MEBIBYTE)
        self._signal(signal.SIGSTOP)
        self.p50.append(told.p50)
        self.p99.append(told.p99)
        return told.p99

    def _cpu(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self._processes)

    def _signal(self, number: signal.Signals) -> None:
        for each in self._processes:
            each.send_signal(number)


def main() -> None:
    options = Options.parse(__doc__ or "")
    rounds, seconds = (3, 2.0) if options.quick else (21, 3.5)
    cores = available()
    with tempfile.TemporaryDirectory() as directory:
        asked = measure(Course(Path(directory), cores[0], cores[-1], rounds, seconds))
    results: dict[str, float] = {}
    for what, unit in (("p50", "ms"), ("p99", "ms"), ("cpu", "s")):
        samples = Samples({name: tuple(getattr(each, what)[1:]) for name, each in asked.items()})
        show(f"{what} at {_RATE:,.0f} requests/s, by what the service does", samples, unit)
        for mode in (_AGAIN, *MODES):
            name = f"{_key(mode)}_{what}"
            results[name] = samples.ratio(mode, _WITHOUT)
            low, high = samples.interval(mode, _WITHOUT)
            print(f"{name} = {results[name]:.3f} ({low:.3f} to {high:.3f})")
    for mode in MODES:
        first, *later = asked[mode].memory
        results[f"{_key(mode)}_growth_mib"] = max(later) - first
        print(f"{_key(mode)}_growth_mib = {max(later) - first:.2g}")
    emit({**results, "requests_each": _RATE * seconds * rounds, "load_average": os.getloadavg()[0]}, options)


def _key(mode: str) -> str:
    return mode.replace(", ", "_").replace(" ", "_")


def measure(course: Course) -> Mapping[str, Asked]:
    """Every mode's rounds, a warm-up first: what the first requests need once is not growth."""
    with ExitStack() as stack:
        backend = stack.enter_context(course.backend())
        services = {_WITHOUT: (False, backend), _AGAIN: (False, backend)}
        with pinned(course.load):
            services |= {mode: (True, stack.enter_context(hostile(mode))) for mode in MODES}
        asked: dict[str, Asked] = {}
        for name, (shadow, service) in services.items():
            facade = course.facade(backend, shadow=shadow, service=service)
            asked[name] = Asked(course, *stack.enter_context(facade))
            stack.enter_context(asked[name].stopped())
        interleave({name: partial(Asked.ask, each) for name, each in asked.items()}, course.rounds)
        return asked


if __name__ == "__main__":
    main()
