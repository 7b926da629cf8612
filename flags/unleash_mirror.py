"""What an Unleash server and the embedded store have to tell each other. Pure.

The store is what every worker evaluates. It follows Unleash, but for what was changed here and is not told
yet, what was killed here, and who writes, which is no matter of percentages.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flags.document import Feature, inlined, parse_features
from flags.errors import FlagError, UnleashError
from flags.rule import compile_feature
from flags.store import StoredFlag, as_stored

SETTLING_SECONDS = 3.0
"""How long Unleash may take to serve what it was told: for about a second it serves what was before."""


@dataclass(frozen=True, slots=True)
class Served:
    """The flags that concern a migration, as Unleash serves them, and why others are as they were."""

    features: Mapping[str, Feature] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def kept_in_unleash(name: str) -> bool:
    """Who writes changes by the fenced switch alone, so Unleash has no say in it, nor needs to know."""
    return not name.endswith(".writes")


def served(document: Mapping[str, Any], concerns: Callable[[str], bool]) -> Served:
    """What a document of the client API says of flags that ``concerns`` names, and of those they depend on.

    Raises UnleashError when it is no such document. A flag that cannot be evaluated is refused alone.
    """
    every = document.get("features")
    if not isinstance(every, list) or not all(isinstance(each, dict) for each in every):
        raise UnleashError("Unleash answers JSON that is no feature document: `features` is no list.")
    named = {str(each.get("name")): each for each in every}
    wanted = {name for name in named if kept_in_unleash(name) and concerns(name)}
    wanted |= {parent for name in wanted for parent in _parents(named[name]) if parent in named}
    features, refused = {}, {}
    for name in sorted(wanted):
        alone = {"features": [named[name]], "segments": document.get("segments")}
        try:
            (feature,) = inlined(parse_features(alone))
            compile_feature(feature)
        except FlagError as error:
            refused[name] = str(error)
        else:
            features[name] = as_stored(feature)
    return Served(features, refused)


def untold(stored: Sequence[StoredFlag]) -> list[StoredFlag]:
    """The flags that were changed here and that Unleash does not know of yet."""
    return [flag for flag in stored if flag.told_at is None and kept_in_unleash(flag.name)]


def differing(said: Served, stored: Sequence[StoredFlag], now: float) -> tuple[list[Feature], list[str]]:
    """The flags to take from Unleash, and the names of those to drop since it has them no more."""
    here = {flag.name: flag for flag in stored}
    taken = [
        feature
        for name, feature in said.features.items()
        if name not in here or (here[name].feature != feature and _follows(here[name], now))
    ]
    gone = [
        name
        for name, flag in here.items()
        if kept_in_unleash(name)
        and name not in said.features
        and name not in said.refused
        and _follows(flag, now)
    ]
    return taken, gone


def _follows(flag: StoredFlag, now: float) -> bool:
    if flag.killed or flag.told_at is None:
        return False
    return not settling(flag, now)


def settling(flag: StoredFlag, now: float) -> bool:
    """Whether Unleash was told of the flag so lately that it may still serve what was before."""
    return (
        flag.told_at is not None
        and flag.updated_at != flag.told_at
        and now - flag.told_at <= SETTLING_SECONDS
    )


def _parents(feature: Mapping[str, Any]) -> Iterator[str]:
    dependencies = feature.get("dependencies")
    for each in dependencies if isinstance(dependencies, list) else ():
        if isinstance(each, dict):
            yield str(each.get("feature"))
