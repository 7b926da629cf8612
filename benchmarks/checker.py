"""A check in a process of its own, which imports nothing else: its memory, and what others feel of it."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

from dual_write.check import FULL_SPEED, run_check
from dual_write.database import open_engine
from dual_write.mapping import TableFlow

_spawn = multiprocessing.get_context("spawn")


def peak(source: str, target: str, flow: TableFlow) -> int:
    """The most memory, in MiB, that a process takes which does nothing but this check."""
    with _spawn.Pool(1) as process:
        return process.apply(_peak, (source, target, flow))


@contextmanager
def checking(source: str, target: str, flow: TableFlow) -> "Iterator[Synchronized[int]]":
    """Checks one after the other, the first of which has begun; the rows that they have compared so far."""
    begun, enough, compared = _spawn.Event(), _spawn.Event(), _spawn.Value("q", 0)
    process = _spawn.Process(target=_check_on, args=(source, target, flow, begun, enough, compared))
    process.start()
    begun.wait()
    try:
        yield compared
    finally:
        enough.set()
        process.join()


def _peak(source: str, target: str, flow: TableFlow) -> int:
    result = run_check(open_engine(source), open_engine(target), [flow], manners=FULL_SPEED)
    for finding in result.findings:
        finding.to_json()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


class _EnoughError(Exception):
    pass


def _check_on(
    source: str, target: str, flow: TableFlow, begun: Event, enough: Event, compared: "Synchronized[int]"
) -> None:
    ours, theirs = open_engine(source), open_engine(target)
    earlier = 0

    def told(_table: str, rows: int, _about: int) -> None:
        compared.value = earlier + rows
        begun.set()
        if enough.is_set():
            raise _EnoughError

    with suppress(_EnoughError):
        while True:
            earlier += run_check(ours, theirs, [flow], progress=told).rows
