from prometheus_client import CollectorRegistry

from dual_write.replication import Accounts, Lag
from flags.side import Side
from migration.relay_metrics import Account, RelayMetrics, Seen

SEEN = Seen(Lag(3, 1.5, 0.25), Accounts(10, 6, 3, 1), 42)
ORDERS = Account("orders", {Side.SERVICE: SEEN}, batches=7, failures=2, silent_seconds=0.5)


def test_each_direction_of_a_phase_has_its_own_lag_and_accounts() -> None:
    registry = CollectorRegistry()
    registry.register(RelayMetrics([lambda: ORDERS, lambda: Account("users")]))
    direction = {"phase": "orders", "to": "service"}
    values = {
        "lag_seconds": 1.5,
        "lag_changes": 3,
        "horizon_seconds": 0.25,
        "captured": 10,
        "applied": 6,
        "pending": 3,
        "parked": 1,
        "backfilled_rows": 42,
    }
    for name, value in values.items():
        assert registry.get_sample_value(f"strangler_relay_{name}", direction) == value, name
        assert registry.get_sample_value(f"strangler_relay_{name}", direction | {"to": "monolith"}) is None
    assert registry.get_sample_value("strangler_relay_batches_total", {"phase": "orders"}) == 7
    assert registry.get_sample_value("strangler_relay_failures_total", {"phase": "orders"}) == 2
    assert registry.get_sample_value("strangler_relay_silent_seconds", {"phase": "orders"}) == 0.5
    assert registry.get_sample_value("strangler_relay_batches_total", {"phase": "users"}) == 0
