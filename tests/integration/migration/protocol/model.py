"""A switch among everything that can be at work meanwhile, in one order of acts of the many."""

from contextlib import suppress
from functools import partial

from sqlalchemy.exc import OperationalError

from dual_write.errors import FencedError, UnreachableError
from dual_write.relay import Relay
from flags.side import Side
from migration.errors import MigrationError, RunUnfinished
from migration.journal import Journal
from migration.plan import Plan
from migration.reconcile import Reconciler
from migration.relaying import directions
from migration.stages import Stage
from migration.switch import Switch
from migration.transitions import Controller
from tests.integration.migration.protocol.clients import Client, InvariantError, Ledger, Worker, stray
from tests.integration.migration.protocol.control import PHASE, STARTS, ModelControl
from tests.integration.migration.protocol.data import Data, ModelReplication
from tests.integration.migration.protocol.schedule import Actor, Schedule

HOLD_SECONDS = 1.0
TARGETS = {Side.SERVICE: Stage.LIVE, Side.MONOLITH: Stage.SHADOW}
FAULTS_OF_CONTROLLERS = (
    "controller dies",
    "controller dies and its successor too",
    "controller stands still",
    "controller stands still and another goes on",
    "an act fails",
)
FAULTS = (
    "none",
    *FAULTS_OF_CONTROLLERS,
    "a rival",
    "worker dies",
    "worker is cut off",
    "relay dies",
    "relay stands still",
)
LAST_POINT = 65
"""A controller comes to about so many points: a fault strikes at one of them."""
CLIENTS = 3
CLIENT_WRITES = 5
RELAY_TURNS = 8


