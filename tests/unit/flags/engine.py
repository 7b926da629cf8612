"""Our rules beside Unleash's own engine."""

from typing import Any

from yggdrasil_engine.engine import UnleashEngine

from flags.context import Context
from flags.rule import Rule


class ChanceError(Exception):
    """Chance decides this answer, so there is nothing to compare."""


def by_chance(_: int) -> int:
    raise ChanceError


def ours(said: dict[str, Any]) -> Context:
    return Context(
        user_id=said.get("userId"),
        session_id=said.get("sessionId"),
        remote_address=said.get("remoteAddress"),
        environment=said.get("environment"),
        app_name=said.get("appName"),
        current_time=said.get("currentTime"),
        properties=said.get("properties", {}),
        draw=by_chance,
    )


def compare(engine: UnleashEngine, name: str, rule: Rule, said: dict[str, Any]) -> None:
    """Raises ChanceError for an answer that chance decides."""
    asking = ours(said)
    met, variant = rule.met(asking), rule.variant(asking)
    assert met is engine.is_enabled(name, said).is_enabled, (name, said)
    theirs = engine.get_variant(name, said).variant
    assert ("disabled" if variant is None else variant.name) == theirs.name, (name, said)
    assert (None if variant is None else variant.payload) == theirs.payload
