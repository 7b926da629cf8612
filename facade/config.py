"""How a facade worker is set up: addresses, keys, deadlines and caps. Frozen, picklable, without I/O."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from facade.compare import Rules
from facade.errors import AddressError
from facade.routing_key import RoutingKey


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: a certificate with its chain, and its key."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True)
class Trust:
    """TLS to an upstream: the PEM file of the ``authorities`` that may sign its certificate (None for those
    of the system), the ``certificate`` that is shown to it, and whether it is verified at all."""

    authorities: str | None = None
    certificate: Certificate | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server behind the facade. ``own_host``: it is called by its own name in the Host field, not by the
    one that the client used."""

    host: str
    port: int
    tls: bool = False
    trust: Trust = Trust()
    own_host: bool = False

    @classmethod
    def parse(cls, url: str, trust: Trust = Trust(), *, own_host: bool = False) -> "Upstream":
        """Read ``http://host:port`` or ``https://host``. Raises AddressError."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise AddressError(
                f"the upstream URL {_without_secret(url)!r} is not usable. Write http://host:port."
            )
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise AddressError(
                f"the upstream URL {_without_secret(url)!r} has a path, but targets go on as they came. "
                "Write only http://host:port."
            )
        if parts.username is not None:
            raise AddressError(
                f"the upstream URL of {parts.hostname!r} has credentials in it. Write only http://host:port."
            )
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), tls, trust, own_host)

    @property
    def authority(self) -> str:
        """``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_field(self) -> bytes:
        """What the Host field has: the port only when it is not the scheme's own."""
        usual = self.port == (443 if self.tls else 80)
        return (self.authority.rpartition(":")[0] if usual else self.authority).encode()


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """``path`` is asked every ``interval``; 2xx within ``timeout`` is well. Seconds."""

    path: str
    interval: float = 5.0
    timeout: float = 2.0


@dataclass(frozen=True, slots=True)
class Backend:
    """One side: its instances, all alike. ``concurrency`` is how many requests one worker has there at a
    time, None for as many as connections allow."""

    instances: tuple[Upstream, ...]
    concurrency: int | None = None
    health: HealthCheck | None = None

    @classmethod
    def of(cls, *instances: Upstream) -> "Backend":
        return cls(instances)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket for each client: ``rate`` requests a second, ``burst`` at once.

    A client is its address, or with ``by_key`` its routing key (its address when it has none).
    """

    rate: float
    burst: int
    by_key: bool = False


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Which bearer tokens are good, and what of them goes on.

    ``algorithms`` of HS256 (with ``secret``), RS256 and ES256 (with keys from the URL ``jwks``, fetched again
    every ``refresh`` seconds). ``forward`` maps claims to the header fields that carry them to upstreams.
    """

    algorithms: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)
    jwks: str | None = None
    refresh: float = 300.0
    issuer: str | None = None
    audience: str | None = None
    leeway: float = 30.0
    forward: Mapping[str, str] = field(default_factory=dict)
    forward_token: bool = True

    @property
    def rewrites(self) -> bool:
        """Whether a request's fields are changed on their way."""
        return bool(self.forward) or not self.forward_token


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines in seconds.

    Of an upstream: ``connect`` (which includes waiting for a free connection), ``first_byte`` after the last
    byte sent, ``total`` for the whole request (not for tunnels and event streams). ``hold`` is how long a
    write waits at a fence. Of a client: ``head`` from its first to the last byte of a request's head,
    ``body`` between two pieces of a body, ``idle`` between requests. ``upstream_idle`` is how long an unused
    upstream connection is kept: shorter than servers do, so that they are not the ones to close it.
    """

    connect: float = 2.0
    first_byte: float = 30.0
    total: float = 120.0
    hold: float = 1.0
    head: float = 10.0
    body: float = 30.0
    idle: float = 75.0
    upstream_idle: float = 1.5


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one worker; sizes in bytes.

    ``head`` and ``fields`` (a count) bound a request's head, ``body`` its body; ``key_body`` is how much of
    a body is read to find a routing key in it. ``held`` and ``held_body`` bound the writes that wait at a
    fence. ``connections`` bounds the connections to each upstream. The last three bound the shadow: bytes of
    one copied body, queued requests, and requests at the service at a time.
    """

    head: int = 32 * 1024
    fields: int = 100
    body: int = 1024 * 1024 * 1024
    key_body: int = 64 * 1024
    held: int = 1000
    held_body: int = 16 * 1024 * 1024
    connections: int = 256
    shadow_body: int = 256 * 1024
    shadow_queue: int = 256
    shadow_senders: int = 4


@dataclass(frozen=True, slots=True)
class ShadowRules:
    """How the shadow of one phase is cast and compared, and how many seconds the service has to answer.

    ``by_key``: the share is drawn by routing key, not by request. ``at_least`` so many requests a minute are
    taken of each route, as far as they come. By the route's name: ``mirror`` are those whose writes and
    bodies are taken too, ``group_by`` says what in a request its group is.
    """

    rules: Rules = field(default_factory=Rules)
    timeout: float = 2.0
    by_key: bool = False
    at_least: float = 0.0
    mirror: frozenset[str] = frozenset()
    group_by: Mapping[str, RoutingKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FacadeConfig:
    """Everything a worker needs but the snapshot. The mappings are by phase.

    ``trusted_proxies`` are networks (CIDR) whose ``Forwarded`` and ``X-Forwarded-*`` are extended instead of
    replaced. ``recheck_delay`` is how many seconds after a difference both sides are asked once more.
    ``metrics`` is the directory where workers leave their counters for the admin port, if there is one.
    ``read_your_writes`` are the phases whose clients read what they wrote; ``rate_limits`` has the limit of
    all requests under an empty name. ``memory`` is the directory of what the workers of this host share: who
    wrote, and how fast who comes. ``retries`` is how often one request is sent again at most. Without
    ``properties`` are where requests say what flags ask for besides the routing key. Without
    ``tokens`` none is looked at; with them, ``authenticated`` are the phases that want one. Without
    ``override_secret`` nobody can force a side.
    """

    monolith: Backend
    services: Mapping[str, Backend] = field(default_factory=dict)
    routing_keys: Mapping[str, RoutingKey] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, RoutingKey]] = field(default_factory=dict)
    shadow: Mapping[str, ShadowRules] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    trusted_proxies: tuple[str, ...] = ()
    recheck_delay: float = 0.5
    access_log: bool = False
    metrics: str | None = None
    read_your_writes: frozenset[str] = frozenset()
    rate_limits: Mapping[str, RateLimit] = field(default_factory=dict)
    tokens: TokenRules | None = None
    authenticated: frozenset[str] = frozenset()
    override_secret: str | None = field(default=None, repr=False)
    memory: str | None = None
    retries: int = 2

    def __post_init__(self) -> None:
        for network in self.trusted_proxies:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise AddressError(
                    f"the trusted proxy {network!r} is no network ({error}). Write 10.0.0.0/8 or 10.1.2.3."
                ) from error


def _without_secret(url: str) -> str:
    scheme, separator, rest = url.rpartition("@")
    return f"{scheme.partition('://')[0]}://***@{rest}" if separator else url