class Model:
    """One order of acts, drawn from ``seed``; ``run`` raises InvariantError when an invariant does not hold.

    ``to`` is the side that is to become the writer. ``switch`` is the procedure under test.
    """

    def __init__(
        self,
        control: ModelControl,
        plan: Plan,
        seed: int,
        *,
        switch: type[Switch] = Switch,
        lenient: bool = False,
    ) -> None:
        self.schedule = Schedule(seed)
        draw = self.schedule.random
        self.to = draw.choice(list(Side))
        self.fault = draw.choice(FAULTS)
        self._control = control
        self._switch = switch
        self._lenient = lenient
        _, writer, epoch = STARTS[self.to]
        self.data = Data(writer, epoch)
        self.ledger = Ledger(self.data)
        control.begin(self.schedule, self.to)
        self._controller = Controller(plan, control, lambda _: self._replication())
        self._reconciler = Reconciler(control, self._controller.resume)
        self._journal = Journal(control)
        self._late = False
        self._abandoned = False
        self._people(draw.randrange(1, 3))

    @property
    def trace(self) -> tuple[str, ...]:
        return tuple(self.schedule.trace)

    @property
    def end(self) -> str:
        """How the switch ended, if it began at all."""
        return "/".join(self._control.ends()) or "refused"

    def run(self) -> None:
        """Everything acts until nothing is left to be done; I1 to I4 hold after each act, I7 at the end."""
        try:
            self.schedule.run(self._require_one_writer)
            self._wind_up()
        finally:
            self.schedule.end()
            self._control.rest()

    # --- who is there

    def _people(self, strays: int) -> None:
        add, draw = self.schedule.add, self.schedule.random
        self.workers = [Worker(name, self._control, self.schedule) for name in ("w1", "w2")]
        for worker in self.workers:
            add(worker.name, worker.watch).urgent = worker.urgent
        for number in range(CLIENTS):
            client = Client(f"c{number}", self.workers, self.ledger, self.schedule)
            add(f"c{number}", partial(client.write, CLIENT_WRITES))
        for number in range(strays):
            side = draw.choice(list(Side))
            add(f"s{number}", partial(stray, f"s{number}", side, self.ledger, self.schedule, self._astray))
        add("relay", self._relay)
        add("reconciler", self._reconcile)
        self._strike(add("controller", self._walk))

    def _strike(self, controller: Actor) -> None:
        nth = self.schedule.random.randrange(2, LAST_POINT)
        add, relay = self.schedule.add, self.schedule.actors["relay"]
        match self.fault:
            case "controller dies":
                controller.fault = (nth, self._die)
            case "controller dies and its successor too":
                controller.fault = (nth, self._die)
                reconciler = self.schedule.actors["reconciler"]
                reconciler.fault = (self.schedule.random.randrange(2, 30), self._die)
                add("second reconciler", self._reconcile)
            case "controller stands still":
                controller.fault = (nth, partial(self._stand_still, another=False))
            case "controller stands still and another goes on":
                controller.fault = (nth, partial(self._stand_still, another=True))
            case "an act fails":
                self._fail(self.schedule.random.randrange(1, 30))
            case "a rival":
                add("rival", self._walk)
            case "worker dies":
                add("killer", self._kill_worker)
            case "worker is cut off":
                add("cutter", self._cut_off)
            case "relay dies":
                relay.fault = (nth % 20 + 2, self._relay_dies)
            case "relay stands still":
                relay.fault = (nth % 8 + 2, self._relay_stands_still)

    # --- what they do

    def _walk(self, to: Side | None = None) -> None:
        """As ``Controller`` makes a switch, but for the gates."""
        to = self.to if to is None else to
        try:
            self._switch(
                self._control,
                self._replication,
                PHASE,
                "model",
                to=to,
                before=[to.other],
                source=STARTS[to][0],
                target=TARGETS[to],
                shares={},
                hold_limit=HOLD_SECONDS,
                precheck=lambda: None,
            ).walk()
        except RunUnfinished:
            self._abandoned = True
            raise

    def _reconcile(self) -> None:
        while True:
            self.schedule.point("tick", lambda: self._abandoned)
            self._reconciler.tick()
            self._abandoned = bool(self._journal.unfinished()) and not self._control.held()

    def _relay(self) -> None:
        relay = Relay(self._replication(), self._directions)
        for _ in range(RELAY_TURNS):
            self.schedule.point("turn", self.data.waiting)
            relay.turn()

    def _directions(self) -> list[Side]:
        return directions(self._control.seen(), follows=False)

    def _replication(self) -> ModelReplication:
        return ModelReplication(self.schedule, self.data, self._control.act, lenient=self._lenient)

    # --- what befalls them

    def _die(self, controller: Actor) -> None:
        self.schedule.kill(controller)
        self.schedule.add(f"time of {controller.name}", self._expire)

    def _relay_dies(self, relay: Actor) -> None:
        self.schedule.kill(relay)
        self.schedule.add("second relay", self._relay)

    def _relay_stands_still(self, relay: Actor) -> None:
        """Until the switch is over, with a batch in its hands."""
        relay.asleep = True
        controller = self.schedule.actors["controller"]

        def wake() -> None:
            self.schedule.point("wake the relay", lambda: controller.over)
            relay.asleep = False

        self.schedule.add("waker", wake)
        self.schedule.add("second relay", self._relay)

    def _expire(self) -> None:
        """The lease of a controller that is gone, or seems so, runs out."""
        self._control.expire()
        self._abandoned = True

    def _stand_still(self, controller: Actor, *, another: bool) -> None:
        controller.asleep = True
        self.schedule.add("waker", partial(self._wake, controller, another))

    def _wake(self, controller: Actor, another: bool) -> None:
        """It wakes up when its lease has run out, and maybe others have gone on long since."""
        self._expire()
        if another:
            self.schedule.point("successor", lambda: not self._abandoned)
            record = self._control.seen()
            if STARTS[record.writer.other][0] is record.stage:
                with suppress(MigrationError):
                    self._walk(record.writer.other)
        self.schedule.point("wake")
        self.ledger.excused = "a controller that lost its lease acts late"
        self._late = True
        controller.asleep = False

    def _fail(self, nth: int) -> None:
        """The ``nth`` act that changes something fails, before it had an effect."""
        left = [nth]

        def acts(name: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                if "control" in name:
                    raise OperationalError(name, None, Exception("gone"))
                raise UnreachableError(f"{name} failed")

        self._control.acts = acts

    def _kill_worker(self) -> None:
        self.schedule.point("kill")
        self.workers[0].dead = True
        self.schedule.point("forget")
        self._control.silence(self.workers[0].name)

    def _cut_off(self) -> None:
        """A worker that serves on by what it knew: only the guard keeps its writes out (I1)."""
        self.schedule.point("cut off")
        self.workers[0].cut_off = True
        self.ledger.excused = "a worker is cut off"
        self.schedule.point("forget")
        self._control.silence(self.workers[0].name)

    # --- what must hold

    def _astray(self, side: Side) -> bool:
        return self._late and self.data[side.other].guard is None

    def _require_one_writer(self) -> None:
        accepting = [side for side, database in self.data.items() if database.guard is None]
        if len(accepting) > 1 and not self._late:
            raise InvariantError("I1: both databases take writes")
        for side, database in self.data.items():
            if len(database.log) != database.accepted:
                raise InvariantError(
                    f"I4: the {side} logged {len(database.log)} of {database.accepted} writes"
                )

    def _wind_up(self) -> None:
        """What serve and relay do until nothing is left to do; then everything has to be in its place."""
        self._control.acts = lambda _: None
        self._expire()
        self._reconciler.tick()
        self._reconciler.straighten(lambda _: self._replication())
        record = self._control.seen()
        if self._journal.unfinished() or record.hold is not None:
            raise InvariantError("I7: a run or a hold is left over")
        guards = {side: database.guard is not None for side, database in self.data.items()}
        if guards != {record.writer: False, record.writer.other: True}:
            raise InvariantError(f"I7: the {record.writer} writes, and the guards are {guards}")
        opened = {side: database.inbox.open for side, database in self.data.items()}
        if opened != {record.writer: False, record.writer.other: True}:
            raise InvariantError(f"I7: the {record.writer} writes, and the inboxes' doors are {opened}")
        replication = self._replication()
        for to in self._directions():
            while self.data.waiting():
                try:
                    replication.step(to)
                except FencedError as error:
                    raise InvariantError(f"I7: nothing flows to the {to}") from error
        for side in Side:
            self.ledger.require_all_on(side)
        if self.data[Side.MONOLITH].rows != self.data[Side.SERVICE].rows and not self._late:
            raise InvariantError("I2: the two sides differ")
