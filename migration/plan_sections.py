"""The sections of the plan, each with the rules that concern it alone."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from dual_write.resolve import TableSpec
from migration import plan_syntax
from migration.plan_base import Address, DatabaseUrl, Name, Network, Seconds, Section
from migration.plan_check import Amount, Check, Invariant
from migration.plan_columns import ColumnRule, ReverseRule
from migration.plan_flags import Cohorts
from migration.plan_gates import Gates, Guard, Ramp
from migration.plan_gateway import Aggregate, Override, Pair, RateLimit, Server, Tokens
from migration.plan_shadow import Shadow


class Database(Section):
    """A database, and where its password comes from: the environment or a file, never the plan.

    ``database`` holds no password and may be shown.
    """

    database: DatabaseUrl | None = None
    database_password: SecretStr | None = Field(default=None, exclude=True)
    database_password_file: Path | None = None


class Replicated(Database):
    """A database that may have a standby, with the same password; checks read that one."""

    replica: DatabaseUrl | None = None

    @property
    def replica_url(self) -> str | None:
        """The URL to connect with, password included: not for showing."""
        return self.replica and plan_syntax.with_password(self.replica, self.database_password)


class Monolith(Replicated, Server):
    database: DatabaseUrl

    @property
    def database_url(self) -> str:
        """The URL to connect with, password included: not for showing."""
        return plan_syntax.with_password(self.database, self.database_password)


class Control(Database):
    """The control database: stages, journal, flags, leases."""

    database: DatabaseUrl = "sqlite:///.strangler/control.db"

    @property
    def database_url(self) -> str:
        """The URL to connect with, password included: not for showing."""
        return plan_syntax.with_password(self.database, self.database_password)


class Service(Replicated, Server):
    """Where a phase moves to. The database may be left out by a phase without tables."""

    @property
    def database_url(self) -> str | None:
        """The URL to connect with, password included: not for showing."""
        return self.database and plan_syntax.with_password(self.database, self.database_password)


class Timeouts(Section):
    """Seconds."""

    connect: Seconds = 2.0
    first_byte: Seconds = 30.0
    total: Seconds = 120.0
    hold: Seconds = 1.0


class Facade(Section):
    listen: Address = "127.0.0.1:8080"
    admin: Address = "127.0.0.1:8081"
    workers: int = Field(default=2, ge=1, le=256)
    trusted_proxies: tuple[Network, ...] = ()
    timeouts: Timeouts = Timeouts()
    retries: int = Field(default=2, ge=0, le=10)
    rate_limit: RateLimit | None = None
    tls: Pair | None = None
    jwt: Tokens | None = None
    override: Override | None = None
    aggregates: tuple[Aggregate, ...] = ()
    admin_token: SecretStr | None = Field(default=None, exclude=True)
    admin_token_file: Path | None = None

    @model_validator(mode="after")
    def _two_addresses(self) -> Self:
        if self.listen == self.admin and not self.listen.endswith(":0"):
            raise ValueError(
                f"`listen` and `admin` are both {self.listen}. Give the admin port an address of its own."
            )
        return self

    @model_validator(mode="after")
    def _by_address(self) -> Self:
        if self.rate_limit is not None and self.rate_limit.by == "key":
            raise ValueError("the facade's own `rate_limit` is by address: a routing key belongs to a phase.")
        return self


class Relay(Section):
    """``metrics`` is where ``strangler relay`` answers Prometheus; nowhere without it."""

    metrics: Address | None = None


class Route(Section):
    """One route of the monolith that moves with its phase; in the plan also as ``"GET /items/{id}"``.

    Without a ``kind`` the request's method decides whether it reads or writes. A ``retired`` route is not
    carried over: the monolith answers it until the phase is complete, then it answers 410.
    """

    method: Annotated[str, AfterValidator(plan_syntax.method)]
    path: Annotated[str, AfterValidator(plan_syntax.template)]
    kind: Literal["read", "write"] | None = None
    retired: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        method, _, path = value.strip().partition(" ")
        if not path:
            raise ValueError(
                f'{value!r} is no route. Write "GET /items/{{id}}", or "* /items" for every method.'
            )
        return {"method": method, "path": path.strip()}

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class Table(Section):
    """One table that moves, or with ``follow`` is only copied; columns of equal name map by themselves.

    Several may share a table on one side: then each holds the rows that meet its ``where``, or some of the
    columns; with ``optional`` no row where all these columns would be NULL. ``tolerance``: how far apart a
    check lets the values of a column be.
    """

    monolith: Name
    service: Name
    columns: dict[Name, ColumnRule] = Field(default_factory=dict)
    drop: tuple[Name, ...] = ()
    reverse: dict[Name, ReverseRule] = Field(default_factory=dict)
    where: Name | None = None
    optional: bool = False
    follow: bool = False
    triggers: Literal["suppress", "fire"] = "suppress"
    tolerance: dict[Name, Amount] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _same_name(cls, value: Any) -> Any:
        if isinstance(value, dict) and "monolith" in value:
            return {"service": value["monolith"], **value}
        return value

    def spec(self) -> TableSpec:
        """The same as the data package takes it."""
        return TableSpec(
            monolith=self.monolith,
            service=self.service,
            columns={name: rule.model_dump(exclude_defaults=True) for name, rule in self.columns.items()},
            drop=self.drop,
            reverse={
                name: rule.sql or rule.model_dump(exclude_defaults=True)
                for name, rule in self.reverse.items()
            },
            where=self.where or "",
            optional=self.optional,
            follow=self.follow,
            triggers=self.triggers,
            tolerance=self.tolerance,
        )


class Phase(Section):
    """One extraction: the routes and tables that move together to one service."""

    name: Annotated[str, AfterValidator(plan_syntax.phase_name)]
    service: Service
    routes: tuple[Route, ...] = ()
    tables: tuple[Table, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    capture: Literal["trigger", "outbox"] = "trigger"
    routing_key: Annotated[str, AfterValidator(plan_syntax.routing_key)] | None = None
    cohorts: Cohorts = Cohorts()
    read_your_writes: bool = True
    authenticate: bool = False
    rate_limit: RateLimit | None = None
    shadow: Shadow = Shadow()
    gates: Gates = Gates()
    ramp: Ramp = Ramp()
    guard: Guard = Guard()
    check: Check = Check()
    runbook: Name = "read-mostly"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.routes and not self.tables:
            raise ValueError("the phase moves nothing. Give it `routes`, `tables` or both.")
        if self.tables and self.service.database is None:
            raise ValueError("the phase has tables, so [phases.service] needs a `database` to put them in.")
        if self.invariants and not self.tables:
            raise ValueError("the phase has no tables, so its `invariants` would never be asked.")
        if self.rate_limit is not None and self.rate_limit.by == "key" and self.routing_key is None:
            raise ValueError('a `rate_limit` by key needs a `routing_key`. Give one, or limit by "address".')
        if (self.cohorts.allow or self.cohorts.deny) and self.routing_key is None:
            raise ValueError(
                "`allow` and `deny` are lists of routing keys, and the phase has no `routing_key`."
            )
        for what, said in {"the routing key": self.routing_key, **self.cohorts.properties}.items():
            source, _, name = (said or "").partition(":")
            if source == "path" and not any(
                name in plan_syntax.parameters(each.path) for each in self.routes
            ):
                raise ValueError(f"no route has a parameter {{{name}}} for {what} {said!r}.")
        names = [route.name for route in self.routes]
        if self.shadow.sample == "key" and self.routing_key is None:
            raise ValueError('[phases.shadow] `sample = "key"` needs a `routing_key`. Give the phase one.')
        if strange := [name for name in self.shadow.routes if name not in names]:
            raise ValueError(
                f"[phases.shadow.routes] speaks of {strange[0]!r}, which is no route of the phase. "
                f"It has: {', '.join(names) or 'none'}."
            )
        return self
