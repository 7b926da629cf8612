"""How the instances behind the facade are, as its workers see them."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from facade.data_path import DataPath

FRESH = 5.0
"""Seconds after which what a worker said last is no longer believed."""


def instances(path: "DataPath") -> list[dict[str, Any]]:
    """What one worker has to say; the monolith's phase is empty."""
    return [
        {
            "phase": phase,
            "instance": pool.upstream.authority,
            "healthy": pool.healthy,
            "ejected": pool.ejection.ejected,
            "requests": pool.busy,
        }
        for phase, side in path.sides.items()
        for pool in side.pools
    ]


def services(directory: Path) -> dict[str, Any]:
    """All workers together. A side is ``up`` when every worker would ask every instance, ``impaired`` when
    only some would, ``down`` when none would; all is ``unknown`` without workers."""
    seen: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for document in fresh(directory):
        for each in document["instances"]:
            seen.setdefault(each["phase"], {}).setdefault(each["instance"], []).append(each)
    sides = {phase or "monolith": _side(found) for phase, found in seen.items()}
    states = {side["status"] for side in sides.values()}
    status = next((state for state in ("down", "impaired", "up") if state in states), "unknown")
    return {"status": status, "sides": sides}


def fresh(directory: Path) -> Iterator[dict[str, Any]]:
    """The documents of the workers that are alive."""
    for file in sorted(directory.glob("*.json")):
        try:
            if time.time() - file.stat().st_mtime < FRESH:
                yield orjson.loads(file.read_bytes())
        except (OSError, ValueError):
            continue


def _side(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    well = [each["healthy"] and not each["ejected"] for seen in found.values() for each in seen]
    return {
        "status": "up" if all(well) else "impaired" if any(well) else "down",
        "instances": [
            {
                "instance": name,
                "workers": len(seen),
                "unhealthy": sum(not each["healthy"] for each in seen),
                "ejected": sum(each["ejected"] for each in seen),
                "requests": sum(each["requests"] for each in seen),
            }
            for name, seen in found.items()
        ],
    }
