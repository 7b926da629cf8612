"""A clock that only sleeping and working move forward."""


class Clock:
    """Stands for the module ``time``; seconds."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
