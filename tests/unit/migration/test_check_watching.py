"""When a check makes way for the customers' load."""

from migration.check_watching import Load


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
