"""What the plan says of the facade, as its workers take it."""

from pathlib import Path

from facade.config import (
    Backend,
    Certificate,
    FacadeConfig,
    HealthCheck,
    RateLimit,
    ShadowRules,
    Timeouts,
    TokenRules,
    Trust,
    Upstream,
)
from facade.errors import TlsError
from facade.routing_key import RoutingKey
from facade.tls import client_context, server_context
from migration import plan_gateway
from migration.errors import MigrationError
from migration.evidence import Retention
from migration.plan import Plan
from migration.plan_secrets import secret
from migration.plan_shadow import Shadow


def facade_config(
    plan: Plan, metrics: Path | None = None, *, access_log: bool = False, workers: int | None = None
) -> FacadeConfig:
    """What each of so many workers of the facade is set up with (by default as many as the plan says).

    Raises MigrationError when a secret cannot be read."""
    facade, phases = plan.facade, plan.phases
    processes = workers or facade.workers
    limits = {"": facade.rate_limit, **{phase.name: phase.rate_limit for phase in phases}}
    shared = None if metrics is None else str(metrics)
    return FacadeConfig(
        monolith=_backend(plan.monolith, processes, plan.directory),
        services={phase.name: _backend(phase.service, processes, plan.directory) for phase in phases},
        routing_keys={
            phase.name: RoutingKey.parse(phase.routing_key)
            for phase in phases
            if phase.routing_key is not None
        },
        properties={
            phase.name: {name: RoutingKey.parse(where) for name, where in phase.cohorts.properties.items()}
            for phase in phases
            if phase.cohorts.properties
        },
        shadow={phase.name: _shadow(phase.shadow, processes) for phase in phases},
        timeouts=Timeouts(
            connect=facade.timeouts.connect,
            first_byte=facade.timeouts.first_byte,
            total=facade.timeouts.total,
            hold=facade.timeouts.hold,
        ),
        trusted_proxies=facade.trusted_proxies,
        access_log=access_log,
        metrics=shared,
        memory=shared,
        read_your_writes=frozenset(phase.name for phase in phases if phase.read_your_writes and phase.tables),
        rate_limits={
            name: RateLimit(limit.rate, limit.at_once, limit.by == "key")
            for name, limit in limits.items()
            if limit is not None
        },
        retries=facade.retries,
        tokens=None if facade.jwt is None else _tokens(facade.jwt, plan.directory),
        authenticated=frozenset(phase.name for phase in phases if phase.authenticate),
        override_secret=None if facade.override is None else secret(facade.override, plan.directory),
    )


def retentions(plan: Plan) -> dict[str, Retention]:
    """How much of each phase's shadow traffic is kept."""
    kept = {phase.name: phase.shadow.keep for phase in plan.phases}
    return {name: Retention(keep.days, keep.samples, keep.most_samples) for name, keep in kept.items()}


def certificate(plan: Plan) -> Certificate | None:
    """What the facade shows its clients. Raises MigrationError when it cannot be used."""
    if plan.facade.tls is None:
        return None
    shown = plan.facade.tls.at(plan.directory)
    try:
        server_context(shown)
    except TlsError as error:
        raise MigrationError(f"[facade.tls]: {error}") from error
    return shown


def _backend(server: plan_gateway.Server, workers: int, directory: Path) -> Backend:
    """One worker's share of a side."""
    check = server.health
    trust = Trust() if server.tls is None else server.tls.at(directory)
    try:
        if server.tls is not None:
            client_context(trust)  # what is wrong with its files is told now, not by every worker
    except TlsError as error:
        raise MigrationError(f"`tls` of {server.urls[0]}: {error}") from error
    return Backend(
        tuple(Upstream.parse(url, trust, own_host=server.host == "upstream") for url in server.urls),
        None if server.max_concurrent is None else max(1, server.max_concurrent // workers),
        None if check is None else HealthCheck(check.path, check.interval, check.timeout),
    )


def _shadow(shadow: Shadow, workers: int) -> ShadowRules:
    """One worker's share of a shadow."""
    return ShadowRules(
        shadow.rules(),
        shadow.timeout,
        by_key=shadow.sample == "key",
        at_least=shadow.at_least / workers,
        mirror=frozenset(name for name, route in shadow.routes.items() if route.mirror),
        group_by={
            name: RoutingKey.parse(route.group_by)
            for name, route in shadow.routes.items()
            if route.group_by is not None
        },
    )


def _tokens(tokens: plan_gateway.Tokens, directory: Path) -> TokenRules:
    return TokenRules(
        algorithms=tokens.algorithms,
        secret=secret(tokens, directory) if "HS256" in tokens.algorithms else None,
        jwks=tokens.jwks,
        refresh=tokens.refresh,
        issuer=tokens.issuer,
        audience=tokens.audience,
        leeway=tokens.leeway,
        forward=tokens.forward,
        forward_token=tokens.forward_token,
    )
