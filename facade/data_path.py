"""What a worker's requests share on its event loop: the snapshot, pools, holds, counters, deadlines."""

import asyncio
import ipaddress
import secrets
from collections import defaultdict
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

from facade.access_log import AccessLog
from facade.config import FacadeConfig
from facade.counters import Counters
from facade.headers import Edge
from facade.hold import Holds
from facade.pool import Pool
from facade.shadow import Shadow
from facade.snapshot import Snapshot
from flags.side import Side

if TYPE_CHECKING:
    from facade.exchange import Exchange
    from facade.protocol import FacadeProtocol

_TICK = 0.05
"""Seconds between looks at the deadlines: one sweep is cheaper than a timer for every request."""
_SLOW_TICKS = 10
"""Clients and idle connections are looked at every so many ticks."""


class DataPath:
    """The loop's side of a worker. ``in_flight`` counts writes by phase, exactly."""

    def __init__(self, config: FacadeConfig, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.timeouts = config.timeouts
        self.limits = config.limits
        self.routing_keys = config.routing_keys
        self.counters = Counters()
        self.holds = Holds(config.limits.held, config.limits.held_body)
        self.in_flight: dict[str, int] = defaultdict(int)
        self.active: set[Exchange] = set()
        self.clients: set[FacadeProtocol] = set()
        self.access_log = AccessLog() if config.access_log else None
        self.shadow = Shadow(config)
        self._monolith = Pool(config.monolith, config.timeouts, config.limits)
        self._services = {
            phase: Pool(upstream, config.timeouts, config.limits)
            for phase, upstream in config.services.items()
        }
        self._trusted = tuple(ipaddress.ip_network(network) for network in config.trusted_proxies)
        self._request_ids = count(1)
        self._worker_id = secrets.token_hex(8).encode()
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self.shadow.stop()
        for pool in (self._monolith, *self._services.values()):
            pool.close()

    def swap(self, snapshot: Snapshot) -> None:
        """Serve by another snapshot from now on; what its phases no longer hold is decided again."""
        self.snapshot = snapshot
        self.holds.release(self.holding)

    @property
    def holding(self) -> frozenset[str]:
        """The phases whose new writes wait."""
        return frozenset(name for name, traffic in self.snapshot.phases.items() if traffic.hold is not None)

    def pool(self, side: Side, phase: str) -> Pool | None:
        return self._monolith if side is Side.MONOLITH else self._services.get(phase)

    def edge(self, transport: asyncio.BaseTransport) -> Edge:
        """What is known of the client at the other end."""
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        trusted = False
        if address and self._trusted:
            trusted = any(
                ipaddress.ip_address(address.partition("%")[0]) in network for network in self._trusted
            )
        scheme = b"https" if transport.get_extra_info("sslcontext") is not None else b"http"
        return Edge(address.encode() or b"unknown", trusted=trusted, scheme=scheme)

    def next_request_id(self) -> bytes:
        return b"%b-%x" % (self._worker_id, next(self._request_ids))

    @staticmethod
    def new_sticky_key() -> str:
        return secrets.token_urlsafe(16)

    def observe(self, exchange: "Exchange", seconds: float) -> None:
        """A request is over."""
        match = exchange.match
        phase, route = (match.route.phase or "", match.route.name or match.route.path) if match else ("", "")
        self.counters.observe(phase, route, exchange.side, exchange.status, seconds)
        if self.access_log is not None:
            self.access_log.add(exchange, phase, route, seconds)

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)
        now = monotonic()
        for exchange in [each for each in self.active if each.expires < now]:
            exchange.expire()
        self._ticks += 1
        if self._ticks % _SLOW_TICKS == 0:
            for client in list(self.clients):
                client.sweep(now)
            for pool in (self._monolith, *self._services.values()):
                pool.sweep(now)
