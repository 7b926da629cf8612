"""Where the relay's metrics are asked for."""

import httpx
import pytest

from facade.errors import AddressError
from migration.demo.processes import free_port
from migration.relay_metrics import Account, RelayMetrics, exposed


def test_metrics_are_answered_while_the_relay_runs() -> None:
    address = f"127.0.0.1:{free_port()}"
    metrics = RelayMetrics([lambda: Account("orders", batches=3)])
    with exposed(address, metrics):
        answer = httpx.get(f"http://{address}/metrics")
        assert 'strangler_relay_batches_total{phase="orders"} 3.0' in answer.text
        with pytest.raises(AddressError, match="cannot listen on"), exposed(address, metrics):
            pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{address}/metrics")


def test_without_an_address_nothing_listens() -> None:
    with exposed(None, RelayMetrics([])):
        pass
