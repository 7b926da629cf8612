"""How long a decision takes: a path matched against 1,000 routes, and two sticky flags."""

from itertools import cycle
from statistics import median
from time import perf_counter

from facade.decide import decide
from facade.decision import Decision
from facade.routes import Route, RouteTable
from facade.snapshot import PhaseTraffic, Snapshot
from flags.rollout import Rollout
from flags.rule import Rule
from flags.side import Side
from flags.snapshot import FlagSnapshot

PHASES = 100
ROUTES = 1_000
PATHS = 50_000
REPEATS = 20_000
AT_ONCE = 100


def snapshot() -> Snapshot:
    """Ten routes for each of a hundred phases. Hardly a key reads from the service yet, and half of what the
    monolith answers is shadowed, so nearly every decision asks both flags."""
    names = [f"phase{number}" for number in range(PHASES)]
    routes = [
        Route("*", f"/api/v1/domain{number}/{kind}{tail}", name)
        for number, name in enumerate(names)
        for kind in ("items", "orders", "notes", "users", "files")
        for tail in ("", "/{id}")
    ]
    phases = {name: PhaseTraffic(name, "ramp", 1, Side.MONOLITH, None, shadow=True) for name in names}
    rules = {f"{name}.reads": Rule(1, (Rollout(f"{name}.reads:".encode(), 0, 1),)) for name in names}
    rules |= {f"{name}.shadow": Rule(5000, (Rollout(f"{name}.shadow:".encode(), 50, 0),)) for name in names}
    return Snapshot(1, RouteTable.compile(routes), phases, FlagSnapshot(1, rules))


def targets(number: int) -> list[bytes]:
    """Raw targets over all phases, of which no two are alike."""
    return [b"/api/v1/domain%d/orders/%d?page=2" % (each % PHASES, each) for each in range(number)]


def decided(served: Snapshot, target: bytes, key: str, request_id: bytes) -> Decision:
    """As the facade does it for a GET."""
    return decide(served, served.routes.match(b"GET", target), key, None, request_id)


class Deciding:
    """Every call makes REPEATS decisions, on PATHS different paths in turn: too many to remember."""

    def __init__(self) -> None:
        self._snapshot = snapshot()
        self._requests = cycle(
            [(target, f"user-{at}", b"%x" % at) for at, target in enumerate(targets(PATHS))]
        )

    def microseconds(self) -> float:
        """How long one decision takes: the median of the averages of AT_ONCE, between which the machine may
        have done something else."""
        return median(self._average() for _ in range(REPEATS // AT_ONCE))

    def _average(self) -> float:
        requests = [next(self._requests) for _ in range(AT_ONCE)]
        served = self._snapshot
        began = perf_counter()
        for target, key, request_id in requests:
            decided(served, target, key, request_id)
        return (perf_counter() - began) * 1e6 / AT_ONCE
