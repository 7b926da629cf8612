"""When a check makes way for the customers' load."""

import pytest

from dual_write.replication import Lag
from migration import check_throttle
from migration.check_throttle import Load, Throttle
from tests.unit.clock import Clock


def test_it_makes_way_for_a_lag_above_the_limit() -> None:
    load = Load(5.0)
    assert not load.busy(5.0, 0.01)
    assert load.busy(5.1, 0.01)


def test_it_makes_way_where_statements_take_much_longer_than_the_quickest() -> None:
    load = Load(5.0)
    assert not load.busy(0.0, 1.0), "there is nothing to compare the first with"
    assert not load.busy(0.0, 0.002)
    assert not load.busy(0.0, 0.04), "what takes less than a twentieth of a second is not slow"
    assert load.busy(0.0, 0.06)


def test_it_pauses_until_replication_has_caught_up(monkeypatch) -> None:
    clock = Clock()
    monkeypatch.setattr(check_throttle, "time", clock)
    lags = [Lag(3, 9.0, 0.0), Lag(3, 9.0, 0.0), Lag(0, 9.0, 0.0)]
    told: list[int] = []
    throttle = Throttle(lambda: lags.pop(0), Load(5.0), lambda _table, rows, _about: told.append(rows))
    throttle("orders", 10, 20)
    assert (clock.now, told, lags) == (101.0, [10, 10, 10], [])
    throttle("orders", 15, 20)
    assert (clock.now, told[-1]) == (101.0, 15), "it looks once a second"


def test_a_pause_ends_after_a_minute_and_when_the_check_is_ended(monkeypatch) -> None:
    clock = Clock()
    monkeypatch.setattr(check_throttle, "time", clock)
    Throttle(lambda: Lag(1, 9.0, 0.0), Load(5.0), None)("orders", 10, 20)
    assert clock.now == 160.0

    def ended(*_: object) -> None:
        if clock.now > 165.0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Throttle(lambda: Lag(1, 9.0, 0.0), Load(5.0), ended)("orders", 10, 20)
    assert clock.now < 170.0
