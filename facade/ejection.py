"""When to stop asking a failing upstream: consecutive errors eject it, single probes let it back in."""

from dataclasses import dataclass

ERRORS = 5
"""Consecutive failures after which an upstream is ejected."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
"""Seconds between probes: the first pause, doubled after each failed probe up to the longest."""


@dataclass(slots=True)
class Ejection:
    """The state of one upstream. Times are seconds on any steady clock; ``probing``: a probe is under way."""

    errors: int = 0
    pause: float = FIRST_PAUSE
    until: float = 0.0
    probing: bool = False

    @property
    def ejected(self) -> bool:
        return self.errors >= ERRORS

    def admits(self, now: float) -> bool:
        """Whether a request may be sent. An ejected upstream admits one, its probe, after each pause."""
        if not self.ejected:
            return True
        if self.refuses(now):
            return False
        self.until = now + self.pause
        self.probing = True
        return True

    def refuses(self, now: float) -> bool:
        """Whether a request would not be sent now. Asking takes no probe."""
        return self.ejected and now < self.until

    def succeeded(self) -> None:
        self.errors = 0
        self.pause = FIRST_PAUSE
        self.probing = False

    def failed(self, now: float) -> None:
        """Only a probe's failure makes the pause longer: requests that fail together are one sign, and writes
        that are sent all the same say nothing new."""
        self.errors += 1
        if self.errors == ERRORS:
            self.until = now + self.pause
        elif self.probing:
            self.probing = False
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
            self.until = now + self.pause
