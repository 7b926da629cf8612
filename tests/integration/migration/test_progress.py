"""What the facade's workers learn of replication from the relay's heartbeats."""

import time
from pathlib import Path

from dual_write.replication import Accounts, Lag
from flags.side import Side
from migration.control import Control
from migration.observations import Observations
from migration.progress import SKEW_SECONDS, ControlProgress


def test_passed_is_the_heartbeat_less_what_waited(tmp_path: Path) -> None:
    control = Control.open(f"sqlite:///{tmp_path / 'control.db'}")
    progress, observations = ControlProgress(control), Observations(control)
    assert progress.passed() == {}
    before = time.time()
    observations.beat("search", Side.SERVICE, Lag(3, 20.0, 0.0), Accounts(9, 6, 3, 0), ago=5.0)
    observations.beat("orders", Side.SERVICE, Lag(0, 0.0, 0.0), Accounts(9, 8, 0, 1))
    after = time.time()
    passed = progress.passed()
    assert set(passed) == {("search", Side.SERVICE)}
    there = passed["search", Side.SERVICE] + 25.0 + SKEW_SECONDS
    assert before - 0.1 <= there <= after + 0.1
    control.close()
