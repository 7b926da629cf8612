"""Unleash's feature document, as its client API serves it; descriptive keys pass through untouched."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flags.errors import FlagError
from flags.percent import format_percent


class _Part(BaseModel):
    # Unleash adds descriptive keys with its versions; they are kept for whoever exports the document.
    model_config = ConfigDict(
        frozen=True, extra="allow", strict=True, populate_by_name=True, serialize_by_alias=True
    )

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, said: Any) -> Any:
        """What is null is not said: some proxies of Unleash write every key."""
        if not isinstance(said, dict):
            return said
        return {name: value for name, value in said.items() if value is not None}


class Constraint(_Part):
    """What a context must say under a name. ``values`` are for lists of texts, ``value`` for the rest."""

    context_name: str = Field(alias="contextName")
    operator: str
    values: list[str] | None = None
    value: str | None = None
    inverted: bool = False
    case_insensitive: bool = Field(default=False, alias="caseInsensitive")


class Segment(_Part):
    """Constraints with an id that strategies share."""

    id: int
    constraints: list[Constraint] = []


class Override(_Part):
    """Who gets a variant whatever the weights say."""

    context_name: str = Field(alias="contextName")
    values: list[str] = []


class Variant(_Part):
    """One of several answers of a flag, drawn by weight."""

    name: str
    weight: int = Field(ge=0, le=1_000_000)
    stickiness: str | None = None
    payload: dict[str, Any] | None = None
    overrides: list[Override] | None = None


class Strategy(_Part):
    """One way to be in. ``parameters`` are texts, also the numbers among them, as in Unleash."""

    name: str
    parameters: dict[str, str] = {}
    constraints: list[Constraint] = []
    segments: list[int] = []
    variants: list[Variant] | None = None
    disabled: bool = False


class Dependency(_Part):
    """Another flag that must be on, or off, or on with one of some variants."""

    feature: str
    enabled: bool | None = None
    variants: list[str] | None = None


class Feature(_Part):
    """One flag: in when it is enabled and any of its strategies is met, or it has none."""

    name: str = Field(min_length=1, max_length=200)
    enabled: bool
    strategies: list[Strategy] = []
    variants: list[Variant] | None = None
    dependencies: list[Dependency] | None = None


class Features(_Part):
    """The whole document: what ``GET /api/client/features`` answers."""

    version: int = 2
    features: list[Feature]
    segments: list[Segment] | None = None


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


def inlined(features: Features) -> list[Feature]:
    """The features with their segments written out, so that each stands for itself. Raises FlagError."""
    segments = {segment.id: segment.constraints for segment in features.segments or ()}

    def written_out(flag: str, strategy: Strategy) -> Strategy:
        if strange := [each for each in strategy.segments if each not in segments]:
            raise FlagError(
                f"flag {flag!r} asks for segment {strange[0]}, which is not in the document. "
                "Add it to `segments`, or take it off the flag."
            )
        shared = [constraint for each in strategy.segments for constraint in segments[each]]
        return strategy.model_copy(update={"constraints": [*strategy.constraints, *shared], "segments": []})

    return [
        feature.model_copy(
            update={"strategies": [written_out(feature.name, each) for each in feature.strategies]}
        )
        for feature in features.features
    ]


def document(features: Iterable[Feature]) -> dict[str, Any]:
    """The inverse of ``parse_features``, as plain JSON values."""
    return Features(features=list(features)).model_dump(mode="json", exclude_none=True)


def gradual(name: str, share: int) -> Feature:
    """A new flag that lets ``share`` (‱) of the routing keys in."""
    parameters = {"rollout": format_percent(share), "stickiness": "default", "groupId": group_id(name)}
    return Feature(
        name=name, enabled=True, strategies=[Strategy(name="flexibleRollout", parameters=parameters)]
    )


SHARES = frozenset(
    {"default", "flexibleRollout", "gradualRolloutUserId", "gradualRolloutSessionId", "gradualRolloutRandom"}
)
"""The strategies that let in a share of whomever their constraints speak of."""


def is_share(strategy: Strategy) -> bool:
    """Whether the strategy lets in a share of everybody, rather than chosen ones."""
    return strategy.name in SHARES and not strategy.constraints and not strategy.segments


def with_share(feature: Feature, share: int) -> Feature:
    """``feature`` turned on for ``share`` (‱), in the group it already has: whoever is in stays in.

    Strategies that let chosen ones in, by a constraint or a list, stay as they are.
    """
    shares = [strategy for strategy in feature.strategies if is_share(strategy)]
    kept = next((s for s in shares if s.name == "flexibleRollout"), None)
    fresh = gradual(feature.name, share).strategies[0]
    given = {} if kept is None else kept.parameters
    strategy = (kept or fresh).model_copy(
        update={"parameters": fresh.parameters | given | {"rollout": format_percent(share)}}
    )
    chosen = [strategy for strategy in feature.strategies if not is_share(strategy)]
    return feature.model_copy(update={"enabled": True, "strategies": [*chosen, strategy]})


def group_id(name: str) -> str:
    """What salts a flag's buckets.

    A phase's reads and writes share their salt, so a key whose writes moved has its reads moved as well
    at an equal share. Every other flag has its own: shadow must see those that the reads left behind.
    """
    phase, _, kind = name.rpartition(".")
    return phase if phase and kind in {"reads", "writes"} else name
