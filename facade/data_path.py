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
from facade.edge import Edge
from facade.gate import Gate
from facade.headers import Fields
from facade.health import HealthChecks
from facade.hold import Holds
from facade.instances import Instances
from facade.override import Overrides
from facade.pins import Pins
from facade.rate import RateLimits
from facade.read_your_writes import ReadYourWrites
from facade.shadow import Shadow
from facade.snapshot import Snapshot
from facade.tally import Tally
from facade.tokens import Tokens
from flags.side import MONOLITH, Side

if TYPE_CHECKING:
    from facade.exchange import Exchange
    from facade.protocol import FacadeProtocol

_TICK = 0.05
"""Seconds between looks at the deadlines: one sweep is cheaper than a timer for every request."""
_SLOW_TICKS = 10
"""Clients and idle connections are looked at every so many ticks."""


class DataPath:
    """The loop's side of a worker. ``in_flight`` counts writes by phase, exactly; ``draining`` ends every
    connection with its next answer."""

    def __init__(self, config: FacadeConfig, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.timeouts = config.timeouts
        self.limits = config.limits
        self.routing_keys = config.routing_keys
        self.properties = config.properties
        self.retries = config.retries
        self.counters = Counters()
        self.tally = Tally()
        self.holds = Holds(config.limits.held, config.limits.held_body)
        self.in_flight: dict[str, int] = defaultdict(int)
        self.active: set[Exchange] = set()
        self.clients: set[FacadeProtocol] = set()
        self.draining = False
        self.access_log = AccessLog() if config.access_log else None
        self.shadow = Shadow(config)
        self.read_your_writes = (
            ReadYourWrites(config.read_your_writes, Pins(_in(config.memory, "pins")))
            if config.read_your_writes
            else None
        )
        rates = RateLimits(config.rate_limits, _in(config.memory, "rates")) if config.rate_limits else None
        self.tokens = None if config.tokens is None else Tokens(config.tokens)
        self.overrides = None if config.override_secret is None else Overrides(config.override_secret)
        duties = (rates, self.tokens, self.overrides)
        self.gate = (
            Gate(rates, self.tokens, config.authenticated, self.overrides)
            if any(duty is not None for duty in duties)
            else None
        )
        self._monolith = Instances(config.monolith, config.timeouts, config.limits)
        self._services = {
            phase: Instances(backend, config.timeouts, config.limits)
            for phase, backend in config.services.items()
        }
        self._health = HealthChecks(self.sides.values(), config.timeouts, config.limits)
        self._trusted = tuple(ipaddress.ip_network(network) for network in config.trusted_proxies)
        self._request_ids = count(1)
        self._worker_id = secrets.token_hex(8).encode()
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)
        self._health.start()
        if self.tokens is not None and self.tokens.keys is not None:
            self.tokens.keys.start()

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._health.stop()
        if self.tokens is not None and self.tokens.keys is not None:
            await self.tokens.keys.stop()
        await self.shadow.stop()
        for instances in self.sides.values():
            instances.close()

    def swap(self, snapshot: Snapshot) -> None:
        """Serve by another snapshot from now on; what its phases no longer hold is decided again."""
        self.snapshot = snapshot
        self.holds.release(self.holding)

    @property
    def sides(self) -> dict[str, Instances]:
        """The services by phase, and the monolith under an empty name."""
        return {"": self._monolith, **self._services}

    @property
    def holding(self) -> frozenset[str]:
        """The phases whose new writes wait."""
        return frozenset(name for name, traffic in self.snapshot.phases.items() if traffic.hold is not None)

    def instances(self, side: Side, phase: str) -> Instances | None:
        return self._monolith if side is MONOLITH else self._services.get(phase)

    def edge(self, transport: asyncio.BaseTransport) -> Edge:
        """What is known of the client at the other end."""
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        trusted = bool(address) and self._trusts(address)
        scheme = b"https" if transport.get_extra_info("sslcontext") is not None else b"http"
        return Edge(address.encode() or b"unknown", trusted=trusted, scheme=scheme)

    def address(self, edge: Edge, fields: Fields) -> str:
        """Who sent a request: the nearest address that is not a trusted hop's."""
        nearest = edge.peer.decode("latin-1")
        if not edge.trusted:
            return nearest
        hops = b",".join(fields.values(b"x-forwarded-for")).decode("latin-1").split(",")
        for hop in reversed([hop.strip() for hop in hops if hop.strip()]):
            nearest = hop
            if not self._trusts(hop):
                break
        return nearest

    def _trusts(self, address: str) -> bool:
        try:
            known = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(known in network for network in self._trusted)

    def next_request_id(self) -> bytes:
        return b"%b-%x" % (self._worker_id, next(self._request_ids))

    def observe(self, exchange: "Exchange", seconds: float) -> None:
        """A request is over."""
        match = exchange.match
        phase, route = (match.route.phase or "", match.route.name or match.route.path) if match else ("", "")
        self.counters.observe(phase, route, exchange.side, exchange.status, seconds)
        decision = exchange.decision
        if decision.split and not decision.write:
            self.tally.add(decision, exchange.side, exchange.status, exchange.first_byte or seconds)
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
            for instances in self.sides.values():
                instances.sweep(now)


def _in(directory: str | None, name: str) -> str | None:
    return None if directory is None else f"{directory}/{name}"
