"""Unleash's feature document, as its client API serves it; descriptive keys pass through untouched."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flags.errors import FlagError
from flags.percent import format_percent


class _Part(BaseModel):
    # Unleash adds descriptive keys with its versions; they are kept for whoever exports the document.
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class Strategy(_Part):
    """One way to be in. ``parameters`` are texts, also the numbers among them, as in Unleash."""

    name: str
    parameters: dict[str, str] = {}
    constraints: list[Any] = []
    segments: list[Any] = []
    variants: list[Any] = []
    disabled: bool = False


class Feature(_Part):
    """One flag: in when it is enabled and any of its strategies is met, or it has none."""

    name: str = Field(min_length=1, max_length=200)
    enabled: bool
    strategies: list[Strategy] = []
    variants: list[Any] = []
    dependencies: list[Any] = []


class Features(_Part):
    """The whole document: what ``GET /api/client/features`` answers."""

    version: int = 2
    features: list[Feature]
    segments: list[Any] = []


def parse_features(document: Mapping[str, Any]) -> Features:
    """The document as decoded JSON, validated. Raises FlagError naming the place that is wrong."""
    try:
        return Features.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise FlagError(
            f"not a feature document as Unleash serves it: {place}: {first['msg']}. "
            "Import what `strangler flags export` or Unleash's /api/client/features gives."
        ) from error


def document(features: Iterable[Feature]) -> dict[str, Any]:
    """The inverse of ``parse_features``, as plain JSON values."""
    return Features(features=list(features)).model_dump(mode="json")


def gradual(name: str, share: int) -> Feature:
    """A new flag that lets ``share`` (‱) of the routing keys in."""
    parameters = {"rollout": format_percent(share), "stickiness": "default", "groupId": group_id(name)}
    return Feature(
        name=name, enabled=True, strategies=[Strategy(name="flexibleRollout", parameters=parameters)]
    )


def with_share(feature: Feature, share: int) -> Feature:
    """``feature`` turned on for ``share`` (‱), in the group it already has: whoever is in stays in."""
    kept = next((s.parameters for s in feature.strategies if s.name == "flexibleRollout"), {})
    fresh = gradual(feature.name, share).strategies[0]
    strategy = fresh.model_copy(
        update={"parameters": fresh.parameters | kept | {"rollout": format_percent(share)}}
    )
    return feature.model_copy(update={"enabled": True, "strategies": [strategy]})


def group_id(name: str) -> str:
    """What salts a flag's buckets.

    A phase's reads and writes share their salt, so a key whose writes moved has its reads moved as well
    at an equal share. Every other flag has its own: shadow must see those that the reads left behind.
    """
    phase, _, kind = name.rpartition(".")
    return phase if phase and kind in {"reads", "writes"} else name
