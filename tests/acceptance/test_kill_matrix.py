"""Whichever step of a switch its controller is killed after, one side goes on writing and nothing is lost."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from flags.side import Side
from migration.demo.environment import PHASE, Environment
from migration.journal import CANCELLED, FINISHED, Journal
from migration.stages import Stage
from migration.switch import Switch
from tests.acceptance.migrations import Migration, assert_one_writer

STEPS = {step.name: number for number, step in enumerate(Switch.steps, 1)}
COMMIT = STEPS["commit"]


@pytest.fixture(scope="module")
def migrations(environments: Callable[[str], Environment]) -> Iterator[Callable[[str], Migration]]:
    """Gives the migration on ``sqlite`` or ``postgresql``; people write until the other is asked for."""
    running: dict[str, Migration] = {}
    with ExitStack() as stack:

        def migration(engine: str) -> Migration:
            if engine not in running:
                running.clear()
                stack.close()
                running[engine] = Migration(environments(engine))
                stack.callback(running[engine].wiring.close)
                stack.enter_context(running[engine].crowd)
            return running[engine]

        yield migration


CUTOVER = ("advance", Stage.RAMP, Stage.LIVE, Side.SERVICE)
ROLLBACK = ("rollback", Stage.LIVE, Stage.SHADOW, Side.MONOLITH)

# In an order in which one switch that was finished by others leads to the start of the next.
ON_SQLITE = [
    *((CUTOVER, number) for number in range(1, COMMIT)),
    (CUTOVER, COMMIT),
    *((ROLLBACK, number) for number in range(1, COMMIT)),
    (ROLLBACK, COMMIT),
    *((switch, number) for number in range(COMMIT + 1, len(STEPS) + 1) for switch in (CUTOVER, ROLLBACK)),
]
ON_POSTGRESQL = [
    (CUTOVER, STEPS["guard"]),
    (CUTOVER, STEPS["drain"]),
    (CUTOVER, COMMIT),
    (ROLLBACK, STEPS["guard"]),
    (ROLLBACK, STEPS["reverse"]),
]


@pytest.mark.parametrize(
    ("engine", "switch", "number"),
    [
        pytest.param(engine, switch, number, id=f"{engine}-{switch[0]}-{Switch.steps[number - 1].name}")
        for engine, cases in (("sqlite", ON_SQLITE), ("postgresql", ON_POSTGRESQL))
        for switch, number in cases
    ],
)
def test_i7_a_controller_killed_after_a_step_leaves_one_writer(migrations, engine, switch, number) -> None:
    move, source, target, to = switch
    migration = migrations(engine)
    migration.reach(source)
    epoch = migration.record.epoch

    migration.killed_after(move, number, waiting=engine == "postgresql" and number == COMMIT)

    committed = number >= COMMIT
    assert migration.record.stage is (target if committed else source)
    assert migration.record.epoch == (epoch + 1 if committed else epoch)
    if number > STEPS["precheck"]:
        [run] = Journal(migration.wiring.control).last(PHASE, Switch.kind, limit=1)
        assert run.outcome == (FINISHED if committed else CANCELLED)
    assert_one_writer(migration, to if committed else to.other)
    assert migration.crowd.failures == []
