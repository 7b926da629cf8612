"""``strangler check --watch``: a line for each check, until Ctrl-C."""

import signal
import threading
import time

from migration.check_watching import Habit, watch
from migration.checking import CheckReport
from migration.cli.output import err, out, print_json
from migration.wiring import Wiring


def watch_phase(wiring: Wiring, phase: str, habit: Habit, *, json: bool) -> bool:
    """Whether the last check was clean. Raises MigrationError for an unknown phase."""
    wiring.control.phase(wiring.plan.phase(phase).name)
    ending, clean = threading.Event(), [True]

    def told(said: CheckReport | Exception) -> None:
        if isinstance(said, Exception):
            clean[0] = False
            err.print(f"no verdict: {said}", style="red", markup=False)
            return
        clean[0] = said.clean
        if json:
            print_json(said.to_json())
        else:
            out.print(_line(said), markup=False)

    before = signal.signal(signal.SIGINT, lambda *_: ending.set())
    try:
        watch(wiring, phase, habit, ending, told)
    finally:
        signal.signal(signal.SIGINT, before)
    return clean[0]


def _line(report: CheckReport) -> str:
    verdict = "clean" if report.clean else f"{len(report.findings)} findings"
    covered = "; ".join(result.covers for _, result in report.results)
    return f"{time.strftime('%H:%M:%S')} {verdict} ({report.scope}, {report.seconds:.1f} s): {covered}"
