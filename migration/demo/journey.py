"""The demo's journey: one phase from off to complete, with a rollback and a second cutover on the way."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from migration.checking import CheckReport, check_phase
from migration.demo.environment import PHASE
from migration.errors import GateClosed, RunCancelled
from migration.stages import Stage
from migration.transitions import Moved
from migration.wiring import Wiring

GATE_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.25

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Switched:
    """One fenced switch: where the writes went, when it began and ended (seconds since 1970), and for how
    many seconds writes would have been held."""

    to: str
    began: float
    ended: float
    held: float


@dataclass(slots=True)
class Travelled:
    """What happened when: ``stages`` since when each held, and every switch."""

    stages: list[tuple[float, str]] = field(default_factory=list)
    switches: list[Switched] = field(default_factory=list)


class Journey:
    """Drives the phase with the command line's own controller. A stage lasts ``dwell`` seconds."""

    def __init__(self, wiring: Wiring, tell: Tell, dwell: float) -> None:
        self._wiring = wiring
        self._tell = tell
        self._dwell = dwell
        self.travelled = Travelled()
        self.checks: list[CheckReport] = []

    def walk(self) -> None:
        """All the way. Raises GateClosed when a gate does not open in time; after a finding none does.

        Raises RunCancelled when no switch is ready in time.
        """
        self._entered(Stage.OFF)
        self._rest()
        self._tell("copying the rows that are there, and every change from now on")
        self._wiring.controller.sync(PHASE, lambda _: None, lambda: False)
        self._entered(Stage.DUAL_WRITE)
        self._rest()
        self.check()
        self._patiently(self._wiring.controller.advance)
        self._rest()
        self._up_to_live()
        self._tell("something looks wrong: rolling back")
        self._patiently(self._wiring.controller.rollback)
        self._rest()
        self._tell("it was nothing: cutting over again")
        self.check()
        self._up_to_live()
        self.check()
        self._moved(self._wiring.controller.complete(PHASE))
        self._rest()

    def check(self) -> CheckReport:
        """Compare both sides under the traffic."""
        report = check_phase(self._wiring, PHASE)
        self.checks.append(report)
        verdict = "clean" if report.clean else f"{len(report.findings)} findings"
        self._tell(f"check: {verdict} over {report.rows} rows in {report.seconds:.1f} s")
        return report

    def _up_to_live(self) -> None:
        self._patiently(self._wiring.controller.advance)
        for percent in (10, 50, 100):
            self._wiring.controller.ramp(PHASE, percent)
            self._tell(f"{percent} % of the reads go to the service")
            self._rest(0.5)
        self.check()
        self._patiently(self._wiring.controller.advance)
        self._rest()

    def _patiently(self, move: Callable[[str], Moved]) -> None:
        """Again while its gates want more traffic, or writes would have waited for too long."""
        deadline = time.monotonic() + GATE_SECONDS
        while True:
            began = time.time()
            try:
                moved = move(PHASE)
            except (GateClosed, RunCancelled) as error:
                if time.monotonic() > deadline:
                    raise
                if isinstance(error, RunCancelled):
                    self._tell("the switch was not ready in time, and was taken back: trying again")
                time.sleep(_LOOK_AGAIN_SECONDS)
            else:
                self._moved(moved, began)
                return

    def _moved(self, moved: Moved, began: float | None = None) -> None:
        pause = ""
        if moved.held_seconds is not None:
            ended = time.time()
            to = "service" if moved.target is Stage.LIVE else "monolith"
            began = began or ended - moved.held_seconds
            self.travelled.switches.append(Switched(to, began, ended, moved.held_seconds))
            pause = f", writes waited {moved.held_seconds * 1000:.0f} ms"
        self._tell(f"{moved.source} → {moved.target}{pause}")
        self._entered(moved.target)

    def _entered(self, stage: Stage) -> None:
        self.travelled.stages.append((time.time(), stage.value))

    def _rest(self, share: float = 1.0) -> None:
        """Let the traffic run: the demo shows how the stages serve, not only that they are passed."""
        time.sleep(self._dwell * share)
